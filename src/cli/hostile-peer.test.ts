import { expect } from "chai";
import { peerAccess } from "../drivers/kube/kubeconfig.ts";
import { KubeClient } from "../drivers/kube/kube-client.ts";
import { realTiming } from "../drivers/timing/real-timing.ts";
import { certificateMaker } from "../drivers/x509/certificate-maker.ts";
import { kubeconfig } from "../lab/kubeconfig.ts";
import { kinds } from "../model/kinds.ts";
import type { KindName, ObjectTypes } from "../model/kinds.ts";
import type { Condition, KubeObject } from "../model/kube-object.ts";
import { labels, systemNamespace } from "../model/names.ts";
import { createReconcile } from "../reconcile/reconcile.ts";
import { create, createNamespace, eventually, startHomeCluster } from "../../test/home-cluster.ts";
import type { HomeCluster } from "../../test/home-cluster.ts";
import { keptLog, keptMetrics } from "../../test/quiet.ts";
import { GatewayApiDataPlane } from "./data-planes/gateway-api.ts";
import { Controller } from "./run.ts";
import { controllerSettings } from "../../test/controller-settings.ts";

const exported = (spec: object = {}): object => ({
  formatVersion: 1,
  type: "ClusterSetIP",
  exportTime: "2026-01-01T00:00:00Z",
  ports: [{ name: "http", protocol: "TCP", port: 80 }],
  ipFamilies: ["IPv4"],
  wanPolicy: "high",
  pool: "mc-wan-ingress",
  readyBackends: [{ zone: "", count: 1 }],
  ...spec,
});
const endpoints = (count: number): object[] =>
  Array.from({ length: count }, (_, index) => ({
    addresses: [`203.0.${index >> 8}.${index & 255}`],
    ready: true,
  }));

