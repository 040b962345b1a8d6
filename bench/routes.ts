/**
 * `routes`: HTTPRoute created → first 200, one at a time, beside a thousand others on one Gateway; where the time goes;
 * and what the controller and the Envoys hold in memory at ten, a thousand and again ten routes.
 */
import { kinds } from "../src/model/kinds.ts";
import { gatewayClassName } from "../src/model/names.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import {
  controllerSamples,
  createAll,
  deleteAll,
  echoObjects,
  echoService,
  haveEndpoints,
  listAll,
  memoryOf,
  sumOf,
  until,
} from "./cluster.ts";
import type { BenchCluster, BenchLab, Samples } from "./cluster.ts";
import { distribution, quantile, rounded } from "./measurement.ts";
import type { BenchContext, Figure, Measurement } from "./measurement.ts";
import type { RouteResult, RouteTask } from "./route-prober.ts";
import { runInside } from "./run-inside.ts";

const namespace = "bench";
const gateway = "bench";
const port = 8080;
const warmServices = 10;

function routeOf(name: string, host: string, service: string): KubeObject {
  return {
    apiVersion: kinds.HTTPRoute.apiVersion,
    kind: "HTTPRoute",
    metadata: { name, namespace },
    spec: {
      parentRefs: [{ name: gateway }],
      hostnames: [host],
      rules: [{ backendRefs: [{ name: service, port }] }],
    },
  };
}

const gatewayObject: KubeObject = {
  apiVersion: kinds.Gateway.apiVersion,
  kind: "Gateway",
  metadata: { name: gateway, namespace },
  spec: { gatewayClassName, listeners: [{ name: "http", protocol: "HTTP", port }] },
};

