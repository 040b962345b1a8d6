import { expect } from "chai";
import type { KubeClient } from "../drivers/kube/kube-client.ts";
import { KubeClient as Client } from "../drivers/kube/kube-client.ts";
import { homeAccess, peerAccess } from "../drivers/kube/kubeconfig.ts";
import { realTiming } from "../drivers/timing/real-timing.ts";
import { kubeconfig } from "../lab/kubeconfig.ts";
import { kinds } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { labels, systemNamespace } from "../model/names.ts";
import type { Settings, World } from "../model/world.ts";
import { create, createNamespace, eventually, startHomeCluster } from "../../test/home-cluster.ts";
import type { HomeCluster } from "../../test/home-cluster.ts";
import { keptLog, keptMetrics } from "../../test/quiet.ts";
import type { KeptLog, KeptMetrics } from "../../test/quiet.ts";
import { startRelay } from "../../test/relay.ts";
import type { Relay } from "../../test/relay.ts";
import { Observer } from "./observer.ts";

const settings: Settings = {
  envoyImage: "envoy",
  xdsAddress: { host: "xds", port: 18000 },
  dummyEndpoints: "All",
  legacyEndpoints: true,
  poolReplicas: 2,
  dataPlane: { name: "envoy" },
  trustDomain: "mc-wan.l7mp.io",
  ingress: { mode: "PodIP", addresses: [] },
};

interface Running {
  readonly observer: Observer;
  readonly worlds: World[];
  readonly log: KeptLog;
  readonly metrics: KeptMetrics;
  /** The newest World. */
  readonly world: () => World | undefined;
}

