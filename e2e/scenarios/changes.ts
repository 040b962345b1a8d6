/**
 * Traffic while things change: a user's Gateway whose routes are swapped and grow under load. Beside `payment`, which two
 * other clusters export, stand two Services of the Gateway's own cluster, so that changes lead from one way to another.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { RouteResult, RouteTask } from "../../bench/route-prober.ts";
import { runInside } from "../../bench/run-inside.ts";
import { kinds } from "../../src/model/kinds.ts";
import type { Claim, Scenario } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import { rollout } from "../example.ts";
import { echo, gateway, httpRoute, service } from "../manifests.ts";
import type { Manifest } from "../mistake.ts";
import { applyObjects, deleteObjects } from "../mistake.ts";
import { Load, probe } from "../traffic.ts";
import { payment } from "./payment.ts";

const namespace = "secure";
const port = 8080;
const at = (name: string): { name: string; namespace: string } => ({ name, namespace });
const host = "changing.test";
const gatewayName = "changing";
const url = `http://${gatewayName}-mc-wan.${namespace}.svc.cluster.local:${port}/`;
const ratePerSecond = 200;
const rounds = 5;
/** Between two changes: each is in force, at least in part, before the next. */
const pauseMs = 100;
const addedRoutes = 40;

const local = (name: "a" | "b", weight = 1): object => ({ name: `changing-${name}`, port, weight });
const overWan = (policy: "high" | "low", weight = 1): object => ({
  name: `payment-${namespace}-sd-wan-priority-${policy}`,
  namespace: "mc-wan",
  port: policy === "high" ? 31_111 : 31_112,
  weight,
});
const to = (...backendRefs: object[]): object => ({ backendRefs });
const routed = (name: string, ...rules: object[]): Manifest =>
  httpRoute(at(name), { gateway: gatewayName, hostnames: [host], rules });
/** A Service whose name says one Deployment and whose selector may say another. */
const localService = (name: "a" | "b", app: "a" | "b" = name): Manifest =>
  service(at(`changing-${name}`), {
    selector: { app: `changing-${app}` },
    ports: [{ name: "http", port, targetPort: "http" }],
  });
const headerMatch = { headers: [{ name: "x-tenant", value: "gold" }] };
const slashMatch = { path: { type: "Exact", value: "/" } };
const marked = {
  type: "ResponseHeaderModifier",
  responseHeaderModifier: { set: [{ name: "x-a", value: "b" }] },
};

const objects: readonly Manifest[] = [
  ...(["a", "b"] as const).flatMap((name) => [echo(at(`changing-${name}`)), localService(name)]),
  gateway(at(gatewayName), port),
  routed("changing-0", to(local("a"))),
];

/** What is applied and then deleted, ten times in a round; the name of the route alternates between rounds. */
function changesOf(round: number): readonly { readonly apply: Manifest; readonly drop?: Manifest }[] {
  const name = `changing-${round % 2}`;
  const next = `changing-${(round + 1) % 2}`;
  return [
    { apply: routed(name, to(local("b"))) },
    { apply: routed(name, to(local("a", 1), local("b", 9))) },
    { apply: routed(name, to(overWan("high"))) },
    { apply: routed(name, to(overWan("low"))) },
    { apply: routed(name, to(local("a"), overWan("high"), overWan("low", 2))) },
    { apply: routed(name, { matches: [headerMatch], ...to(local("b")) }, to(local("a"))) },
    { apply: localService("a", "b") },
    { apply: routed(name, { matches: [slashMatch], filters: [marked], ...to(local("a")) }) },
    { apply: localService("a") },
    // The same host in a route of another name; then the old route goes.
    { apply: routed(next, to(local("a"))), drop: routed(name) },
  ];
}

