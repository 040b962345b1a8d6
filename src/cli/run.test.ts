import { expect } from "chai";
import { realTiming } from "../drivers/timing/real-timing.ts";
import { certificateMaker } from "../drivers/x509/certificate-maker.ts";
import { leaseKind, leaseName } from "../apply/lease.ts";
import type { LeaseTimes } from "../apply/lease.ts";
import type { Desired, DesiredObject, DesiredStatus } from "../model/desired.ts";
import { objectKey } from "../model/desired.ts";
import { kinds } from "../model/kinds.ts";
import type { KindName } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { labels, systemNamespace } from "../model/names.ts";
import type { World } from "../model/world.ts";
import { create, createNamespace, eventually, startHomeCluster } from "../../test/home-cluster.ts";
import type { HomeCluster } from "../../test/home-cluster.ts";
import { keptLog, keptMetrics } from "../../test/quiet.ts";
import type { KeptLog, KeptMetrics } from "../../test/quiet.ts";
import { GatewayApiDataPlane } from "./data-planes/gateway-api.ts";
import { Controller } from "./run.ts";

const quick: LeaseTimes = { durationMs: 2000, deadlineMs: 1300, retryMs: 200 };
const ours = { [labels.managedBy]: labels.managedByValue };

interface Wanted {
  objects: readonly DesiredObject[];
  statuses: readonly DesiredStatus[];
}

interface Running {
  readonly controller: Controller;
  readonly log: KeptLog;
  readonly metrics: KeptMetrics;
  readonly world: () => World | undefined;
  /** Writes that were done. */
  readonly writes: (labels?: Record<string, string>) => number;
  readonly settled: () => Promise<void>;
}