describe("a peer that lies, at three real API servers", function () {
  this.timeout(300_000);
  let home: HomeCluster;
  let good: HomeCluster;
  let hostile: HomeCluster;
  let controller: Controller | undefined;

  before(async () => {
    // One after the other: each takes a whole processor until it is ready.
    home = await startHomeCluster();
    good = await startHomeCluster();
    hostile = await startHomeCluster();
    // Its API server admits whatever it is told.
    for (const name of ["serviceadvertisements", "gatewayadvertisements"])
      await loosen(hostile, `${name}.mc-wan.l7mp.io`);
  });
  after(async () => {
    await controller?.stop();
    for (const cluster of [home, good, hostile]) await (cluster as HomeCluster | undefined)?.stop();
  });

  const says = async (
    cluster: HomeCluster,
    kind: KindName,
    object: { name: string; namespace: string; spec: object },
  ) => {
    const { spec, ...metadata } = object;
    await create(cluster.client, kinds[kind], { metadata, spec });
  };
  const kubeconfigOf = (
    { api: { url: server, authority, token: usual } }: HomeCluster,
    token = usual,
  ): string => kubeconfig([{ context: "x", server, authority, token }]);
  const peersUsable = async (
    kind: KindName,
    ref: { namespace: string; name: string },
  ): Promise<Condition | undefined> => {
    const object = (await home.client.get(kinds[kind], ref)) as
      { status?: { conditions?: Condition[] } } | undefined;
    return object?.status?.conditions?.find(({ type }) => type === "PeersUsable");
  };
  const pool = { namespace: systemNamespace, name: "mc-wan-ingress" };
  const stateOf = async (id: string): Promise<string | undefined> => {
    const found = (await home.client.get(kinds.GatewayAdvertisement, pool)) as
      ObjectTypes["GatewayAdvertisement"] | undefined;
    return found?.status?.peers?.find(({ cluster }) => cluster === id)?.state;
  };

  it("is refused item by item, with a condition and an Event at its Secret, and harms no other", async () => {
    const policy = { metadata: { name: "high" }, spec: { tunnel: "business", port: 31111, mode: "Plain" } };
    for (const cluster of [home, good, hostile]) {
      await create(cluster.client, kinds.WANPolicy, policy);
      await createNamespace(cluster.client, "secure");
    }
    const own = (await create(home.client, kinds.Service, {
      metadata: { name: "database", namespace: "secure" },
      spec: { ports: [{ port: 5432 }] },
    })) as unknown as { spec: { clusterIP: string } };
    const gateways = (spec: object[]): object => ({ formatVersion: 1, mode: "PodIP", endpoints: spec });
    const at = (address: string, port = 31111): object => ({ address, ports: { high: port } });
    await says(good, "ServiceAdvertisement", { namespace: "secure", name: "payment", spec: exported() });
    await says(good, "GatewayAdvertisement", { ...pool, spec: gateways([at("198.51.100.2")]) });

    const lies = ["127.0.0.1", "169.254.169.254", "169.254.1.1", "fd00::1", "0.0.0.0", own.spec.clusterIP];
    await says(hostile, "GatewayAdvertisement", {
      ...pool,
      spec: gateways([
        ...lies.map((address) => at(address)),
        at("198.51.100.9", 9901),
        at("198.51.100.10", 22),
        at("198.51.100.3"),
      ]),
    });
    await says(hostile, "GatewayAdvertisement", {
      namespace: systemNamespace,
      name: "named",
      spec: gateways([at("gateway.example.com"), at("198.51.100.6")]),
    });
    await says(hostile, "GatewayAdvertisement", {
      namespace: systemNamespace,
      name: "zero",
      spec: gateways([at("198.51.100.4", 0)]),
    });
    await says(hostile, "GatewayAdvertisement", {
      namespace: systemNamespace,
      name: "many",
      spec: gateways(Array.from({ length: 10_000 }, () => at("198.51.100.5"))),
    });
    // By its own word it may speak for a service; what it says of its own is taken.
    await says(hostile, "ServiceAdvertisement", { namespace: "secure", name: "payment", spec: exported() });
    for (const [namespace, name] of [
      ["kube-system", "dns"],
      ["default", "kubernetes"],
    ] as const)
      await says(hostile, "ServiceAdvertisement", { namespace, name, spec: exported() });
    await says(hostile, "ServiceAdvertisement", {
      namespace: "secure",
      name: "long-word",
      spec: exported({ wanPolicy: "x".repeat(100_000) }),
    });
    await says(hostile, "ServiceAdvertisement", {
      namespace: "secure",
      name: "long-note",
      spec: exported({ annotations: { a: "x".repeat(300_000) } }),
    });
    const headless = (count: number): object =>
      exported({ type: "Headless", readyBackends: [], endpoints: endpoints(count) });
    await says(hostile, "ServiceAdvertisement", {
      namespace: "secure",
      name: "crowd",
      spec: headless(20_000),
    });
    for (let index = 10; index < 40; index += 1)
      await says(hostile, "ServiceAdvertisement", {
        namespace: "secure",
        name: `h-${index}`,
        spec: headless(1_000),
      });
    await says(hostile, "ServiceAdvertisement", {
      namespace: "secure",
      name: "a-headless",
      spec: exported({
        type: "Headless",
        endpoints: [{ hostname: "web-0", addresses: [own.spec.clusterIP, "203.0.113.7"], ready: true }],
      }),
    });

    for (const [id, cluster] of [
      ["east", good],
      ["mallory", hostile],
    ] as const)
      await create(home.client, kinds.Secret, {
        metadata: { name: id, namespace: systemNamespace, labels: { [labels.peer]: id } },
        stringData: { kubeconfig: kubeconfigOf(cluster) },
      });
    controller = await startController(home);

    const told = await eventually(
      () => peersUsable("GatewayAdvertisement", pool),
      (found) => found?.message.includes("127.0.0.1") ?? false,
      60_000,
    );
    const message = told?.message ?? "";
    for (const lie of lies) expect(message, lie).to.contain(lie);
    for (const port of [9901, 22]) expect(message).to.contain(`advertises port ${port} of`);
    expect(message).to.contain("objects of peers can't be read, or are not taken");
    const { items } = await home.client.list(kinds.EndpointSlice, { signal: AbortSignal.timeout(20_000) });
    const slices = items as ObjectTypes["EndpointSlice"][];
    const used = new Set(
      slices
        .filter(({ metadata }) => metadata.labels?.["app.kubernetes.io/managed-by"] === "mc-wan")
        .flatMap((slice) => slice.endpoints ?? [])
        .flatMap(({ addresses }) => addresses),
    );
    for (const address of [
      ...lies,
      "198.51.100.4",
      "198.51.100.5",
      "198.51.100.6",
      "198.51.100.9",
      "198.51.100.10",
    ])
      expect(used.has(address), address).to.equal(false);
    // What is sound is taken, of both.
    for (const address of ["198.51.100.2", "198.51.100.3", "203.0.113.7"])
      await eventually(
        async () => await addressesOf(home),
        (all) => all.has(address),
        60_000,
      );
    const imported = async (): Promise<string[]> => {
      const found = await home.client.list(kinds.McsServiceImport, { signal: AbortSignal.timeout(20_000) });
      return (found.items as KubeObject[])
        .map(({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}`)
        .sort();
    };
    const imports = await eventually(imported, (all) => all.length >= 21, 60_000);
    expect(imports).to.include.members(["secure/payment", "secure/a-headless"]);
    // 20,000 endpoints at most: one of the small one and 19 times 1,000.
    expect(imports.filter((key) => key.startsWith("secure/h-"))).to.have.lengthOf(19);
    expect(imports.some((key) => /kube-system|default\/|long|crowd/.test(key))).to.equal(false);
    const overlap = await eventually(
      () => peersUsable("McsServiceImport", { namespace: "secure", name: "a-headless" }),
      (found) => found?.reason === "AddressOverlap",
      60_000,
    );
    expect(overlap?.message).to.contain(own.spec.clusterIP);
    const events = async (): Promise<string[]> =>
      (
        JSON.parse(
          await home.api.kubectl.run(home.api.context, [
            "get",
            "events",
            "-n",
            systemNamespace,
            "-o",
            "json",
          ]),
        ) as {
          items: {
            involvedObject?: { name: string };
            regarding?: { name: string };
            message?: string;
            note?: string;
          }[];
        }
      ).items
        .filter((event) => (event.involvedObject ?? event.regarding)?.name === "mallory")
        .map((event) => event.message ?? event.note ?? "");
    await eventually(
      events,
      (all) => all.some((text) => text.includes("Not everything that this peer says is taken")),
      60_000,
    );
    expect(await stateOf("east")).to.equal("Synced");
  });

  it("and one whose credentials are wrong, then right: told, and taken up again within 5 s", async () => {
    const rotate = async (token?: string): Promise<void> => {
      const data = { kubeconfig: Buffer.from(kubeconfigOf(good, token)).toString("base64") };
      await home.api.kubectl.run(home.api.context, [
        "patch",
        "secret",
        "-n",
        systemNamespace,
        "east",
        "-p",
        JSON.stringify({ data }),
      ]);
    };
    await rotate("wrong");
    await eventually(
      () => stateOf("east"),
      (state) => state === "Stale",
      60_000,
    );
    const start = performance.now();
    await rotate();
    await eventually(
      () => stateOf("east"),
      (state) => state === "Synced",
      60_000,
    );
    expect(performance.now() - start).to.be.below(5_000);
  });
});

async function addressesOf({ client }: HomeCluster): Promise<Set<string>> {
  const { items } = await client.list(kinds.EndpointSlice, { signal: AbortSignal.timeout(20_000) });
  return new Set(
    (items as ObjectTypes["EndpointSlice"][])
      .flatMap((slice) => slice.endpoints ?? [])
      .flatMap(({ addresses }) => addresses),
  );
}

/** Takes the schema away from a CRD. */
async function loosen({ client }: HomeCluster, name: string): Promise<void> {
  const crd = (await client.get(kinds.CustomResourceDefinition, { name })) as unknown as KubeObject & {
    spec: { versions: { schema: unknown; additionalPrinterColumns?: unknown }[] };
  };
  for (const version of crd.spec.versions)
    version.schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  await client.replace(kinds.CustomResourceDefinition, crd);
  const kind = name.startsWith("service") ? kinds.ServiceAdvertisement : kinds.GatewayAdvertisement;
  await eventually(
    async () =>
      await create(client, kind, { metadata: { name: "probe", namespace: systemNamespace }, spec: {} }).then(
        () => true,
        () => false,
      ),
    (isLoose) => isLoose,
    30_000,
  );
}

async function startController(home: HomeCluster): Promise<Controller> {
  const controller = new Controller({
    reconcile: createReconcile(),
    home: await home.connect(),
    connectPeer: async (kubeconfig) => {
      const access = await peerAccess(Buffer.from(kubeconfig.reveal(), "base64"));
      return "server" in access ? new KubeClient(access) : access;
    },
    probeGateway: () => Promise.resolve(undefined),
    certificateMaker,
    // It serves nobody.
    dataPlane: new GatewayApiDataPlane(),
    log: keptLog(),
    metrics: keptMetrics(),
    timing: realTiming,
    settings: controllerSettings,
    clusterId: "west",
    identity: "one_127.0.0.1",
    leaderElection: false,
  });
  await controller.start();
  return controller;
}
