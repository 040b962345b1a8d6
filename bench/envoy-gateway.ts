/**
 * `envoy-gateway`: mc-wan beside Envoy Gateway, in turns, on the same API server and with the same Envoy: HTTPRoute created →
 * first 200 at a thousand routes, answers while a route is swapped, memory and CPU. Each with one controller and one Envoy.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { obtainBinaries } from "../src/lab/binaries/binaries.ts";
import { backend } from "./contest-objects.ts";
import type { ContestTask, Leg } from "./contest-inside.ts";
import { distribution, quantile, rounded } from "./measurement.ts";
import type { BenchContext, Figure, Measurement } from "./measurement.ts";
import { runInPrivateNetwork } from "./private-network.ts";

const targets = { p50Ms: 50, p99Ms: 150, memoryMiB: 250, p50Ratio: 0.2, memoryRatio: 1 };

export async function envoyGateway(context: BenchContext): Promise<Measurement[]> {
  const { progress, signal, quick } = context;
  const programs = await obtainBinaries(["envoy", "etcd", "kube-apiserver", "kubectl", "envoy-gateway"], {
    progress,
    signal,
  });
  const folder = await mkdtemp(join(tmpdir(), "mc-wan-bench-"));
  try {
    const sizes = quick
      ? { routes: 100, probes: 6, swaps: 5, rounds: 1 }
      : { routes: 1000, probes: 40, swaps: 50, rounds: 3 };
    const task = { ...sizes, folder, envoy: programs.envoy, envoyGateway: programs["envoy-gateway"], quick };
    const legs = await runInPrivateNetwork<Leg[]>(
      { program: "contest-inside.ts", address: `${backend.address}/32`, folder, progress, signal },
      task satisfies ContestTask,
    );
    return measurementsOf(legs, task);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** One for each contender, and one that compares them: the first is mc-wan. */
function measurementsOf(
  legs: readonly Leg[],
  sizes: Pick<ContestTask, "routes" | "probes" | "swaps">,
): Measurement[] {
  const byContender = [...Map.groupBy(legs, ({ contender }) => contender)];
  const benchmark = "envoy-gateway";
  const notes = [
    `${sizes.routes} HTTPRoutes of one rule on one Gateway, ${sizes.probes} more in each turn, created one at a time; every second one leads to a Service that no route has named`,
    "time counts from before the POST; a host is asked every 2 ms over one kept-alive connection; a wrong answer is any but 404 before and 200 after",
    `swaps: one route goes to a new Service ${sizes.swaps} times, every 300 ms, under 200 requests a second`,
    "one controller, one Envoy with one worker; memory is RSS; CPU time is all threads'",
  ];
  const [own, other] = byContender.map(([, turns]) => turns);
  const ratio = (of: (turns: readonly Leg[]) => number): number =>
    own === undefined || other === undefined ? Number.NaN : rounded(of(own) / of(other));
  return [
    ...byContender.map(([name, turns], index) => ({
      benchmark,
      title: `${name}, ${turns.length} turns`,
      figures: figuresOf(turns, index === 0),
      notes: [...notes, ...oddities(turns)],
    })),
    {
      benchmark,
      title: byContender.map(([name]) => name).join(" ÷ "),
      figures: [
        {
          name: "first 200, p50",
          value: ratio((turns) => quantile(firstOks(turns), 0.5)),
          target: targets.p50Ratio,
        },
        { name: "first 200, p99", value: ratio((turns) => quantile(firstOks(turns), 0.99)) },
        { name: "memory of the controller", value: ratio(memoryOf), target: targets.memoryRatio },
        { name: "memory of the Envoy", value: ratio((turns) => largest(turns, ({ envoy }) => envoy.rssMiB)) },
        {
          name: "CPU of the controller for a route",
          value: ratio((turns) => mean(turns, ({ controllerCpuMs }) => controllerCpuMs)),
        },
      ],
      notes: [],
    },
  ];
}

