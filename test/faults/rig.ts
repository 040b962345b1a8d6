/**
 * Real controllers at real API servers, behind relays with faults: a home cluster `west` and a peer `east`, objects for
 * both, and what must hold whatever goes wrong.
 *
 *     controller → relay → home's API server          controller → relay → the peer's
 *
 * A controller that crashes is cut off before it is stopped: whatever it would still write is lost.
 */
import { expect } from "chai";
import { dataPlanes } from "../../src/cli/data-planes/registry.ts";
import { Controller } from "../../src/cli/run.ts";
import type { ControllerOptions } from "../../src/cli/run.ts";
import { KubeClient } from "../../src/drivers/kube/kube-client.ts";
import { peerAccess } from "../../src/drivers/kube/kubeconfig.ts";
import { realTiming } from "../../src/drivers/timing/real-timing.ts";
import { certificateMaker } from "../../src/drivers/x509/certificate-maker.ts";
import { kubeconfig } from "../../src/lab/kubeconfig.ts";
import type { DataPlane } from "../../src/model/data-plane.ts";
import type { Translation } from "../../src/model/envoy-config.ts";
import { kinds } from "../../src/model/kinds.ts";
import { keyOf } from "../../src/model/kube-object.ts";
import type { KubeObject } from "../../src/model/kube-object.ts";
import { labels, systemNamespace } from "../../src/model/names.ts";
import { homeKinds } from "../../src/model/world.ts";
import type { World } from "../../src/model/world.ts";
import { createReconcile } from "../../src/reconcile/reconcile.ts";
import { create, createNamespace, eventually, startHomeCluster } from "../home-cluster.ts";
import type { HomeCluster } from "../home-cluster.ts";
import { keptLog, keptMetrics } from "../quiet.ts";
import type { KeptLog, KeptMetrics } from "../quiet.ts";
import { plain } from "./invariants.ts";
import { startHttpRelay } from "./http-relay.ts";
import type { HttpRelay } from "./http-relay.ts";

/** A controller that runs. */
export interface Running {
  readonly controller: Controller;
  readonly log: KeptLog;
  readonly metrics: KeptMetrics;
  /** Every configuration that Envoys were to get, oldest first. */
  readonly configs: Translation["config"][];
  /** Waits until nothing is left to be written, for a while. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

export interface Rig {
  readonly home: HomeCluster;
  readonly peer: HomeCluster;
  readonly toHome: HttpRelay;
  readonly toPeer: HttpRelay;
  /** Starts a controller of `west`. */
  start(changes?: Partial<ControllerOptions>): Promise<Running>;
  /** Ends it as if its process had been killed. */
  crash(running: Running): Promise<void>;
  /** Namespaces, policies, an export of home's and one of the peer's, with rules for it. */
  fill(namespace: string): Promise<void>;
  /** Everything that mc-wan wrote in home that has to do with a namespace, without what the server fills in. */
  ours(namespace: string): Promise<ReadonlyMap<string, unknown>>;
  /** What stands is what a controller with no memory makes of it: it writes nothing, and has the same for Envoys. */
  isAsFresh(running: Running): Promise<void>;
  /** Ends all controllers. */
  stopControllers(): Promise<void>;
  stop(): Promise<void>;
}

const exported = { formatVersion: 1, exportTime: "2026-01-01T00:00:00Z", ipFamilies: ["IPv4"] };

