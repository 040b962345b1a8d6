/**
 * `payment.secure`, exported by two clusters and used from a third: GET /payment on the business tunnel, /stats on the
 * cheap one, all else denied.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { lingerMs } from "../../src/serve/linger.ts";
import type { InstallTarget } from "../../src/lab/install.ts";
import type { Claim, Scenario } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import { applyExample, deleteExample, rollout, scale } from "../example.ts";
import type { Workload } from "../example.ts";
import { goesOnly } from "../goes-only.ts";
import { controllerCounter } from "../metrics.ts";
import { conditionOf, managedObjects, watchObjectsOfService } from "../objects.ts";
import { failedRequests, probe, startProbe } from "../traffic.ts";
import { crossings } from "../wire.ts";

const example = "payment";
const namespace = "secure";
const url = "http://payment-clusterset.secure.svc.cluster.local:8080";
const mebibyte = 1024 * 1024;
/** More than the keep-alives of idle connections in one window, less than one request with an answer. */
const keepAliveBytes = 512;
const high = "sd-wan-priority-high";
const low = "sd-wan-priority-low";

const backendIn = (cluster: InstallTarget): Workload => ({ cluster, namespace, deployment: "payment" });
const clientOf = (environment: Environment): Workload => ({
  cluster: environment.consumer,
  namespace,
  deployment: "client",
});

async function setUp(environment: Environment, progress: (line: string) => void): Promise<void> {
  const { exporters } = environment;
  await applyExample(environment, example);
  progress("payment: applied");
  await Promise.all([
    ...exporters.map(async (cluster, index) => {
      await scale(environment, backendIn(cluster), index === 0 ? 1 : 3);
      await rollout(environment, backendIn(cluster));
    }),
    rollout(environment, clientOf(environment)),
  ]);
  progress("payment: Pods are ready");
  await eventually("answers from both exporters", 60_000, async () => {
    const result = await probe(environment, clientOf(environment), [`${url}/payment`, "--count", "40"]);
    return result.statuses["200"] === 40 && Object.keys(result.clusters).length === exporters.length
      ? true
      : undefined;
  });
  progress("payment: answers from both exporters");
}

const goes = (method: string, path: string, tunnel: string): Claim =>
  goesOnly({ method, url, path, tunnel, client: clientOf });

/** How many windows are looked at for one in which nothing crosses. */
const quietWindows = 10;

function isDenied(method: string, path: string): Claim {
  return {
    title: `${method} ${path} is denied at the egress gateway and causes no packet on any policy port`,
    needsLab: true,
    prove: async (environment) => {
      // Keep-alives of idle connections may fall into some windows, never into all; a request that crosses would fall into each.
      for (let attempt = 1; ; attempt += 1) {
        const { result, crossed } = await crossings(environment, environment.consumer.id, () =>
          probe(environment, clientOf(environment), [`${url}${path}`, "--method", method, "--count", "10"]),
        );
        const evidence = { statuses: result.statuses, crossed };
        must(result.statuses["404"] === 10, "not every request was answered with 404", evidence);
        if (crossed.length === 0) return evidence;
        must(attempt < quietWindows, "packets crossed a link every time", evidence);
      }
    },
  };
}

const sharesByReadyBackends: Claim = {
  title: "two exporters with 1 and 3 ready Pods answer 1:3",
  prove: async (environment) => {
    const result = await probe(environment, clientOf(environment), [
      `${url}/payment`,
      "--count",
      "400",
      "--concurrency",
      "4",
    ]);
    const [one, three] = environment.exporters.map(({ id }) => result.clusters[id] ?? 0);
    const evidence = { answers: result.clusters, statuses: result.statuses };
    must(result.statuses["200"] === 400, "not every request was answered with 200", evidence);
    must(
      Math.abs((one ?? 0) / 400 - 0.25) <= 0.05 && (one ?? 0) + (three ?? 0) === 400,
      "the shares are not 1:3 within 5 points",
      evidence,
    );
    return evidence;
  },
};

const survivesScaleToZero: Claim = {
  title: "an exporter that scales to 0 costs no request",
  prove: async (environment) => {
    const [, second] = environment.exporters;
    must(second !== undefined, "there is no second exporter", {});
    const running = startProbe(environment, clientOf(environment), [
      `${url}/payment`,
      "--duration",
      "10s",
      "--rate",
      "100",
      "--concurrency",
      "8",
    ]);
    await sleep(2_000);
    await scale(environment, backendIn(second), 0);
    const result = await running.result;
    const evidence = {
      requests: result.requests,
      statuses: result.statuses,
      failures: result.failures,
      answers: result.clusters,
    };
    await scale(environment, backendIn(second), 3);
    await rollout(environment, backendIn(second));
    must(result.requests >= 300, "the probe sent too few requests", evidence);
    must(failedRequests(result) === 0, "requests failed", evidence);
    return evidence;
  },
};

