import { expect } from "chai";
import type { KubeObject } from "../model/kube-object.ts";
import type { PeerKind, RefusedObject } from "../model/world.ts";
import { PeerParser } from "./peer-objects.ts";

type Raw = ReadonlyMap<string, KubeObject>;

const policy = (port: unknown): KubeObject => ({
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "WANPolicy",
  metadata: { name: "high" },
  spec: { tunnel: "business", port },
});

const advertisement = (name: string, spec: object = {}): KubeObject => ({
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "ServiceAdvertisement",
  metadata: { namespace: "shop", name },
  spec: {
    formatVersion: 1,
    type: "ClusterSetIP",
    exportTime: "2026-01-01T00:00:00Z",
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    ipFamilies: ["IPv4"],
    pool: "mc-wan-ingress",
    readyBackends: [{ zone: "", count: 1 }],
    ...spec,
  },
});

const none: Raw = new Map();
const stored = (...objects: KubeObject[]): Raw =>
  new Map(
    objects.map((object) => [
      object.metadata.namespace === undefined
        ? object.metadata.name
        : `${object.metadata.namespace}/${object.metadata.name}`,
      object,
    ]),
  );

const seen =
  (raw: Partial<Record<PeerKind, Raw>>) =>
  (kind: PeerKind): Raw =>
    raw[kind] ?? none;

const words = ({ kind, key, problem, isKept }: RefusedObject): string =>
  `${kind} ${key} ${problem.reason}${isKept ? " kept" : ""}`;

describe("a peer's objects", () => {
  it("keeps what an object said before it became newer than this version, until it is readable or gone", () => {
    const told: string[] = [];
    const parser = new PeerParser((refused) => told.push(words(refused)));
    const readable = advertisement("cart");
    const first = parser.objects(seen({ ServiceAdvertisement: stored(readable) }));
    expect(parser.refused).to.deep.equal([]);

    for (const change of [{ formatVersion: 2 }, { type: "Mesh" }]) {
      const newer = stored(advertisement("cart", change));
      const kept = parser.objects(seen({ ServiceAdvertisement: newer }));
      expect(kept.ServiceAdvertisement.get("shop/cart")).to.equal(
        first.ServiceAdvertisement.get("shop/cart"),
      );
      expect(parser.refused.map(({ isKept }) => isKept)).to.deep.equal([true]);
    }
    expect(told.length).to.equal(2);
    expect(told[0]).to.equal("ServiceAdvertisement shop/cart UnsupportedFormatVersion kept");

    const again = parser.objects(
      seen({ ServiceAdvertisement: stored(advertisement("cart", { path: "Gateway" })) }),
    );
    expect(again.ServiceAdvertisement.get("shop/cart")?.spec.path).to.equal("Gateway");
    expect(parser.refused).to.deep.equal([]);

    parser.objects(seen({ ServiceAdvertisement: stored(advertisement("cart", { formatVersion: 2 })) }));
    const gone = parser.objects(seen({}));
    expect(gone.ServiceAdvertisement.size).to.equal(0);
    expect(parser.refused).to.deep.equal([]);
  });

  it("leaves out what could never be read, says so once for each version, and harms no other object", () => {
    const told: string[] = [];
    const parser = new PeerParser((refused) => told.push(words(refused)));
    const raw = {
      WANPolicy: stored(policy("many")),
      ServiceAdvertisement: stored(advertisement("mail", { ports: 1 }), advertisement("cart")),
    };
    const objects = parser.objects(seen(raw));
    expect([...objects.WANPolicy.keys(), ...objects.ServiceAdvertisement.keys()]).to.deep.equal([
      "shop/cart",
    ]);
    const { refused } = parser;
    expect(refused.map(({ kind, key, isKept }) => [kind, key, isKept])).to.deep.equal([
      ["WANPolicy", "high", false],
      ["ServiceAdvertisement", "shop/mail", false],
    ]);
    const more = [...raw.ServiceAdvertisement.values(), advertisement("shoes")];
    parser.objects(seen({ ...raw, ServiceAdvertisement: stored(...more) }));
    expect(parser.refused, "another object that comes changes nothing").to.equal(refused);
    expect(told.length).to.equal(2);
  });

  it("is the same value while nothing changes", () => {
    const parser = new PeerParser(() => undefined);
    const raw = seen({ WANPolicy: stored(policy("many")), ServiceAdvertisement: stored(advertisement("a")) });
    const objects = parser.objects(raw);
    const { refused } = parser;
    expect(parser.objects(raw)).to.equal(objects);
    expect(parser.refused).to.equal(refused);
  });
});