/** Gives `routes` and `memory`, which need the same thousand routes. */
export async function routes({ lab, clusters }: BenchLab, context: BenchContext): Promise<Measurement[]> {
  const [cluster] = clusters;
  if (cluster === undefined) throw new Error("the lab has no cluster");
  const { progress, signal, quick } = context;
  const total = quick ? 100 : 1000;
  const probes = quick ? 6 : 60;
  // Every second route that is measured leads to a Service that no route has named: a new Envoy cluster.
  const cold = Array.from({ length: Math.ceil(probes / 2) }, (_, index) => `cold-${index}`);
  const warm = Array.from({ length: warmServices }, (_, index) => `warm-${index}`);
  await createAll(cluster, echoObjects(namespace), 1);
  await createAll(
    cluster,
    [...warm, ...cold].map((name) => echoService(namespace, name)),
  );
  await createAll(cluster, [gatewayObject]);
  await haveEndpoints(cluster, { namespace, services: [...warm, ...cold] }, signal);
  const address = await until(
    "the Gateway's programming",
    { timeoutMs: 120_000, signal },
    async () => await addressOf(cluster),
  );
  progress("routes: the Gateway is programmed");

  const task = {
    kubeconfig: lab.insideKubeconfig,
    context: lab.cluster(cluster.id).context,
    namespace,
    gateway,
    address,
    port,
    pollMs: 2,
    timeoutMs: 20_000,
  };
  const many = Array.from({ length: total }, (_, index) =>
    routeOf(`route-${index}`, `route-${index}.bench.test`, `warm-${index % warmServices}`),
  );
  const memories: Figure[] = [];
  const weigh = (when: string, target?: number): void => {
    memories.push(...memoryFigures(lab, when, target));
  };
  await createAll(cluster, many.slice(0, 10));
  await allAccepted(cluster, 10, signal);
  weigh("10 routes");

  const start = performance.now();
  await createAll(cluster, many.slice(10));
  const createdMs = performance.now() - start;
  await allAccepted(cluster, total, signal);
  const acceptedMs = performance.now() - start;
  progress(`routes: ${total} stand and are accepted, ${rounded(acceptedMs / 1000)} s after the first`);

  const before = await controllerSamples(cluster);
  const results = await runInside<RouteResult[]>(
    lab,
    { cluster: cluster.id, program: "route-prober.ts", signal },
    {
      ...task,
      afterMs: 100,
      routes: Array.from({ length: probes }, (_, index) => ({
        name: `probe-${index}`,
        host: `probe-${index}.bench.test`,
        service: index % 2 === 0 ? (cold[index / 2] ?? "") : (warm[index % warmServices] ?? ""),
      })),
    } satisfies RouteTask,
  );
  const after = await controllerSamples(cluster);
  weigh(`${total} routes`, 250);
  progress("routes: measured; deletes all but 10");
  await deleteAll(cluster, [...many.slice(10), ...results.map(({ name }) => routeOf(name, "", ""))]);
  await until("the end of the routes", { timeoutMs: 60_000, signal }, async () =>
    (await attached(cluster)) === 10 ? true : undefined,
  );
  await new Promise((resolve) => setTimeout(resolve, quick ? 1000 : 20_000));
  weigh("10 routes again");

  return [
    {
      benchmark: "routes",
      title: `HTTPRoute created → first 200, one at a time, at ${total} routes on one Gateway`,
      figures: [
        ...routeFigures(results),
        ...stageFigures(before, after),
        { name: `first ${total} routes created in, s`, value: rounded(createdMs / 1000) },
        { name: `and all Accepted after, s`, value: rounded(acceptedMs / 1000) },
      ],
      notes: [
        `one cluster, one user's Gateway with two Envoys, asked at its Service by one kept-alive connection every 2 ms`,
        `time counts from before the POST; ${results.length} routes, every second one to a Service that is new to the Envoys`,
        ...results
          .filter(({ wrong }) => wrong > 0)
          .slice(0, 5)
          .map(({ name, answers }) => `${name}: ${answers.join(", ")}`),
        ...results
          .filter(({ firstOkMs }) => firstOkMs === undefined)
          .slice(0, 5)
          .map(({ name, answers }) => `${name} never answered 200: ${answers.join(", ")}`),
      ],
    },
    {
      benchmark: "memory",
      title: "memory of the controllers and of the Gateway's Envoys",
      figures: memories,
      notes: [
        "RSS as the kernel counts it, shared pages in full; PSS counts them in part. The larger of two replicas",
      ],
    },
  ];
}

function routeFigures(results: readonly RouteResult[]): Figure[] {
  const values = (of: (result: RouteResult) => number | undefined, which = results): number[] =>
    which.map(of).filter((value) => value !== undefined);
  const isCold = (_: RouteResult, index: number): boolean => index % 2 === 0;
  const firstOk = values(({ firstOkMs }) => firstOkMs);
  return [
    ...distribution(firstOk, "ms", { target: 50 }),
    { name: "wrong answers", value: results.reduce((sum, { wrong }) => sum + wrong, 0), target: 0 },
    { name: "routes without a 200", value: results.length - firstOk.length, target: 0 },
    {
      name: "p50 from the POST's answer, ms",
      value: rounded(
        quantile(
          values(({ firstOkMs, createdMs }) => (firstOkMs === undefined ? undefined : firstOkMs - createdMs)),
          0.5,
        ),
      ),
    },
    {
      name: "p50 to a known Service, ms",
      value: rounded(
        quantile(
          values(
            ({ firstOkMs }) => firstOkMs,
            results.filter((result, index) => !isCold(result, index)),
          ),
          0.5,
        ),
      ),
    },
    {
      name: "p50 to a new Service, ms",
      value: rounded(
        quantile(
          values(({ firstOkMs }) => firstOkMs, results.filter(isCold)),
          0.5,
        ),
      ),
    },
    {
      name: "step: POST answered p50, ms",
      value: rounded(
        quantile(
          values(({ createdMs }) => createdMs),
          0.5,
        ),
      ),
    },
    {
      name: "step: seen by another watch p50, ms",
      value: rounded(
        quantile(
          values(({ seenMs }) => seenMs),
          0.5,
        ),
      ),
    },
    {
      name: "step: from seen to first 200 p50, ms",
      value: rounded(
        quantile(
          values(({ firstOkMs, seenMs }) =>
            firstOkMs === undefined || seenMs === undefined ? undefined : firstOkMs - seenMs,
          ),
          0.5,
        ),
      ),
    },
    {
      name: "step: the request that got the first 200, p50, ms",
      value: rounded(
        quantile(
          values(({ firstOkMs, askedMs }) =>
            firstOkMs === undefined || askedMs === undefined ? undefined : firstOkMs - askedMs,
          ),
          0.5,
        ),
      ),
    },
    {
      name: "step: status Accepted seen p50, ms",
      value: rounded(
        quantile(
          values(({ acceptedMs }) => acceptedMs),
          0.5,
        ),
      ),
    },
  ];
}