const followsPort: Claim = {
  title: "a WAN policy's port changes in all clusters: traffic follows and no request is lost",
  needsLab: true,
  prove: async (environment) => {
    const { kubectl, clusters } = environment;
    const newPort = 31113;
    const setPort = (port: number): Promise<unknown> =>
      Promise.all(
        clusters.map(({ context }) =>
          kubectl.run(context, [
            "patch",
            "wanpolicy",
            high,
            "--type=merge",
            "-p",
            JSON.stringify({ spec: { port } }),
          ]),
        ),
      );
    const running = startProbe(environment, clientOf(environment), [
      `${url}/payment`,
      "--duration",
      "12s",
      "--rate",
      "100",
      "--concurrency",
      "8",
    ]);
    await sleep(2_000);
    await setPort(newPort);
    const underWay = await running.result;
    const { result, crossed } = await crossings(environment, environment.consumer.id, () =>
      probe(environment, clientOf(environment), [
        `${url}/payment`,
        "--count",
        "16",
        "--bytes",
        String(mebibyte / 8),
      ]),
    );
    await setPort(31111);
    await eventually("the old port in use again", 30_000, async () => {
      const back = await crossings(environment, environment.consumer.id, () =>
        probe(environment, clientOf(environment), [`${url}/payment`, "--count", "8"]),
      );
      return back.crossed.some(({ port }) => port === 31111) &&
        back.crossed.every(({ port, bytes }) => port === 31111 || bytes < keepAliveBytes)
        ? true
        : undefined;
    });
    const evidence = {
      requests: underWay.requests,
      statuses: underWay.statuses,
      failures: underWay.failures,
      after: { statuses: result.statuses, crossed },
    };
    must(underWay.requests >= 300, "the probe sent too few requests", evidence);
    must(failedRequests(underWay) === 0, "requests were lost", evidence);
    must(result.statuses["200"] === 16 && result.bytes >= mebibyte, "no answers after the change", evidence);
    must(
      crossed.every(
        ({ port, tunnel, bytes }) => bytes < keepAliveBytes || (port === newPort && tunnel === "business"),
      ),
      "traffic did not move to the new port",
      evidence,
    );
    return evidence;
  },
};

const closesDeletedPolicy: Claim = {
  title: "a WAN policy is deleted while in use: its routes close, others go on, a condition says why",
  prove: async (environment) => {
    const { kubectl, consumer } = environment;
    const policy = await kubectl.run(consumer.context, ["get", "wanpolicy", low, "-o", "json"]);
    await kubectl.run(consumer.context, ["delete", "wanpolicy", low]);
    const closed = await eventually("/stats closing", 10_000, async () => {
      const result = await probe(environment, clientOf(environment), [`${url}/stats`, "--count", "5"]);
      return result.statuses["200"] === undefined ? result : undefined;
    });
    const others = await probe(environment, clientOf(environment), [`${url}/payment`, "--count", "50"]);
    const condition = await eventually("the condition", 10_000, async () => {
      const seen = await conditionOf(
        environment,
        { cluster: consumer, namespace, object: "serviceimports.mc-wan.l7mp.io/payment" },
        "ResolvedRefs",
      );
      return seen?.status === "False" ? seen : undefined;
    });
    await kubectl.run(consumer.context, ["apply", "--server-side", "-f", "-"], withoutServerFields(policy));
    await eventually("/stats opening again", 20_000, async () => {
      const result = await probe(environment, clientOf(environment), [`${url}/stats`, "--count", "5"]);
      return result.statuses["200"] === 5 ? true : undefined;
    });
    const evidence = { closed: closed.value.statuses, others: others.statuses, condition: condition.value };
    must(others.statuses["200"] === 50, "another route was disturbed", evidence);
    must(condition.value.message.includes(low), "the condition does not name the policy", evidence);
    return evidence;
  },
};

const refusesForeignHostname: Claim = {
  title:
    "a route of another namespace that claims the service's hostname on a pooled Gateway is refused, and the service is served as before",
  prove: async (environment) => {
    const { kubectl, consumer } = environment;
    const thief = {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "HTTPRoute",
      metadata: { name: "thief", namespace: "default" },
      spec: {
        parentRefs: [{ name: "payment-clusterset", namespace }],
        hostnames: ["payment-clusterset.secure.svc.cluster.local", "payment.secure.svc.clusterset.local"],
        rules: [{ backendRefs: [{ name: "kubernetes", port: 443 }] }],
      },
    };
    await kubectl.run(consumer.context, ["apply", "--server-side", "-f", "-"], JSON.stringify(thief));
    try {
      const condition = await eventually("a refusal", 10_000, async () => {
        const seen = await conditionOf(
          environment,
          { cluster: consumer, namespace: "default", object: "httproute/thief" },
          "Accepted",
        );
        return seen?.status === "False" ? seen : undefined;
      });
      const served = await probe(environment, clientOf(environment), [`${url}/payment`, "--count", "50"]);
      const evidence = { condition: condition.value, statuses: served.statuses, answers: served.clusters };
      must(served.statuses["200"] === 50, "the service was disturbed", evidence);
      return evidence;
    } finally {
      await kubectl.attempt(consumer.context, ["delete", "httproute", "-n", "default", "thief"]);
    }
  },
};