/** Starts both clusters and the relays. */
export async function startRig(): Promise<Rig> {
  const [home, peer] = await Promise.all([startHomeCluster(), startHomeCluster()]);
  const [toHome, toPeer] = await Promise.all([startHttpRelay(home.api), startHttpRelay(peer.api)]);
  const running = new Set<Running>();
  for (const { client } of [home, peer]) {
    await create(client, kinds.WANPolicy, policy("high", 31111));
    await create(client, kinds.WANPolicy, policy("low", 31112));
  }
  await create(home.client, kinds.Secret, {
    metadata: { name: "east", namespace: systemNamespace, labels: { [labels.peer]: "east" } },
    stringData: { kubeconfig: kubeconfigOf(toPeer, peer) },
  });
  await create(peer.client, kinds.GatewayAdvertisement, {
    metadata: { name: "mc-wan-ingress", namespace: systemNamespace },
    spec: {
      formatVersion: 1,
      mode: "PodIP",
      endpoints: [{ address: "198.18.2.2", ports: { high: 31111, low: 31112 } }],
    },
  });

  const clientOf = async (relay: HttpRelay, cluster: HomeCluster): Promise<KubeClient> => {
    const access = await peerAccess(Buffer.from(kubeconfigOf(relay, cluster)));
    if (!("server" in access)) throw new Error(JSON.stringify(access));
    return new KubeClient(access);
  };

  const start = async (changes: Partial<ControllerOptions> = {}): Promise<Running> => {
    const log = keptLog();
    const metrics = keptMetrics();
    const timing = changes.timing ?? realTiming;
    const configs: Translation["config"][] = [];
    const inner = await dataPlanes.envoy.create({
      stage: (stage) => ({ stage, timing, metrics, log }),
      xdsPort: 0,
      tokenKeys: () => Promise.reject(new Error("nobody is served")),
      token: () => Promise.resolve(""),
    });
    const controller = new Controller({
      reconcile: createReconcile(),
      home: await clientOf(toHome, home),
      connectPeer: async (text) => {
        const access = await peerAccess(Buffer.from(text.reveal(), "base64"));
        return "server" in access ? new KubeClient(access) : access;
      },
      certificateMaker,
      probeGateway: () => Promise.resolve(undefined),
      dataPlane: recording(inner, configs),
      log,
      metrics,
      timing,
      settings: {
        envoyImage: "envoy",
        trustDomain: "mc-wan.test",
        xdsAddress: { host: "xds", port: 1 },
        dummyEndpoints: "All",
        legacyEndpoints: false,
        poolReplicas: 1,
        dataPlane: { name: "envoy" },
        ingress: { mode: "PodIP", addresses: [] },
      },
      clusterId: "west",
      identity: "one_127.0.0.1",
      leaderElection: false,
      observe: { peerGraceMs: 3000 },
      ...changes,
    });
    await controller.start();
    const self: Running = {
      controller,
      log,
      metrics,
      configs,
      settled: async () => {
        await eventually(() => controller.status.isServing, Boolean, 60_000).catch((error: unknown) => {
          const { observer } = controller.status;
          throw new Error(
            JSON.stringify({
              observer,
              writes: toHome.seen.filter(({ isWrite }) => isWrite).slice(-5),
              log: log.lines.slice(-20),
            }),
            { cause: error },
          );
        });
        let written = -1;
        await eventually(
          async () => {
            const before = written;
            await new Promise((resolve) => setTimeout(resolve, 400));
            written = metrics.total("mcwan_writes_total");
            return controller.status.waitingWrites === 0 && written === before;
          },
          Boolean,
          60_000,
        ).catch((error: unknown) => {
          const { waitingWrites } = controller.status;
          const lines = log.lines.slice(-20).map(({ text, fields }) => `${text} ${JSON.stringify(fields)}`);
          throw new Error([`${waitingWrites} writes wait`, ...lines].join("\n"), { cause: error });
        });
      },
      stop: async () => {
        running.delete(self);
        await controller.stop();
      },
    };
    running.add(self);
    return self;
  };

  const rig: Rig = {
    home,
    peer,
    toHome,
    toPeer,
    start,
    crash: async (one) => {
      toHome.cut();
      await one.stop();
      toHome.open();
    },
    fill: async (namespace) => {
      for (const { client } of [home, peer]) await createNamespace(client, namespace);
      await create(home.client, kinds.Service, {
        metadata: { name: "own", namespace },
        spec: { selector: { app: "own" }, ports: [{ name: "http", port: 80 }] },
      });
      await create(home.client, kinds.ServiceExport, {
        metadata: { name: "own", namespace, annotations: { "mc-wan.l7mp.io/wan-policy": "high" } },
      });
      await create(peer.client, kinds.ServiceAdvertisement, advertisement(namespace, "theirs"));
      await create(home.client, kinds.ServiceImport, {
        metadata: { name: "theirs", namespace },
        spec: {
          http: {
            rules: [{ backendRefs: [{ group: "mc-wan.l7mp.io", kind: "WANPolicy", name: "low" }] }],
          },
        },
      });
    },
    ours: async (namespace) => {
      const found = new Map<string, unknown>();
      for (const kind of homeKinds) {
        if (kind === "TlsSecret" || kind === "EnvoyProxy") continue;
        const { items } = await home.client.list(kinds[kind], {
          labels: `${labels.managedBy}=${labels.managedByValue}`,
          signal: AbortSignal.timeout(30_000),
        });
        for (const object of items as KubeObject[]) {
          const key = `${kind}/${keyOf(object.metadata)}`;
          if (!key.includes(namespace)) continue;
          const { apiVersion: _version, kind: _kind, metadata, status: _status, ...rest } = object;
          const { name, namespace: at, labels: own, annotations } = metadata;
          found.set(key, withoutAllocated({ metadata: { name, at, own, annotations }, ...rest }));
        }
      }
      return found;
    },
    isAsFresh: async (one) => {
      await one.settled();
      const last = one.configs.at(-1);
      await one.stop();
      const fresh = await start();
      await fresh.settled();
      const writes = fresh.metrics.total("mcwan_writes_total");
      expect(writes, "writes of a controller without memory").to.equal(0);
      expect(plain(fresh.configs.at(-1)), "what Envoys get").to.deep.equal(plain(last));
      await fresh.stop();
    },
    stopControllers: async () => {
      for (const one of running) await one.stop().catch(() => undefined);
    },
    stop: async () => {
      await rig.stopControllers();
      await Promise.all([toHome.close(), toPeer.close()]);
      await Promise.all([home.stop(), peer.stop()]);
    },
  };
  return rig;
}