/** Means over both replicas of what the stages took while the routes were measured. */
function stageFigures(before: ReadonlyMap<string, Samples>, after: ReadonlyMap<string, Samples>): Figure[] {
  const grown = (metric: string, label: string): number => {
    let sum = 0;
    for (const [pod, samples] of after) {
      const fits = (series: string): boolean => series.includes(label);
      sum += sumOf(samples, metric, fits) - sumOf(before.get(pod) ?? new Map<string, number>(), metric, fits);
    }
    return sum;
  };
  return ["reconcile", "translate", "serve", "status", "apply"].flatMap((stage): Figure[] => {
    const label = `stage="${stage}"`;
    const count = grown("mcwan_stage_duration_seconds_count", label);
    if (count === 0) return [];
    return [
      {
        name: `controller: ${stage}, mean of ${count} passes, ms`,
        value: rounded((grown("mcwan_stage_duration_seconds_sum", label) / count) * 1000),
      },
    ];
  });
}

function memoryFigures(lab: BenchLab["lab"], when: string, target: number | undefined): Figure[] {
  const [controller] = memoryOf(lab, (command) => command.includes("src/cli/main.ts controller"));
  const [envoy] = memoryOf(lab, (command) => command.includes(`--service-cluster ${namespace}.${gateway}`));
  const figure = (name: string, value: number | undefined): Figure[] =>
    value === undefined ? [] : [{ name: `${name}, ${when}, MiB`, value }];
  return [
    ...figure("controller RSS", controller?.rssMiB).map((each) =>
      target === undefined ? each : { ...each, target },
    ),
    ...figure("controller PSS", controller?.pssMiB),
    ...figure("Envoy RSS", envoy?.rssMiB),
  ];
}

/** The Gateway's address once it is programmed. */
async function addressOf(cluster: BenchCluster): Promise<string | undefined> {
  const object = await cluster.client.get(kinds.Gateway, { namespace, name: gateway });
  const { addresses = [], conditions = [] } = (object?.["status"] ?? {}) as {
    addresses?: { value: string }[];
    conditions?: { type: string; status: string }[];
  };
  return conditions.some(({ type, status }) => type === "Programmed" && status === "True")
    ? addresses[0]?.value
    : undefined;
}

async function attached(cluster: BenchCluster): Promise<number | undefined> {
  const object = await cluster.client.get(kinds.Gateway, { namespace, name: gateway });
  return ((object?.["status"] ?? {}) as { listeners?: { attachedRoutes: number }[] }).listeners?.[0]
    ?.attachedRoutes;
}

async function allAccepted(cluster: BenchCluster, count: number, signal: AbortSignal): Promise<void> {
  await until(`acceptance of ${count} routes`, { timeoutMs: 180_000, signal }, async () => {
    const list = await listAll(cluster, "HTTPRoute", { namespace });
    const accepted = list.filter(
      (route) => ((route["status"] as { parents?: unknown[] } | undefined)?.parents ?? []).length > 0,
    );
    return accepted.length >= count ? true : undefined;
  });
}
