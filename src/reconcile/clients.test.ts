import { expect } from "chai";
import { advertisement } from "../../test/advertisement.ts";
import { clientPodOf } from "../model/client-pod.ts";
import type { Desired } from "../model/desired.ts";
import type { KubeObject } from "../model/kube-object.ts";
import type { World } from "../model/world.ts";
import { clientsToTell } from "./access.ts";
import { createReconcile } from "./reconcile.ts";
import { worldFrom } from "./world-from-yaml.ts";

const policy: KubeObject = {
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "WANPolicy",
  metadata: { name: "high", uid: "uid-high", generation: 1, creationTimestamp: "2026-01-01T00:00:00Z" },
  spec: { tunnel: "high", port: 31_111 },
};

const address = (index: number): string => `198.18.${(index >> 8) + 1}.${index & 255}`;
const pod = (name: string, account: string, podIP: string): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "web" },
  spec: { serviceAccountName: account },
  status: { phase: "Running", podIP },
});
const mcs = (name: string): KubeObject => ({
  apiVersion: "multicluster.x-k8s.io/v1beta1",
  kind: "ServiceImport",
  metadata: {
    name,
    namespace: "shop",
    uid: `uid-${name}`,
    generation: 1,
    labels: { "app.kubernetes.io/managed-by": "mc-wan" },
  },
  spec: { type: "ClusterSetIP", ports: [] },
});

function worldOf(pods: readonly KubeObject[], peer: readonly KubeObject[]): World {
  const shop = { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } };
  return worldFrom({
    homeId: "west",
    home: [policy, shop, mcs("cart"), mcs("payment"), mcs("stock"), ...pods],
    peers: [{ id: "east", objects: [policy, ...peer] }],
  });
}

/** The same World with one more Pod, or one that has changed. */
function with1(world: World, object: KubeObject): World {
  const ClientPod = new Map(world.home.ClientPod);
  ClientPod.set(`${object.metadata.namespace}/${object.metadata.name}`, clientPodOf(object));
  return { ...world, home: { ...world.home, ClientPod } };
}

/** Objects and Gateways that are not the same ones. */
function renewed(before: Desired, after: Desired): readonly string[] {
  const objects = [...after.objects].filter(
    ([key, { object }]) => before.objects.get(key)?.object !== object,
  );
  const gateways = after.gateways.filter((gateway) => !before.gateways.includes(gateway));
  return [...objects.map(([key]) => key), ...gateways.map(({ fleet }) => fleet)];
}