describe("an Observer at a real API server", function () {
  this.timeout(60_000);
  let home: HomeCluster;
  let ended: (() => Promise<void>)[] = [];

  before(async () => {
    home = await startHomeCluster();
    await createNamespace(home.client, "shop");
  });
  after(async () => {
    await home.stop();
  });
  afterEach(async () => {
    for (const end of ended.reverse()) await end();
    ended = [];
  });

  function observe(reader: KubeClient, changes: { peerGraceMs?: number } = {}): Running {
    const worlds: World[] = [];
    const log = keptLog();
    const metrics = keptMetrics();
    const observer = new Observer({
      home: reader,
      connectPeer: async (kubeconfig) => {
        const access = await peerAccess(Buffer.from(kubeconfig.reveal(), "base64"));
        return "server" in access ? new Client(access) : access;
      },
      probeGateway: () => Promise.resolve(undefined),
      settings,
      clusterId: "east",
      timing: realTiming,
      log,
      metrics,
      publish: (world) => worlds.push(world),
      ...changes,
    });
    observer.start();
    ended.push(() => observer.stop());
    return { observer, worlds, log, metrics, world: () => worlds.at(-1) };
  }

  async function relayed(): Promise<{ relay: Relay; client: KubeClient }> {
    const relay = await startRelay(Number(new URL(home.api.url).port));
    ended.push(() => relay.close());
    const access = await homeAccess({ kubeconfig: home.api.kubeconfigFile });
    return { relay, client: new Client({ ...access, server: new URL(`https://127.0.0.1:${relay.port}`) }) };
  }

  async function service(name: string): Promise<void> {
    await create(home.client, kinds.Service, {
      metadata: { name, namespace: "shop" },
      spec: { ports: [{ port: 80 }] },
    });
  }

  function peerKubeconfig(server: string, token = home.api.token): string {
    return kubeconfig([{ context: "x", server, authority: home.api.authority, token }]);
  }

  async function peerSecret(name: string, id: string, kubeconfig: string): Promise<void> {
    await create(home.client, kinds.Secret, {
      metadata: { name, namespace: systemNamespace, labels: { [labels.peer]: id } },
      stringData: { kubeconfig },
    });
    ended.push(async () => {
      const found = await home.client.get(kinds.Secret, { namespace: systemNamespace, name });
      if (found !== undefined)
        await home.client.delete(kinds.Secret, found.metadata, { uid: found.metadata.uid ?? "" });
    });
  }

  it("publishes a World once every kind was listed, and keeps the identity of all that didn't change", async () => {
    const { worlds, world } = observe(await home.connect());
    const first = await eventually(world, (seen) => seen !== undefined);
    expect(worlds).to.have.length(1);
    expect(first?.homeId).to.equal("east");
    expect([...(first?.home.Namespace.keys() ?? [])]).to.include("shop");

    await service("one");
    const second = await eventually(world, (seen) => seen?.home.Service.has("shop/one") ?? false);
    expect(second?.home.Namespace).to.equal(first?.home.Namespace);
    expect(second?.home.Service.get("default/kubernetes")).to.equal(
      first?.home.Service.get("default/kubernetes"),
    );
    expect(second?.peers).to.equal(first?.peers);
    expect(first?.home.Service.has("shop/one"), "an older World changed").to.equal(false);
    expect(second?.home.Service.get("shop/one")?.metadata).not.to.have.property("managedFields");
  });

  it("keeps only the pod ranges of Nodes: a heartbeat makes no World, a range does, and the service ranges are seen", async () => {
    const node = (labelled: string, podCIDRs?: string[]): KubeObject => ({
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "n1", labels: { labelled } },
      ...(podCIDRs && { spec: { podCIDR: podCIDRs[0], podCIDRs } }),
    });
    await home.client.apply(kinds.Node, node("one"));
    const { worlds, world, metrics } = observe(await home.connect());
    const first = await eventually(world, (seen) => seen !== undefined);
    expect(first?.home.Node.get("n1")?.spec).to.deep.equal({ podCIDRs: [] });
    expect([...(first?.home.ServiceCIDR.values() ?? [])].map(({ spec }) => spec?.cidrs)).to.deep.equal([
      ["198.19.0.0/16"],
    ]);
    const count = worlds.length;
    for (const beat of ["two", "three"]) {
      await home.client.apply(kinds.Node, node(beat));
      await home.client.mergeStatus(kinds.Node, {
        ...node(beat),
        status: { conditions: [{ type: "Ready", status: "True", reason: beat, message: beat }] },
      });
    }
    await eventually(
      () => metrics.total("mcwan_watch_events_total", { kind: "Node" }),
      (seen) => seen >= 4,
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(worlds).to.have.length(count);
    await home.client.apply(kinds.Node, node("three", ["10.244.1.0/24"]));
    const second = await eventually(world, (seen) => seen !== first);
    expect(second?.home.Node.get("n1")).to.deep.include({ spec: { podCIDRs: ["10.244.1.0/24"] } });
    expect(second?.home.Service).to.equal(first?.home.Service);
  });

  it("has Pods while somebody asks for clients, by address and account only: what else they say makes no World", async () => {
    const pod = { metadata: { name: "web-1", namespace: "shop" } };
    await create(home.client, kinds.ServiceAccount, { metadata: { name: "web", namespace: "shop" } });
    await create(home.client, kinds.Pod, {
      ...pod,
      spec: { serviceAccountName: "web", nodeName: "n1", containers: [{ name: "web", image: "web" }] },
    });
    const says = (status: object): Promise<unknown> =>
      home.client.mergeStatus(kinds.Pod, { apiVersion: "v1", kind: "Pod", ...pod, status });
    await says({ phase: "Running", podIP: "198.18.1.9", podIPs: [{ ip: "198.18.1.9" }] });
    const { worlds, world, metrics } = observe(await home.connect());
    const events = (): number => metrics.total("mcwan_watch_events_total", { kind: "ClientPod" });
    const unasked = await eventually(world, (seen) => seen !== undefined);
    expect(unasked?.home.ClientPod.size).to.equal(0);
    const published = worlds.length;
    await says({ phase: "Running", podIP: "198.18.1.8", podIPs: [{ ip: "198.18.1.8" }] });
    await says({ phase: "Running", podIP: "198.18.1.9", podIPs: [{ ip: "198.18.1.9" }] });
    await eventually(events, (count) => count >= 2);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(worlds, "nobody asks").to.have.length(published);

    await create(home.client, kinds.ServiceAdvertisement, {
      metadata: { name: "asking", namespace: "shop" },
      spec: {
        formatVersion: 1,
        type: "ClusterSetIP",
        exportTime: "2026-01-02T03:04:05Z",
        ports: [],
        ipFamilies: ["IPv4"],
        pool: "mc-wan-ingress",
        readyBackends: [],
        clients: [{ namespace: "shop" }],
      },
    });
    const first = await eventually(world, (seen) => (seen?.home.ClientPod.size ?? 0) > 0);
    const seen = { account: "web", addresses: ["198.18.1.9"], ...pod };
    expect(first?.home.ClientPod.get("shop/web-1")).to.deep.include(seen);
    expect(first?.home.Pod.has("shop/web-1"), "it is no gateway").to.equal(false);
    const count = worlds.length;
    for (const reason of ["one", "two"])
      await says({ conditions: [{ type: "Ready", status: "True", reason }], phase: "Running" });
    await eventually(events, (so) => so >= 4);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(worlds).to.have.length(count);
    await says({ phase: "Succeeded" });
    const ended = await eventually(world, (newest) => newest !== first);
    expect(ended?.home.ClientPod.get("shop/web-1")).to.deep.include({ addresses: [] });
  });

  it("sees a write within milliseconds", async () => {
    const { world } = observe(await home.connect());
    await eventually(world, (seen) => seen !== undefined);
    const tookMs: number[] = [];
    for (let round = 0; round < 20; round += 1) {
      const name = `fast-${round}`;
      const startedMs = performance.now();
      const writing = service(name).then(() => performance.now());
      await eventually(world, (seen) => seen?.home.Service.has(`shop/${name}`) ?? false);
      const seenMs = performance.now();
      await writing;
      tookMs.push(seenMs - startedMs);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    tookMs.sort((a, b) => a - b);
    process.stderr.write(
      `      write begun → World: p50 ${tookMs[10]?.toFixed(1)} ms, max ${tookMs.at(-1)?.toFixed(1)} ms\n`,
    );
    expect(tookMs[10]).to.be.below(200);
  });

  it("goes on after the connection broke, without a list and without losing an event", async () => {
    const { relay, client } = await relayed();
    const { world, metrics, log } = observe(client);
    await eventually(world, (seen) => seen !== undefined);
    relay.cut();
    await service("during-cut");
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(world()?.home.Service.has("shop/during-cut")).to.equal(false);
    expect(world()?.home.Service.size).to.be.above(0);
    relay.open();
    await eventually(world, (seen) => seen?.home.Service.has("shop/during-cut") ?? false);
    expect(metrics.total("mcwan_watch_relists_total", { kind: "Service" })).to.equal(1);
    expect(log.lines.filter(({ text }) => text.startsWith("error"))).to.deep.equal([]);
  });

  it("goes on after the API server was killed and came back, with at most one list of each kind and nothing lost", async () => {
    const { worlds, world, metrics } = observe(await home.connect());
    const before = await eventually(world, (seen) => seen !== undefined);
    await home.api.restart(1000);
    const readyMs = performance.now();
    await service("after-restart");
    await eventually(world, (seen) => seen?.home.Service.has("shop/after-restart") ?? false);
    expect(performance.now() - readyMs).to.be.below(5000);
    for (const kind of ["Service", "Namespace", "Pod", "HTTPRoute", "WANPolicy"]) {
      expect(metrics.total("mcwan_watch_relists_total", { kind }), kind).to.be.at.most(2);
    }
    for (const seen of worlds)
      expect(seen.home.Service.size, "services got lost").to.be.at.least(before?.home.Service.size ?? 0);
    const isSame = world()?.home.Namespace.get("shop") === before?.home.Namespace.get("shop");
    expect(isSame, "an object that did not change is another one").to.equal(true);
  });

  it("refuses Secrets that can't stand for a peer, one by one, and shows an unusable kubeconfig as Refused", async () => {
    await peerSecret("own", "east", peerKubeconfig(home.api.url));
    await peerSecret("bad-label", "Not_A_Label", peerKubeconfig(home.api.url));
    await peerSecret("plain-http", "west", peerKubeconfig("http://127.0.0.1:1"));
    const { world, observer } = observe(await home.connect());
    const seen = await eventually(world, (it) => it?.peers[0]?.state === "Refused");
    expect(seen?.peers.map(({ id }) => id)).to.deep.equal(["west"]);
    expect(seen?.peers[0]?.problem?.message).to.contain("https");
    expect(observer.status.refusedSecrets.map(({ problem }) => problem.reason)).to.have.members([
      "OwnClusterId",
      "InvalidClusterId",
    ]);
  });

  it("follows a peer, keeps what it said when it is lost, and takes up new credentials at once", async () => {
    const relay = await startRelay(Number(new URL(home.api.url).port));
    ended.push(() => relay.close());
    await create(home.client, kinds.WANPolicy, {
      metadata: { name: "high" },
      spec: { tunnel: "business", port: 31111 },
    });
    await peerSecret("west", "west", peerKubeconfig(`https://127.0.0.1:${relay.port}`, "wrong"));
    const { world, log } = observe(await home.connect(), { peerGraceMs: 100 });
    const unsynced = await eventually(world, (seen) => seen?.peers[0] !== undefined);
    expect(unsynced?.peers[0]?.state).to.equal("Unsynced");

    const rightMs = performance.now();
    await home.api.kubectl.run(home.api.context, [
      "patch",
      "secret",
      "west",
      "-n",
      systemNamespace,
      "--type=merge",
      "-p",
      JSON.stringify({ stringData: { kubeconfig: peerKubeconfig(`https://127.0.0.1:${relay.port}`) } }),
    ]);
    const synced = await eventually(world, (seen) => seen?.peers[0]?.state === "Synced");
    expect(performance.now() - rightMs).to.be.below(5000);
    expect([...(synced?.peers[0]?.objects.WANPolicy.keys() ?? [])]).to.deep.equal(["high"]);

    relay.cut();
    const stale = await eventually(world, (seen) => seen?.peers[0]?.state === "Stale");
    expect(stale?.peers[0]?.objects).to.equal(synced?.peers[0]?.objects);
    relay.open();
    await eventually(world, (seen) => seen?.peers[0]?.state === "Synced");
    expect(JSON.stringify(log.lines), "a token was logged").not.to.contain(home.api.token);
  });
});
