import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { expect } from "chai";
import { peerAccess } from "../drivers/kube/kubeconfig.ts";
import { KubeClient } from "../drivers/kube/kube-client.ts";
import { probeTcp } from "../drivers/net/tcp-probe.ts";
import { realTiming } from "../drivers/timing/real-timing.ts";
import { certificateMaker } from "../drivers/x509/certificate-maker.ts";
import { kubeconfig } from "../lab/kubeconfig.ts";
import { kinds } from "../model/kinds.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { labels, systemNamespace } from "../model/names.ts";
import { createReconcile } from "../reconcile/reconcile.ts";
import { create, createNamespace, eventually, startHomeCluster } from "../../test/home-cluster.ts";
import type { HomeCluster } from "../../test/home-cluster.ts";
import { keptLog, keptMetrics } from "../../test/quiet.ts";
import { startRelay } from "../../test/relay.ts";
import { GatewayApiDataPlane } from "./data-planes/gateway-api.ts";
import { Controller } from "./run.ts";
import { controllerSettings } from "../../test/controller-settings.ts";

async function gateway(host: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.listen(0, host);
  await once(server, "listening");
  return server;
}

describe("a peer that is lost, at two real API servers", function () {
  this.timeout(180_000);
  let home: HomeCluster;
  let peer: HomeCluster;
  let ended: (() => unknown)[] = [];

  before(async () => {
    home = await startHomeCluster();
    peer = await startHomeCluster();
  });
  after(async () => {
    for (const end of ended.reverse()) await end();
    ended = [];
    await peer.stop();
    await home.stop();
  });

  it("keeps what it said, told as stale; gateways behind a Direct shadow that take no connections become not ready until they do", async () => {
    // EndpointSlices refuse loopback addresses: what stands in the cluster is this, what is probed is a server on 127.0.0.0/8.
    const [steady, failing] = [await gateway("127.0.0.2"), await gateway("127.0.0.3")];
    ended.push(() => steady.close());
    const ports = new Map([
      ["198.18.2.2", { host: "127.0.0.2", port: (steady.address() as AddressInfo).port }],
      ["198.18.2.3", { host: "127.0.0.3", port: (failing.address() as AddressInfo).port }],
    ]);
    const policy = { metadata: { name: "high" }, spec: { tunnel: "business", port: 31111, mode: "Plain" } };
    for (const cluster of [home, peer]) {
      await create(cluster.client, kinds.WANPolicy, policy);
      await createNamespace(cluster.client, "secure");
    }
    await create(peer.client, kinds.ServiceAdvertisement, {
      metadata: { name: "payment", namespace: "secure" },
      spec: {
        formatVersion: 1,
        type: "ClusterSetIP",
        exportTime: "2026-01-01T00:00:00Z",
        ports: [{ name: "http", protocol: "TCP", port: 80 }],
        ipFamilies: ["IPv4"],
        wanPolicy: "high",
        pool: "mc-wan-ingress",
        readyBackends: [{ zone: "", count: 1 }],
      },
    });
    await create(peer.client, kinds.GatewayAdvertisement, {
      metadata: { name: "mc-wan-ingress", namespace: systemNamespace },
      spec: {
        formatVersion: 1,
        mode: "PodIP",
        endpoints: [...ports.keys()].map((address) => ({ address, ports: { high: 31111 } })),
      },
    });
    const relay = await startRelay(Number(new URL(peer.api.url).port));
    ended.push(() => relay.close());
    const { authority, token } = peer.api;
    const server = `https://127.0.0.1:${relay.port}`;
    await create(home.client, kinds.Secret, {
      metadata: { name: "east", namespace: systemNamespace, labels: { [labels.peer]: "east" } },
      stringData: { kubeconfig: kubeconfig([{ context: "x", server, authority, token }]) },
    });
    const probed = new Set<string>();
    const controller = new Controller({
      reconcile: createReconcile(),
      home: await home.connect(),
      connectPeer: async (kubeconfig) => {
        const access = await peerAccess(Buffer.from(kubeconfig.reveal(), "base64"));
        return "server" in access ? new KubeClient(access) : access;
      },
      probeGateway: (target, limitMs) => {
        probed.add(target.address);
        const real = ports.get(target.address);
        return real === undefined
          ? Promise.resolve(undefined)
          : probeTcp({ address: real.host, port: real.port }, limitMs);
      },
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
    ended.push(() => controller.stop());

    const readiness = async (): Promise<Record<string, boolean | undefined>> => {
      const slice = (await home.client.get(kinds.EndpointSlice, {
        namespace: "secure",
        name: "payment-clusterset-ipv4-31111",
      })) as ObjectTypes["EndpointSlice"] | undefined;
      return Object.fromEntries(
        (slice?.endpoints ?? []).map(({ addresses, conditions }) => [addresses[0] ?? "", conditions?.ready]),
      );
    };
    const stale = async (): Promise<string | undefined> => {
      const found = await home.client.get(kinds.McsServiceImport, { namespace: "secure", name: "payment" });
      const { conditions = [] } = (found as ObjectTypes["McsServiceImport"] | undefined)?.status ?? {};
      return conditions.find(({ reason }) => reason === "Stale")?.message;
    };
    const isReady = (first: boolean, second: boolean) => (all: Record<string, boolean | undefined>) =>
      all["198.18.2.2"] === first && all["198.18.2.3"] === second;
    await eventually(readiness, isReady(true, true), 60_000);
    expect(await stale()).to.equal(undefined);

    relay.cut();
    expect(await eventually(stale, (message) => message !== undefined, 60_000)).to.match(
      /^Cluster "east" is not heard since 20\d\d-\d\d-\d\dT\d\d:\d\dZ\. What it last said stays in force\. Restore .*Secret mc-wan-system\/east/,
    );
    await eventually(
      () => probed.size,
      (size) => size === 2,
    );
    expect(await readiness()).to.deep.equal({ "198.18.2.2": true, "198.18.2.3": true });

    const { port } = failing.address() as AddressInfo;
    failing.close();
    await eventually(readiness, isReady(true, false), 60_000);
    expect(
      await eventually(stale, (message) => message?.includes("198.18.2.3:31111") ?? false),
    ).not.to.contain("198.18.2.2:31111");

    const again = createServer((socket) => socket.destroy());
    again.listen(port, "127.0.0.3");
    ended.push(() => again.close());
    await eventually(readiness, isReady(true, true), 60_000);

    relay.open();
    await eventually(stale, (message) => message === undefined, 60_000);
  });
});
