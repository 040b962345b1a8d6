/**
 * mc-wan with `--data-plane gateway-api` beside a real Envoy Gateway, inside of a private network: rules to two clusters, and
 * what an Envoy of Envoy Gateway makes of requests. Task on standard input, result on standard output, both JSON.
 *
 *     API server ← mc-wan → Gateways, routes, dummies → Envoy Gateway → Envoy → "gateways" of two clusters (HTTP servers)
 */
import { createServer, request } from "node:http";
import { Controller } from "../src/cli/run.ts";
import { dataPlaneNamed } from "../src/cli/data-planes/registry.ts";
import { realTiming } from "../src/drivers/timing/real-timing.ts";
import { certificateMaker } from "../src/drivers/x509/certificate-maker.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KindName, ObjectTypes } from "../src/model/kinds.ts";
import { labels, systemNamespace } from "../src/model/names.ts";
import { createReconcile } from "../src/reconcile/reconcile.ts";
import { create, createNamespace, eventually, startHomeCluster } from "../test/home-cluster.ts";
import type { HomeCluster } from "../test/home-cluster.ts";
import { keptLog, keptMetrics } from "../test/quiet.ts";
import type { Arena } from "./contender.ts";
import { envoyGateway } from "./contender-envoy-gateway.ts";
import { readTask } from "./inside-watch.ts";
import { Program } from "./program.ts";
import { controllerSettings } from "../test/controller-settings.ts";

/** The programs, and a folder for their files. */
export interface DataPlaneTask {
  readonly folder: string;
  readonly envoy: string;
  readonly envoyGateway: string;
  readonly requests: number;
}

/** What came of it. */
export interface DataPlaneResult {
  /** Conditions `Carried` of export and import, and all of the L7 ServiceImport, as `type=status`. */
  readonly conditions: readonly string[];
  /** Of the export's own advertisement. */
  readonly advertised: unknown;
  /** Service types that Envoy Gateway gave. */
  readonly serviceTypes: readonly unknown[];
  /** What the clusters' gateways saw, with how often. */
  readonly seen: Readonly<Record<string, number>>;
  /** Answers to what the rules allow, with how often, and to what they don't. */
  readonly answers: Readonly<Record<string, number>>;
  readonly denied: readonly number[];
}

const waitMs = 120_000;
const itsNamespace = "envoy-gateway-system";
const policies = { high: 31_111, low: 31_112 };
/** The other clusters: their one gateway's address, and their ready backends. */
const clusters = [
  { id: "east", address: "198.18.2.2", ready: 3 },
  { id: "north", address: "198.18.3.2", ready: 1 },
];
/** Where the Envoy of the egress Gateway is said to be. */
const podAddress = "198.18.1.30";
/** Port 80 of the service, as Envoy Gateway has it in its Pods. */
const egressPort = 10_080;

