import { expect } from "chai";
import type { KubeObject } from "../model/kube-object.ts";
import type { Desired } from "../model/desired.ts";
import { objectKey } from "../model/desired.ts";
import { createReconcile } from "./reconcile.ts";
import { worldFrom } from "./world-from-yaml.ts";
import type { WorldFile } from "./world-from-yaml.ts";

const ours = { "app.kubernetes.io/managed-by": "mc-wan" };
const group = "mc-wan.l7mp.io/v1alpha1";
const poolKey = "GatewayAdvertisement/mc-wan-system/mc-wan-ingress";
const draining = [{ policy: "high", port: 31111 }];

const policy = (port: number): KubeObject => ({
  apiVersion: group,
  kind: "WANPolicy",
  metadata: { name: "high", uid: "p", generation: port, creationTimestamp: "2026-01-01T00:00:00Z" },
  spec: { tunnel: "business", port, mode: "Plain" },
});
const pool = (said: {
  readonly high: number;
  readonly draining?: readonly { readonly policy: string; readonly port: number }[];
  readonly peers?: readonly object[];
  readonly address?: string;
}): KubeObject => ({
  apiVersion: group,
  kind: "GatewayAdvertisement",
  metadata: { name: "mc-wan-ingress", namespace: "mc-wan-system", labels: ours },
  spec: {
    formatVersion: 1,
    mode: "PodIP",
    endpoints: [{ address: said.address ?? "198.18.1.1", ports: { high: said.high } }],
    ...(said.draining && { draining: said.draining }),
  },
  ...(said.peers && { status: { peers: said.peers } }),
});
const pod = (name: string, fleet: string, address: string): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "mc-wan-system", labels: { "mc-wan.l7mp.io/fleet": fleet } },
  status: { podIP: address, conditions: [{ type: "Ready", status: "True" }] },
});

/** What we tell peers of the pool, and what its Envoys are to listen at beside. */
function told(file: WorldFile): { spec: unknown; draining: unknown; status: unknown; desired: Desired } {
  const desired = createReconcile()(worldFrom(file));
  const spec = desired.objects.get(poolKey)?.object["spec"];
  const status = desired.statuses.get(objectKey("GatewayAdvertisement", "mc-wan-system/mc-wan-ingress"));
  const peers = status?.form === "Conditions" ? status.fields?.["peers"] : undefined;
  return { spec, draining: desired.draining, status: peers, desired };
}