function figuresOf(turns: readonly Leg[], isOwn: boolean): Figure[] {
  const results = turns.flatMap((turn) => turn.results);
  const firstOk = firstOks(turns);
  const sum = (of: (turn: Leg) => number): number => turns.reduce((total, turn) => total + of(turn), 0);
  const withTarget = (figure: Figure, target: number): Figure => (isOwn ? { ...figure, target } : figure);
  const times = distribution(firstOk, "ms").map((figure) =>
    figure.name.startsWith("p50")
      ? withTarget(figure, targets.p50Ms)
      : figure.name.startsWith("p99")
        ? withTarget(figure, targets.p99Ms)
        : figure,
  );
  return [
    ...times.map((figure) => ({ ...figure, name: `first 200: ${figure.name}` })),
    ...turns.map((turn, index) => ({
      name: `first 200: p50 of turn ${index + 1}, ms`,
      value: rounded(quantile(firstOks([turn]), 0.5)),
    })),
    withTarget({ name: "wrong answers", value: results.reduce((total, { wrong }) => total + wrong, 0) }, 0),
    withTarget({ name: "routes without a 200", value: results.length - firstOk.length }, 0),
    {
      name: "POST answered: p50, ms",
      value: rounded(
        quantile(
          results.map(({ createdMs }) => createdMs),
          0.5,
        ),
      ),
    },
    withTarget(
      {
        name: "swaps: failed requests",
        value: sum(({ swaps }) => Object.values(swaps.failures).reduce((total, count) => total + count, 0)),
      },
      0,
    ),
    { name: "swaps: requests", value: sum(({ swaps }) => swaps.requests) },
    {
      name: "all routes served after, s",
      value: rounded(mean(turns, ({ allServedMs }) => allServedMs) / 1000),
    },
    withTarget({ name: "memory of the controller, MiB", value: memoryOf(turns) }, targets.memoryMiB),
    { name: "memory of the Envoy, MiB", value: largest(turns, ({ envoy }) => envoy.rssMiB) },
    {
      name: "CPU of the controller for a route, ms",
      value: rounded(mean(turns, ({ controllerCpuMs }) => controllerCpuMs)),
    },
    { name: "CPU of the Envoy for a route, ms", value: rounded(mean(turns, ({ envoyCpuMs }) => envoyCpuMs)) },
    {
      name: "sent to the Envoy for a route, KB",
      value: rounded(mean(turns, ({ xdsBytes }) => xdsBytes) / 1000),
    },
    {
      name: "an HTTPRoute with its status, bytes",
      value: rounded(mean(turns, ({ routeBytes }) => routeBytes)),
    },
    {
      name: "a route in Envoy's table as JSON, bytes",
      value: rounded(mean(turns, ({ tableBytes }) => tableBytes)),
    },
    { name: "clusters in the Envoy", value: rounded(mean(turns, ({ clusters }) => clusters)) },
  ];
}

/** What went wrong, in words. */
function oddities(turns: readonly Leg[]): string[] {
  const wrong = turns.flatMap(({ results }) => results.filter((result) => result.wrong > 0));
  const failures = turns.filter(({ swaps }) => Object.keys(swaps.failures).length > 0);
  return [
    ...wrong.slice(0, 5).map(({ name, answers }) => `${name}: ${answers.join(", ")}`),
    ...failures.map(({ swaps }) => `swaps: ${JSON.stringify(swaps.failures)} of ${swaps.requests}`),
  ];
}

function firstOks(turns: readonly Leg[]): number[] {
  return turns.flatMap(({ results }) => results.flatMap(({ firstOkMs }) => firstOkMs ?? []));
}

function mean(turns: readonly Leg[], of: (turn: Leg) => number): number {
  return turns.reduce((sum, turn) => sum + of(turn), 0) / turns.length;
}

function largest(turns: readonly Leg[], of: (turn: Leg) => number): number {
  return Math.max(...turns.map(of));
}

function memoryOf(turns: readonly Leg[]): number {
  return largest(turns, ({ controller }) => controller.rssMiB);
}