const rules = [
  {
    matches: [{ method: "GET", path: { type: "PathPrefix", value: "/payment" } }],
    filters: [
      { type: "URLRewrite", urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/v1" } } },
    ],
    backendRefs: [{ group: "mc-wan.l7mp.io", kind: "WANPolicy", name: "high" }],
  },
  {
    matches: [{ path: { type: "PathPrefix", value: "/stats" } }],
    backendRefs: [{ group: "mc-wan.l7mp.io", kind: "WANPolicy", name: "low" }],
  },
];

const internalClass = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: internal }
spec:
  controllerName: gateway.envoyproxy.io/gatewayclass-controller
  parametersRef: { group: gateway.envoyproxy.io, kind: EnvoyProxy, namespace: ${itsNamespace}, name: internal }
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyProxy
metadata: { name: internal, namespace: ${itsNamespace} }
spec: { provider: { type: Kubernetes, kubernetes: { envoyService: { type: ClusterIP } } } }
`;

const stops: (() => unknown)[] = [];
const signal = new AbortController().signal;
const progress = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function cluster(): Promise<HomeCluster> {
  const started = await startHomeCluster();
  stops.push(() => started.stop());
  await createNamespace(started.client, "secure");
  for (const [name, port] of Object.entries(policies))
    await create(started.client, kinds.WANPolicy, {
      metadata: { name },
      spec: { tunnel: name, port, mode: "Plain" },
    });
  return started;
}

async function peer({ address, ready }: (typeof clusters)[number]): Promise<HomeCluster> {
  const started = await cluster();
  await create(started.client, kinds.ServiceAdvertisement, {
    metadata: { name: "payment", namespace: "secure" },
    spec: {
      formatVersion: 1,
      type: "ClusterSetIP",
      exportTime: "2026-01-01T00:00:00Z",
      ports: [{ name: "http", protocol: "TCP", port: 80 }],
      ipFamilies: ["IPv4"],
      pool: "mc-wan-ingress",
      readyBackends: [{ zone: "", count: ready }],
      wanPolicy: "high",
    },
  });
  await create(started.client, kinds.GatewayAdvertisement, {
    metadata: { name: "mc-wan-ingress", namespace: systemNamespace },
    spec: { formatVersion: 1, mode: "PodIP", endpoints: [{ address, ports: policies }] },
  });
  return started;
}

/** mc-wan as it would run in the home cluster. */
async function startController(home: HomeCluster, peers: readonly HomeCluster[]): Promise<void> {
  const [log, metrics] = [keptLog(), keptMetrics()];
  const driver = dataPlaneNamed("gateway-api");
  const controller = new Controller({
    reconcile: createReconcile(),
    home: await home.connect(),
    connectPeer: async (kubeconfig) => {
      const index = Number(Buffer.from(kubeconfig.reveal(), "base64").toString());
      return (await peers[index]?.connect()) ?? [];
    },
    probeGateway: () => Promise.resolve(undefined),
    certificateMaker,
    dataPlane: await driver.create({
      stage: (stage) => ({ stage, timing: realTiming, log, metrics }),
      xdsPort: 0,
      tokenKeys: () => Promise.reject(new Error("nobody is served")),
      token: () => Promise.resolve(""),
    }),
    log,
    metrics,
    timing: realTiming,
    settings: {
      ...controllerSettings,
      dataPlane: driver.settings({ gatewayClass: "internal", ingressMode: "PodIP" }),
    },
    clusterId: "west",
    identity: "one_127.0.0.1",
    leaderElection: false,
  });
  await controller.start();
  stops.push(() => controller.stop());
}

/** No kubelet and no endpoint controller are here: what they would say of the Pods of a Gateway. */
async function writeSlices(home: HomeCluster): Promise<ObjectTypes["Service"][]> {
  const look = async (): Promise<ObjectTypes["Service"][]> => {
    const { items } = await home.client.list(kinds.Service, {
      labels: "gateway.envoyproxy.io/owning-gateway-name",
      signal,
    });
    return items as ObjectTypes["Service"][];
  };
  const services = await eventually(look, ({ length }) => length === 2, waitMs);
  for (const { metadata, spec } of services) {
    await create(home.client, kinds.EndpointSlice, {
      metadata: {
        name: `${metadata.name}-a`,
        namespace: itsNamespace,
        labels: { [labels.kubeServiceName]: metadata.name },
      },
      addressType: "IPv4",
      ports: spec?.ports?.map(({ name, targetPort }) => ({ name, port: targetPort, protocol: "TCP" })),
      endpoints: [{ addresses: [podAddress], conditions: { ready: true } }],
    });
  }
  return services;
}

async function conditionsOf(home: HomeCluster, kind: KindName, name: string): Promise<string[]> {
  const found = await home.client.get(kinds[kind], { namespace: "secure", name });
  const { conditions = [] } = (found?.["status"] ?? {}) as {
    conditions?: { type: string; status: string }[];
  };
  return conditions.map(({ type, status }) => `${kind} ${type}=${status}`);
}

/** The gateways of the other clusters: they count. */
function listen(seen: Map<string, number>): void {
  for (const { id, address } of clusters) {
    for (const port of Object.values(policies)) {
      const server = createServer(({ method, url, headers }, response) => {
        const what = `${id}:${port} ${method ?? ""} ${url ?? ""} ${headers.host ?? ""} ${String(headers["x-mc-wan-port"])}`;
        seen.set(what, (seen.get(what) ?? 0) + 1);
        response.end("ok");
      });
      server.listen(port, address);
      stops.push(() => server.close());
    }
  }
}

/** Asks the egress gateway as a client in the cluster would; 0 if there is no answer. */
async function ask(path: string, host: string, method = "GET"): Promise<number> {
  return await new Promise((resolve) => {
    const headers = { host, "x-mc-wan-port": "99" };
    const asked = request({ host: "127.0.0.1", port: egressPort, path, method, headers }, (response) => {
      response.resume().on("end", () => {
        resolve(response.statusCode ?? 0);
      });
    });
    asked.on("error", () => {
      resolve(0);
    });
    asked.end();
  });
}

async function run(task: DataPlaneTask): Promise<DataPlaneResult> {
  const home = await cluster();
  const peers = await Promise.all(clusters.map(peer));
  progress("three API servers");
  const arena: Arena = {
    ...{ home, folder: task.folder, envoyProgram: task.envoy, namespace: "secure", quick: true },
    ...{ gateway: "payment-clusterset", progress, signal },
  };
  const contender = envoyGateway(task.envoyGateway);
  await contender.install(arena);
  await home.api.kubectl.run(home.api.context, ["apply", "--server-side", "-f", "-"], internalClass);
  for (const [index, { id }] of clusters.entries()) {
    await create(home.client, kinds.Secret, {
      metadata: { name: id, namespace: systemNamespace, labels: { [labels.peer]: id } },
      stringData: { kubeconfig: String(index) },
    });
  }
  const own = { name: "own", namespace: "secure" };
  await create(home.client, kinds.Service, {
    metadata: own,
    spec: { ports: [{ name: "http", port: 8080 }] },
  });
  const annotations = { "mc-wan.l7mp.io/wan-policy": "high" };
  await create(home.client, kinds.ServiceExport, { metadata: { ...own, annotations } });
  await create(home.client, kinds.ServiceImport, {
    metadata: { name: "payment", namespace: "secure" },
    spec: { http: { rules } },
  });
  const server = contender.start(arena);
  stops.push(() => server.stop());
  await startController(home, peers);
  const services = await writeSlices(home);
  progress("Envoy Gateway has made Services for both Gateways");
  const conditions = await eventually(
    async () => [
      ...(await conditionsOf(home, "ServiceExport", "own")),
      ...(await conditionsOf(home, "McsServiceImport", "payment")),
      ...(await conditionsOf(home, "ServiceImport", "payment")),
    ],
    (all) => all.filter((said) => said.endsWith("Carried=True")).length === 2,
    waitMs,
  );
  const start = await eventually(() => contender.envoyOf(arena), Boolean, waitMs);
  const words = [task.envoy, ...(start?.args ?? []), "--concurrency", "1"];
  const envoy = new Program(words, { name: "Envoy", log: `${task.folder}/envoy.log` });
  stops.push(() => envoy.stop());
  const seen = new Map<string, number>();
  listen(seen);
  await eventually(
    () => ask("/payment", "payment.secure"),
    (status) => status === 200,
    waitMs,
  );
  progress("an Envoy of Envoy Gateway carries the import");
  seen.clear();
  const answers: Record<string, number> = {};
  for (let index = 0; index < task.requests; index++) {
    for (const path of ["/payment/x", "/stats"]) {
      const status = await ask(path, index % 2 === 0 ? "payment-clusterset.secure.svc" : "payment:80");
      answers[status] = (answers[status] ?? 0) + 1;
    }
  }
  const denied = [
    await ask("/admin", "payment.secure"),
    await ask("/payment", "payment.secure", "POST"),
    await ask("/stats", "other.secure"),
  ];
  const pool = { namespace: systemNamespace, name: "secure.own" };
  const advertised = (await home.client.get(kinds.GatewayAdvertisement, pool)) as
    ObjectTypes["GatewayAdvertisement"] | undefined;
  return {
    conditions,
    advertised: advertised?.spec.endpoints,
    serviceTypes: services.map(({ spec }) => spec?.type),
    seen: Object.fromEntries(seen),
    answers,
    denied,
  };
}

const task = await readTask<DataPlaneTask>();
try {
  process.stdout.write(JSON.stringify(await run(task)));
} finally {
  for (const stop of stops.reverse()) await stop();
}
process.exit(0);