const losesNothing: Claim = {
  title: `${rounds * 10} changes of backends, rules, weights, policies and whole routes under ${ratePerSecond} requests a second: no request fails`,
  prove: async (environment) => {
    const { consumer } = environment;
    const load = new Load(environment, { cluster: consumer, namespace, deployment: "client" }, [
      ...[url, "--host", host, "--keep-alive"],
      ...["--rate", String(ratePerSecond), "--concurrency", "32"],
    ]);
    let changes = 0;
    try {
      // The first probe is on its way.
      await sleep(2_000);
      for (let round = 0; round < rounds; round += 1) {
        for (const { apply, drop } of changesOf(round)) {
          await applyObjects(environment, { in: consumer, objects: [apply] });
          if (drop !== undefined) await deleteObjects(environment, { in: consumer, objects: [drop] });
          changes += 1;
          await sleep(pauseMs);
        }
      }
    } catch (error) {
      await load.end().catch(() => undefined);
      throw error;
    }
    const result = await load.end();
    const evidence = { changes, ...result };
    must(result.requests >= result.seconds * ratePerSecond, "too few requests were sent", evidence);
    must(result.failed === 0, "requests failed", evidence);
    const clusters = new Set(Object.keys(result.servedBy).map((by) => by.split("/", 1)[0]));
    must(clusters.size === 3, "the changes did not lead to every cluster", evidence);
    return evidence;
  },
};

const growsCleanly: Claim = {
  title: `${addedRoutes} routes, added one by one, each go from 404 to 200 with no other answer between`,
  needsLab: true,
  prove: async (environment) => {
    const { consumer, lab } = environment;
    must(lab !== undefined, "there is no lab", {});
    const address = await serviceAddress(environment);
    const names = Array.from({ length: addedRoutes }, (_, index) => `added-${index}`);
    try {
      const results = await runInside<RouteResult[]>(
        lab,
        { cluster: consumer.id, program: "route-prober.ts", signal: AbortSignal.timeout(120_000) },
        {
          kubeconfig: lab.insideKubeconfig,
          context: consumer.context,
          namespace,
          gateway: gatewayName,
          address,
          port,
          pollMs: 2,
          timeoutMs: 10_000,
          afterMs: 50,
          routes: names.map((name, index) => ({
            name,
            host: `${name}.test`,
            service: `changing-${index % 2 === 0 ? "a" : "b"}`,
          })),
        } satisfies RouteTask,
      );
      const firstOk = results.map(({ firstOkMs }) => firstOkMs ?? Infinity).sort((a, b) => a - b);
      const wrong = results.filter((result) => result.wrong > 0 || result.firstOkMs === undefined);
      const evidence = {
        routes: results.length,
        wrong: wrong.map(({ name, answers }) => `${name}: ${answers.join(", ")}`),
        p50Ms: Math.round(firstOk[firstOk.length >> 1] ?? Infinity),
        maxMs: Math.round(firstOk.at(-1) ?? Infinity),
      };
      must(results.length === addedRoutes, "not every route was added", evidence);
      must(wrong.length === 0, "routes answered something else, or never 200", evidence);
      return evidence;
    } finally {
      await deleteObjects(environment, {
        in: consumer,
        objects: names.map((name) => httpRoute(at(name), { gateway: gatewayName, hostnames: [], rules: [] })),
      });
    }
  },
};

async function serviceAddress({ kubectl, consumer }: Environment): Promise<string> {
  const found = (await kubectl.json(consumer.context, [
    "get",
    "-n",
    namespace,
    `${kinds.Service.plural}/${gatewayName}-mc-wan`,
  ])) as { spec: { clusterIP: string } };
  return found.spec.clusterIP;
}

export const changes: Scenario = {
  title: "changes: a Gateway of a user answers while its routes are swapped and added",
  setUp: async (environment, progress) => {
    const { consumer } = environment;
    await payment.setUp(environment, progress);
    await applyObjects(environment, { in: consumer, objects });
    for (const deployment of ["changing-a", "changing-b", `${gatewayName}-mc-wan`])
      await eventually(`Deployment ${deployment}`, 60_000, async () => {
        await rollout(environment, { cluster: consumer, namespace, deployment });
        return true;
      });
    await eventually("answers of the Gateway", 60_000, async () => {
      const client = { cluster: consumer, namespace, deployment: "client" };
      const result = await probe(environment, client, [url, "--host", host, "--count", "10"]);
      return result.statuses["200"] === 10 ? true : undefined;
    });
    progress("changes: the Gateway answers");
  },
  claims: [losesNothing, growsCleanly],
  tearDown: async (environment) => {
    await deleteObjects(environment, {
      in: environment.consumer,
      objects: [...objects, routed("changing-1")],
    });
    await payment.tearDown(environment);
  },
};