const restartsQuietly: Claim = {
  title:
    "controllers restart with the same input: 0 writes to the API, 0 resources pushed to Envoys, no request fails",
  prove: async (environment) => {
    const { kubectl, clusters } = environment;
    // What lingers after the last change of a port is gone first: it is not part of the input.
    await sleep(lingerMs + 1_000);
    const before = await Promise.all(clusters.map((cluster) => managedObjects(environment, cluster)));
    const running = startProbe(environment, clientOf(environment), [
      `${url}/payment`,
      "--duration",
      "15s",
      "--rate",
      "100",
      "--concurrency",
      "8",
    ]);
    await Promise.all(
      clusters.map(async ({ context }) => {
        await kubectl.run(context, [
          "delete",
          "pods",
          "-n",
          "mc-wan-system",
          "-l",
          "app.kubernetes.io/name=mc-wan-controller",
        ]);
        await kubectl.run(context, [
          "rollout",
          "status",
          "-n",
          "mc-wan-system",
          "deployment/mc-wan-controller",
          "--timeout=60s",
        ]);
      }),
    );
    const result = await running.result;
    const after = await Promise.all(clusters.map((cluster) => managedObjects(environment, cluster)));
    const changed = before.flatMap((objects, index) =>
      [...new Set([...objects.keys(), ...(after[index]?.keys() ?? [])])].filter(
        (key) => objects.get(key) !== after[index]?.get(key) && !hasStatusOfOthers(key),
      ),
    );
    const writes = await sumOver(environment, "mcwan_writes_total");
    const pushes = await sumOver(environment, "mcwan_xds_pushes_total");
    const evidence = {
      objects: before.reduce((sum, { size }) => sum + size, 0),
      changed,
      writes,
      pushes,
      requests: result.requests,
      statuses: result.statuses,
      failures: result.failures,
    };
    must(changed.length === 0, "objects changed", evidence);
    must(Object.keys(writes).length === 0, "the new controllers wrote to the API", evidence);
    must(Object.keys(pushes).length === 0, "the new controllers pushed resources", evidence);
    must(result.requests >= 200 && failedRequests(result) === 0, "requests failed", evidence);
    return evidence;
  },
};

/** A counter of all controllers, by labels, where it is not 0. */
async function sumOver(environment: Environment, name: string): Promise<Record<string, number>> {
  const perCluster = await Promise.all(
    environment.clusters.map(async (cluster) => ({
      id: cluster.id,
      counter: await controllerCounter(environment, cluster, name),
    })),
  );
  return Object.fromEntries(
    perCluster.flatMap(({ id, counter }) =>
      [...counter]
        .filter(([, value]) => value > 0)
        .map(([labels, value]) => [`${id} ${labels}`, value] as const),
    ),
  );
}

/** The status of these is Kubernetes's own, and changes with their Pods. */
const hasStatusOfOthers = (key: string): boolean => /^(Deployment|PodDisruptionBudget) /.test(key);

const unexportsQuickly: Claim = {
  title: "unexport: everything that came from it is gone in every cluster in 2 s",
  prove: async (environment) => {
    const { kubectl, clusters, exporters } = environment;
    const service = { namespace, name: "payment" };
    const looks = await Promise.all(
      clusters.map((cluster) => watchObjectsOfService(environment, cluster, service)),
    );
    const look = async (): Promise<string[]> => (await Promise.all(looks.map((ask) => ask()))).flat();
    const before = (await look()).length;
    must(before > 0, "there was nothing to begin with", { before });
    await Promise.all(
      exporters.map(({ context }) =>
        kubectl.run(context, ["delete", "serviceexport", "-n", namespace, "payment", "--wait=false"]),
      ),
    );
    const { afterMs } = await eventually("everything gone", 10_000, async () =>
      (await look()).length === 0 ? true : undefined,
    );
    const evidence = { objectsBefore: before, goneAfterMs: afterMs };
    must(afterMs <= 2_000, "it took longer than 2 s", evidence);
    return evidence;
  },
};

function withoutServerFields(json: string): string {
  const { apiVersion, kind, metadata, spec } = JSON.parse(json) as {
    apiVersion: string;
    kind: string;
    metadata: { name: string; annotations?: Record<string, string> };
    spec: unknown;
  };
  return JSON.stringify({
    apiVersion,
    kind,
    metadata: { name: metadata.name, annotations: metadata.annotations },
    spec,
  });
}

/** What the demo shows. */
export const routing: readonly Claim[] = [
  goes("GET", "/payment", "business"),
  goes("GET", "/stats", "default"),
  goes("POST", "/stats", "default"),
  isDenied("POST", "/payment"),
  isDenied("GET", "/"),
  sharesByReadyBackends,
];

/** All claims about the example, in an order in which each leaves the objects as it found them, but for the last. */
export const payment: Scenario = {
  title: "payment: HTTP rules choose the tunnel",
  setUp,
  claims: [
    ...routing,
    survivesScaleToZero,
    followsPort,
    closesDeletedPolicy,
    refusesForeignHostname,
    restartsQuietly,
    unexportsQuickly,
  ],
  tearDown: (environment) => deleteExample(environment, example),
};