/** An export of the peer's, as it advertises it. */
export const advertisement = (namespace: string, name: string): object => ({
  metadata: { name, namespace },
  spec: {
    ...exported,
    type: "ClusterSetIP",
    ports: [{ name: "http", protocol: "TCP", port: 80 }],
    wanPolicy: "high",
    // Through the egress gateway: what Envoys are sent is what is looked at.
    path: "Gateway",
    pool: "mc-wan-ingress",
    readyBackends: [{ zone: "", count: 1 }],
  },
});

const policy = (name: string, port: number): object => ({
  metadata: { name },
  spec: { tunnel: name, port, mode: "Plain" },
});

const kubeconfigOf = (relay: HttpRelay, cluster: HomeCluster): string =>
  kubeconfig([{ context: "x", server: relay.url, authority: relay.authority, token: cluster.api.token }]);

/** The same data plane; keeps every configuration that it makes. */
function recording(inner: DataPlane, configs: Translation["config"][]): DataPlane {
  return {
    start: () => inner.start(),
    carry: (world, desired) => {
      const result = inner.carry(world, desired);
      const translation = inner.pages["envoy"]?.() as Translation | null | undefined;
      if (translation && translation.config !== configs.at(-1)) configs.push(translation.config);
      return result;
    },
    statuses: (world, desired) => inner.statuses(world, desired),
    listening: (): World["listening"] => inner.listening(),
    sending: (): World["sending"] => inner.sending(),
    onHeard: (callback) => {
      inner.onHeard(callback);
    },
    followLeader: (host) => {
      inner.followLeader(host);
    },
    waitsFor: () => inner.waitsFor(),
    pages: inner.pages,
    stop: () => inner.stop(),
  };
}

/** IPs and ports that the server chose differ from run to run. */
function withoutAllocated(object: unknown): unknown {
  return JSON.parse(
    JSON.stringify(object, (key, value: unknown) =>
      ["clusterIP", "clusterIPs", "ips", "uid", "addresses", "ownerReferences"].includes(key)
        ? undefined
        : value,
    ),
  );
}