describe("clients that egress gateways tell apart", () => {
  const asked = [
    advertisement("cart", { clients: [{ namespace: "web", serviceAccount: "front" }] }),
    advertisement("payment", { clients: [{ namespace: "web", serviceAccount: "pay" }] }),
    advertisement("stock"),
  ];
  const front = pod("front-1", "front", "198.18.0.1");
  const pay = pod("pay-1", "pay", "198.18.0.2");

  it("are those that are asked for, service by service; of other Pods nothing comes, and nothing is new", () => {
    const world = worldOf([front, pay], asked);
    const reconcile = createReconcile();
    const before = reconcile(world);
    expect([...before.clients]).to.deep.equal([
      ["shop/cart", { "web/front": ["198.18.0.1"] }],
      ["shop/payment", { "web/pay": ["198.18.0.2"] }],
    ]);
    const after = reconcile(with1(world, pod("batch-1", "batch", "198.18.0.3")));
    expect(after.clients).to.equal(before.clients);
    expect(renewed(before, after)).to.deep.equal([]);
  });

  it("change for the services that ask for them, and for no other", () => {
    const world = worldOf([front, pay], asked);
    const reconcile = createReconcile();
    const before = reconcile(world);
    const after = reconcile(with1(world, pod("front-2", "front", "198.18.0.3")));
    expect(after.clients.get("shop/cart")).to.deep.equal({ "web/front": ["198.18.0.1", "198.18.0.3"] });
    expect(after.clients.get("shop/payment")).to.equal(before.clients.get("shop/payment"));
    expect(renewed(before, after)).to.deep.equal([]);
  });

  it("lose an address when its Pod ends, and at once when another claims it", () => {
    const world = worldOf([front, pay], asked);
    const reconcile = createReconcile();
    reconcile(world);
    const ended = { ...front, status: { phase: "Failed", podIP: "198.18.0.1" } };
    expect(reconcile(with1(world, ended)).clients.has("shop/cart")).to.equal(false);
    const claimed = reconcile(with1(world, pod("pay-2", "pay", "198.18.0.1")));
    expect(claimed.clients.has("shop/cart")).to.equal(false);
    expect(claimed.clients.get("shop/payment")).to.deep.equal({ "web/pay": ["198.18.0.2"] });
  });

  it("are told up to a limit, and who is beyond is named where the import stands", () => {
    const many = Array.from({ length: 2_001 }, (_, index) => pod(`many-${index}`, "many", address(index)));
    const world = worldOf([front, ...many], [advertisement("cart", { clients: [{ namespace: "web" }] })]);
    const { clients, statuses } = createReconcile()(world);
    expect(clients.get("shop/cart")).to.deep.equal({ "web/front": ["198.18.0.1"] });
    const status = statuses.get("McsServiceImport/shop/cart");
    const conditions = status?.form === "Conditions" ? status.conditions : [];
    const usable = conditions.find(({ type }) => type === "PeersUsable");
    expect(usable).to.include({ status: "False", reason: "TooManyClients" });
    expect(usable?.message).to.contain("Pods of web/many are not told apart");
  });

  it("are named one by one up to three", () => {
    const accounts = ["a", "b", "c", "d", "e"].flatMap((account, block) =>
      Array.from({ length: 2_001 }, (_, index) =>
        pod(`${account}-${index}`, account, address(block * 2_048 + index)),
      ),
    );
    const { statuses } = createReconcile()(
      worldOf(accounts, [advertisement("cart", { clients: [{ namespace: "web" }] })]),
    );
    expect(JSON.stringify(statuses.get("McsServiceImport/shop/cart"))).to.contain(
      "Pods of web/a, web/b, web/c and 2 more",
    );
  });

  it("are looked for among 10,000 Pods in milliseconds", function () {
    this.timeout(20_000);
    const pods = Array.from({ length: 10_000 }, (_, index) =>
      pod(`p-${index}`, `a-${index % 100}`, address(index)),
    );
    const world = worldOf(pods, [
      advertisement("cart", { clients: [{ namespace: "web", serviceAccount: "a-7" }] }),
    ]);
    const reconcile = createReconcile();
    reconcile(world);
    const times = [1, 2, 3, 4, 5].map((round) => {
      const next = with1(world, pod("new", `a-${round}`, "198.19.0.1"));
      const startedMs = performance.now();
      reconcile(next);
      return performance.now() - startedMs;
    });
    // About 10 ms on two busy cores.
    expect(times.sort((a, b) => a - b)[2]).to.be.below(200);
  });
});

describe("clients that peers are asked to tell apart", () => {
  const from = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ namespace: `n-${String(index).padStart(3, "0")}` }));

  it("are those with a namespace, each once", () => {
    const web = { cluster: "east", namespace: "shop", serviceAccount: "web" };
    const rules = [{ from: [{ cluster: "east" }, web, { namespace: "shop" }] }, {}, { from: [web] }];
    expect(clientsToTell({ rules })).to.deep.equal({ clients: [{ namespace: "shop" }, web], problems: [] });
    expect(clientsToTell({})).to.deep.equal({ clients: [], problems: [] });
  });

  it("are 256 at most, and it is said that there are more", () => {
    expect(clientsToTell({ rules: [{ from: from(256) }] }).problems).to.deep.equal([]);
    const { clients, problems } = clientsToTell({ rules: [{ from: from(257) }] });
    expect(clients).to.have.length(256);
    expect(problems.map(({ reason }) => reason)).to.deep.equal(["TooManyClients"]);
  });
});