describe("a Controller at a real API server", function () {
  this.timeout(60_000);
  let home: HomeCluster;
  let wanted: Wanted;
  let running: Controller[] = [];
  let namespaces = 0;
  let namespace = "";

  before(async () => {
    home = await startHomeCluster();
  });
  after(async () => {
    await home.stop();
  });
  beforeEach(async () => {
    wanted = { objects: [], statuses: [] };
    namespaces += 1;
    namespace = `test-${namespaces}`;
    await createNamespace(home.client, namespace);
  });
  afterEach(async () => {
    for (const controller of running) await controller.stop();
    running = [];
  });

  async function run(changes: { identity?: string; leaderElection?: boolean } = {}): Promise<Running> {
    const log = keptLog();
    const metrics = keptMetrics();
    const controller = new Controller({
      reconcile: (world) => desiredOf(wanted, world),
      home: await home.connect(),
      connectPeer: () => Promise.resolve([]),
      probeGateway: () => Promise.resolve(undefined),
      certificateMaker,
      // It serves nobody.
      dataPlane: new GatewayApiDataPlane(),
      log,
      metrics,
      timing: realTiming,
      settings: {
        envoyImage: "envoy",
        xdsAddress: { host: "xds", port: 1 },
        dummyEndpoints: "All",
        legacyEndpoints: true,
        poolReplicas: 1,
        dataPlane: { name: "envoy" },
        trustDomain: "mc-wan.l7mp.io",
        ingress: { mode: "PodIP", addresses: [] },
      },
      clusterId: "east",
      identity: changes.identity ?? "one_127.0.0.1",
      leaderElection: changes.leaderElection ?? false,
      leaseTimes: quick,
    });
    await controller.start();
    running.push(controller);
    const writes = (by: Record<string, string> = {}): number =>
      metrics.total("mcwan_writes_total", { outcome: "done", ...by });
    return {
      controller,
      log,
      metrics,
      world: () => controller.status.world,
      writes,
      settled: async () => {
        await eventually(() => controller.status.isServing, Boolean);
        await new Promise((resolve) => setTimeout(resolve, 300));
        await eventually(
          () => controller.status.waitingWrites,
          (waiting) => waiting === 0,
        );
      },
    };
  }

  /** Something changes that is nobody's, so that a new World comes. */
  async function nudge(): Promise<void> {
    await create(home.client, kinds.Service, {
      metadata: { generateName: "nudge-", name: "", namespace },
      spec: { ports: [{ port: 1 }] },
    });
  }

  function service(name: string, spec: object = {}): DesiredObject {
    const metadata = { name, namespace, labels: ours };
    return {
      kind: "Service",
      object: {
        apiVersion: "v1",
        kind: "Service",
        metadata,
        spec: { ports: [{ name: "http", port: 80 }], ...spec },
      },
    };
  }

  async function get(kind: KindName, name: string): Promise<KubeObject | undefined> {
    return await home.client.get(kinds[kind], { namespace, name });
  }

  async function remove(kind: KindName, name: string): Promise<void> {
    const found = await get(kind, name);
    await home.client.delete(kinds[kind], { namespace, name }, { uid: found?.metadata.uid ?? "" });
  }

  async function kubectl(...args: string[]): Promise<void> {
    await home.api.kubectl.run(home.api.context, [...args, "-n", namespace]);
  }

  it("writes what is wanted once, and nothing after a restart with the same input", async () => {
    const slice: DesiredObject = {
      kind: "EndpointSlice",
      object: {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { name: "s", namespace, labels: { ...ours, [labels.sliceManagedBy]: "mc-wan" } },
        addressType: "IPv4",
        ports: [{ name: "http", port: 80 }],
        endpoints: [{ addresses: ["198.18.0.1"], conditions: { ready: true } }],
      },
    };
    const deployment: DesiredObject = {
      kind: "Deployment",
      object: {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "d", namespace, labels: ours },
        spec: {
          replicas: 2,
          selector: { matchLabels: { app: "d" } },
          template: {
            metadata: { labels: { app: "d" } },
            spec: {
              containers: [
                { name: "c", image: "x", resources: { requests: { cpu: "0.1" } }, volumeMounts: [] },
              ],
              volumes: [{ name: "v", emptyDir: {} }],
            },
          },
        },
      },
    };
    wanted = { objects: [service("a"), slice, deployment], statuses: [] };
    const first = await run();
    await first.settled();
    expect(first.writes()).to.equal(3);
    await nudge();
    await first.settled();
    expect(first.writes(), "writes after a change that is not ours").to.equal(3);
    await first.controller.stop();
    running = [];

    const second = await run();
    await second.settled();
    expect(second.writes(), "writes after a restart").to.be.below(2);
    await nudge();
    await second.settled();
    expect(second.writes({ kind: "Service" }) + second.writes({ kind: "EndpointSlice" })).to.equal(0);
  });

  it("restores what is deleted or edited by hand, and takes back a field that it no longer wants", async () => {
    wanted = { objects: [service("kept", { sessionAffinity: "ClientIP" })], statuses: [] };
    const { settled } = await run();
    await settled();
    const uid = (await get("Service", "kept"))?.metadata.uid;

    let startedMs = performance.now();
    await remove("Service", "kept");
    await eventually(
      () => get("Service", "kept"),
      (seen) => seen !== undefined && seen.metadata.uid !== uid,
    );
    expect(performance.now() - startedMs).to.be.below(3000);
    await settled();

    await kubectl("patch", "service", "kept", "--type=merge", "-p", '{"spec":{"sessionAffinity":"None"}}');
    startedMs = performance.now();
    await eventually(
      () => get("Service", "kept"),
      (seen) => affinity(seen) === "ClientIP",
    );
    process.stderr.write(`      restored ${(performance.now() - startedMs).toFixed(0)} ms after kubectl\n`);

    await kubectl("label", "service", "kept", `${labels.managedBy}-`);
    await eventually(
      () => get("Service", "kept"),
      (seen) => seen?.metadata.labels?.[labels.managedBy] === "mc-wan",
    );

    await settled();
    for (const controller of running) await controller.stop();
    running = [];
    wanted = { objects: [service("kept")], statuses: [] };
    await run();
    await eventually(
      () => get("Service", "kept"),
      (seen) => affinity(seen) === "None",
    );
  });

  it("deletes what it wrote and no longer wants, and nothing else, labels or not", async () => {
    wanted = { objects: [service("gone")], statuses: [] };
    const { settled } = await run();
    await settled();
    // A copy of one of our objects, made by a person: labelled as ours.
    const copy = { metadata: { name: "copy", namespace, labels: ours }, spec: { ports: [{ port: 1 }] } };
    await create(home.client, kinds.Service, copy);
    await create(home.client, kinds.Service, {
      metadata: { name: "other", namespace },
      spec: { ports: [{ port: 1 }] },
    });
    wanted = { objects: [], statuses: [] };
    await nudge();
    await eventually(
      () => get("Service", "gone"),
      (seen) => seen === undefined,
    );
    await settled();
    expect(await get("Service", "copy")).to.not.equal(undefined);
    expect(await get("Service", "other")).to.not.equal(undefined);
  });

  it("never adopts an object of somebody else, whether the World shows it or not", async () => {
    await create(home.client, kinds.Service, {
      metadata: { name: "taken", namespace },
      spec: { ports: [{ port: 1 }] },
    });
    await create(home.client, kinds.ServiceAccount, { metadata: { name: "taken", namespace } });
    const account = {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "taken", namespace, labels: ours },
    };
    wanted = {
      objects: [service("taken"), { kind: "ServiceAccount", object: account }, service("free")],
      statuses: [],
    };
    const { controller, writes, log } = await run();
    await eventually(
      () => get("Service", "free"),
      (seen) => seen !== undefined,
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await get("Service", "taken"))?.metadata.labels).to.equal(undefined);
    expect((await get("ServiceAccount", "taken"))?.metadata.labels).to.equal(undefined);
    expect(writes()).to.equal(1);
    expect([...controller.status.foreign.keys()]).to.deep.equal([`Service/${namespace}/taken`]);
    expect(log.lines.some(({ text }) => text === "warn object of somebody else is in the way")).to.equal(
      true,
    );
  });

  it("goes on with other objects while one fails, and writes it once it is mended", async () => {
    const bad = service("bad", { ports: [{ name: "http", port: 0 }] });
    wanted = { objects: [bad, service("good")], statuses: [] };
    const { controller, log, metrics } = await run();
    await eventually(
      () => get("Service", "good"),
      (seen) => seen !== undefined,
    );
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const failed = metrics.total("mcwan_writes_total", { outcome: "failed" });
    expect(failed).to.be.within(2, 6);
    expect(log.lines.filter(({ text }) => text === "warn write failed")).to.have.length(1);
    wanted = { objects: [service("bad"), service("good")], statuses: [] };
    await nudge();
    await eventually(
      () => get("Service", "bad"),
      (seen) => seen !== undefined,
      1500,
    );
    expect(controller.status.foreign.size).to.equal(0);
  });

  it("writes conditions with their times, only when they differ, and leaves other controllers' route parents alone", async () => {
    const foreignParent = {
      parentRef: { group: "gateway.networking.k8s.io", kind: "Gateway", name: "theirs" },
      controllerName: "example.com/other",
      conditions: [
        {
          type: "Accepted",
          status: "True",
          reason: "Accepted",
          message: "",
          lastTransitionTime: "2026-01-01T00:00:00Z",
        },
      ],
    };
    const created = await create(home.client, kinds.ServiceExport, { metadata: { name: "e", namespace } });
    const route = await create(home.client, kinds.HTTPRoute, {
      metadata: { name: "r", namespace },
      spec: { parentRefs: [{ name: "theirs" }, { name: "mine" }] },
    });
    await home.client.mergeStatus(kinds.HTTPRoute, { ...route, status: { parents: [foreignParent] } });
    const condition = { status: "True", reason: "Valid", message: "fine", observedGeneration: 1 } as const;
    const statuses = (message: string): DesiredStatus[] => [
      {
        kind: "ServiceExport",
        key: keyOf(created.metadata),
        form: "Conditions",
        conditions: [{ ...condition, type: "Valid", message }],
      },
      {
        kind: "HTTPRoute",
        key: keyOf(route.metadata),
        form: "RouteParents",
        parents: [{ parentRef: { name: "mine" }, conditions: [{ ...condition, type: "Accepted", message }] }],
      },
    ];
    wanted = { objects: [], statuses: statuses("fine") };
    const { settled, writes } = await run();
    await settled();
    expect(writes({ verb: "Status" })).to.equal(2);
    const parents = await eventually(
      () => get("HTTPRoute", "r"),
      (seen) => parentsOf(seen).length === 2,
    );
    expect(parentsOf(parents)[0]).to.deep.equal(foreignParent);
    const before = conditionTime(await get("ServiceExport", "e"));
    await new Promise((resolve) => setTimeout(resolve, 1100));
    wanted = { objects: [], statuses: statuses("finer") };
    await nudge();
    await eventually(
      () => get("ServiceExport", "e"),
      (seen) => JSON.stringify(seen).includes("finer"),
    );
    expect(conditionTime(await get("ServiceExport", "e"))).to.equal(before);
    await nudge();
    await settled();
    expect(writes({ verb: "Status" })).to.equal(4);
    wanted = { objects: [], statuses: [] };
    await nudge();
    await eventually(
      () => get("HTTPRoute", "r"),
      (seen) => parentsOf(seen).length === 1,
    );
    expect(parentsOf(await get("HTTPRoute", "r"))).to.deep.equal([foreignParent]);
  });

  it("lets one of two replicas write, and the other take over when the first one ends or is lost", async () => {
    wanted = { objects: [service("led")], statuses: [] };
    const first = await run({ identity: "first_198.18.0.1", leaderElection: true });
    await eventually(() => first.controller.status.isLeader, Boolean);
    const second = await run({ identity: "second_198.18.0.2", leaderElection: true });
    await eventually(
      () => get("Service", "led"),
      (seen) => seen !== undefined,
    );
    await second.settled();
    expect(second.writes()).to.equal(0);
    const startedMs = performance.now();
    await first.controller.stop();
    await eventually(() => second.controller.status.isLeader, Boolean);
    expect(performance.now() - startedMs).to.be.below(1500);
    await remove("Service", "led");
    await eventually(
      () => get("Service", "led"),
      (seen) => seen !== undefined,
    );
    expect(second.writes()).to.be.above(0);

    // As if it were paused for longer than the Lease lasts: another one holds it.
    const lease = await home.client.get(leaseKind, { namespace: systemNamespace, name: leaseName });
    await home.client.replace(leaseKind, {
      ...lease!,
      spec: { ...(lease?.["spec"] as object), holderIdentity: "third_198.18.0.3" },
    });
    await eventually(
      () => second.controller.status.isLeader,
      (isLeader) => !isLeader,
    );
    await eventually(() => second.controller.status.isLeader, Boolean, 5000);
  });
});

function desiredOf({ objects, statuses }: Wanted, _world: World): Desired {
  return {
    objects: new Map(
      objects.map((desired) => [objectKey(desired.kind, keyOf(desired.object.metadata)), desired]),
    ),
    statuses: new Map(statuses.map((status) => [objectKey(status.kind, status.key), status])),
    gateways: [],
    httpRoutes: new Map(),
    grpcRoutes: new Map(),
    tcpRoutes: new Map(),
    referenceGrants: new Map(),
    wanBackends: new Map(),
    probes: [],
    draining: [],
    sendsTo: {},
    accounts: new Map(),
    identities: [],
    trust: [],
    clients: new Map(),
    unaware: [],
  };
}

function affinity(object: KubeObject | undefined): unknown {
  return (object?.["spec"] as { sessionAffinity?: unknown } | undefined)?.sessionAffinity;
}

function parentsOf(object: KubeObject | undefined): readonly unknown[] {
  return (object?.["status"] as { parents?: readonly unknown[] } | undefined)?.parents ?? [];
}

function conditionTime(object: KubeObject | undefined): unknown {
  const status = object?.["status"] as { conditions?: { lastTransitionTime: string }[] } | undefined;
  return status?.conditions?.[0]?.lastTransitionTime;
}
