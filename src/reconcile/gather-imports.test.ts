import { expect } from "chai";
import { advertisement } from "../../test/advertisement.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import type { World } from "../model/world.ts";
import { createReconcile } from "./reconcile.ts";
import { worldFrom } from "./world-from-yaml.ts";

const policy = (name: string, port: number): KubeObject => ({
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "WANPolicy",
  metadata: { name, uid: `uid-${name}`, generation: 1, creationTimestamp: "2026-01-01T00:00:00Z" },
  spec: { tunnel: name, port, mode: "Plain" },
});

const services = ["cart", "payment", "stock"];
const world = worldFrom({
  homeId: "west",
  home: [policy("high", 31_111), { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } }],
  peers: [{ id: "east", objects: [policy("high", 31_111), ...services.map((name) => advertisement(name))] }],
});

/** The World after one advertisement has changed. */
function withReadyBackends(name: string, count: number): World {
  const [east] = world.peers;
  const known = east?.objects.ServiceAdvertisement.get(`shop/${name}`);
  if (east === undefined || known === undefined) throw new Error(`no ${name}`);
  const changed: ObjectTypes["ServiceAdvertisement"] = {
    ...known,
    spec: { ...known.spec, readyBackends: [{ zone: "", count }] },
  };
  const ServiceAdvertisement = new Map([
    ...east.objects.ServiceAdvertisement,
    [`shop/${name}`, changed] as const,
  ]);
  return { ...world, peers: [{ ...east, objects: { ...east.objects, ServiceAdvertisement } }] };
}

describe("gathering imports", () => {
  it("makes nothing anew of a peer's other services when one advertisement changes", () => {
    const reconcile = createReconcile();
    const before = reconcile(world);
    const after = reconcile(withReadyBackends("payment", 3));
    const renewed = [...after.objects]
      .filter(([key, { object }]) => before.objects.get(key)?.object !== object)
      .map(([key]) => key);
    expect(after.objects.size).to.equal(before.objects.size);
    expect(renewed).to.not.be.empty;
    expect(renewed.filter((key) => !key.includes("payment"))).to.deep.equal([]);
  });
});