describe("a WANPolicy's port that changes", () => {
  const listening = { one: [31111, 32222] };
  const ingress = pod("one", "mc-wan-ingress", "198.18.1.1");
  const echo = (...ports: number[]): object => ({
    cluster: "east",
    state: "Synced",
    sendsTo: { high: ports },
  });
  const receiver = (
    standing: KubeObject,
    peerPools: readonly (KubeObject | undefined)[],
    more: Partial<WorldFile> = {},
  ): WorldFile => ({
    homeId: "east",
    home: [policy(32222), ingress, standing],
    peers: peerPools.map((peerPool, index) => ({
      id: `p${index}`,
      objects: peerPool === undefined ? [] : [peerPool],
    })),
    listening,
    ...more,
  });
  const peer = (...ports: number[]): KubeObject =>
    pool({ high: 31111, address: "198.18.2.1", peers: [echo(...ports)] });
  const moved = pool({ high: 32222, draining });

  it("is open at the old one too before the new one is known to be, and says so", () => {
    const before = told({
      ...receiver(pool({ high: 31111 }), [peer(31111)]),
      listening: { one: [31111] },
    });
    expect(before.spec).to.deep.include({ draining });
    expect(before.spec).to.have.nested.property("endpoints[0].ports.high", 31111);
    expect(before.draining).to.deep.equal(draining);
    const after = told(receiver(pool({ high: 31111, draining }), [peer(31111)]));
    expect(after.spec).to.have.nested.property("endpoints[0].ports.high", 32222);
    expect(after.draining).to.deep.equal(draining);
  });

  it("is open at the old one until every peer has said that it sends elsewhere, after a restart as well", () => {
    expect(told(receiver(moved, [peer(32222), peer(31111, 32222)])).draining).to.deep.equal(draining);
    expect(told({ ...receiver(moved, [peer(31111)]), listening: {} }).draining).to.deep.equal(draining);
    const done = told(receiver(moved, [peer(32222), peer(32222)]));
    expect(done.draining).to.deep.equal([]);
    expect(done.spec).not.to.have.property("draining");
    expect(told(receiver(pool({ high: 32222 }), [peer(31111)])).draining, "once closed").to.deep.equal([]);
  });

  it("waits for a peer that says nothing of ports, or was never heard, until that is overdue", () => {
    const old = pool({ high: 31111, peers: [{ cluster: "east", state: "Synced" }] });
    for (const silent of [old, undefined]) {
      const waits = receiver(moved, [peer(32222), silent]);
      expect(told(waits).draining).to.deep.equal(draining);
      expect(told({ ...waits, overdue: ["high:31111"] }).draining).to.deep.equal([]);
    }
  });

  it("tells at the policy whom it waits for", () => {
    const { desired } = told(receiver(moved, [peer(32222), peer(31111)]));
    const status = desired.statuses.get("WANPolicy/high");
    expect(status).to.have.nested.property(
      "conditions[0].message",
      'Gateways listen for it, and at its earlier port 31111 until "p1" sends elsewhere.',
    );
  });

  it("leaves a port to another policy that has it now, and to one that takes it back", () => {
    const other = { ...policy(31111), metadata: { ...policy(31111).metadata, name: "low", uid: "l" } };
    const taken = receiver(moved, [peer(31111)]);
    expect(told({ ...taken, home: [...(taken.home ?? []), other] }).draining).to.deep.equal([]);
    const back = told({ ...taken, home: [policy(31111), ingress, moved] });
    expect(back.draining).to.deep.equal([{ policy: "high", port: 32222 }]);
  });

  describe("as a peer hears of it", () => {
    const egress = pod("two", "mc-wan-egress", "198.18.2.9");
    const hears = (sending: WorldFile["sending"], more: readonly KubeObject[] = []): WorldFile => ({
      homeId: "p0",
      home: [
        policy(31111),
        egress,
        pool({ high: 31111, address: "198.18.2.1", peers: [{ ...echo(31111), cluster: "east" }] }),
        ...more,
      ],
      peers: [{ id: "east", objects: [moved] }],
      ...(sending && { sending }),
    });
    const echoed = (file: WorldFile): unknown =>
      (told(file).status as { cluster: string; sendsTo: unknown }[])[0]?.sendsTo;

    it("is echoed with the old one while an Envoy may still send there, and while that is unknown", () => {
      expect(echoed(hears({ two: { east: { high: [31111, 32222] } } }))).to.deep.equal({
        high: [31111, 32222],
      });
      expect(echoed(hears({}))).to.deep.equal({ high: [31111, 32222] });
      expect(echoed(hears({ two: { east: { high: [32222] } } }))).to.deep.equal({ high: [32222] });
    });

    it("is echoed with the old one while a slice leads clients there past any Envoy", () => {
      const slice = (address: string): KubeObject => ({
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { name: "s", namespace: "a", labels: ours },
        addressType: "IPv4",
        ports: [{ name: "http", port: 31111 }],
        endpoints: [{ addresses: [address] }],
      });
      const left = { two: { east: { high: [32222] } } };
      expect(echoed(hears(left, [slice("198.18.1.1")]))).to.deep.equal({ high: [31111, 32222] });
      expect(echoed(hears(left, [slice("198.18.3.3")])), "another cluster's").to.deep.equal({
        high: [32222],
      });
    });
  });
});
