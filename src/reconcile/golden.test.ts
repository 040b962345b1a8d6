import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import { parse, stringify } from "yaml";
import { objectKey, type Desired } from "../model/desired.ts";
import { keyOf, type KubeObject } from "../model/kube-object.ts";
import { systemNamespace } from "../model/names.ts";
import type { World } from "../model/world.ts";
import { createReconcile } from "./reconcile.ts";
import { kindOf, worldFrom, type WorldFile } from "./world-from-yaml.ts";

const dir = new URL("testdata/", import.meta.url);

interface Case extends WorldFile {
  /** Also show what is deployed for the shared pools, which is the same in every case. */
  readonly showPools?: boolean;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  if (value instanceof Map) for (const item of value.values()) deepFreeze(item);
  else for (const item of Object.values(value)) deepFreeze(item);
  return value;
}

function read(name: string): Case {
  return parse(readFileSync(new URL(`${name}.in.yaml`, dir), "utf8")) as Case;
}

/** The same file with the lists of objects the other way round. */
function reversed(file: Case): Case {
  return {
    ...file,
    ...(file.home && { home: [...file.home].reverse() }),
    ...(file.peers && {
      peers: [...file.peers]
        .reverse()
        .map((peer) => ({ ...peer, ...(peer.objects && { objects: [...peer.objects].reverse() }) })),
    }),
  };
}

function shown(desired: Desired, showPools: boolean): unknown {
  const sorted = <T>(map: ReadonlyMap<string, T>): Record<string, T> =>
    Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
  const isPool = ({ kind, object }: { kind: string; object: KubeObject }): boolean =>
    object.metadata.namespace === systemNamespace && kind !== "GatewayAdvertisement";
  return {
    objects: sorted(
      new Map(
        [...desired.objects]
          .filter(([, entry]) => showPools || !isPool(entry))
          .map(([key, { object }]) => [key, object]),
      ),
    ),
    statuses: sorted(desired.statuses),
    gateways: desired.gateways.map(({ gateway, listenerSets, ...rest }) => ({
      gateway: keyOf(gateway.metadata),
      ...rest,
      ...(listenerSets && {
        listenerSets: listenerSets.map(({ set, isAllowed }) => ({ set: keyOf(set.metadata), isAllowed })),
      }),
    })),
    httpRoutes: [...desired.httpRoutes.keys()].sort(),
    referenceGrants: [...desired.referenceGrants.keys()].sort(),
    wanBackends: sorted(desired.wanBackends),
    ...(desired.clients.size === 0 ? {} : { clients: sorted(desired.clients) }),
    ...(desired.probes.length === 0 ? {} : { probes: desired.probes }),
  };
}

const written = (desired: Desired, file: Case): string =>
  stringify(shown(desired, file.showPools === true), {
    sortMapEntries: true,
    lineWidth: 0,
    aliasDuplicateObjects: false,
  });

/** The World after everything was applied, as an apiserver would have it. */
function applied(file: Case, world: World, desired: Desired): Case {
  const managed = "app.kubernetes.io/managed-by";
  const kept = (file.home ?? []).filter((object) => object.metadata.labels?.[managed] !== "mc-wan");
  const ofFile = new Map(
    (file.home ?? []).map((object) => [objectKey(kindOf(object), keyOf(object.metadata)), object]),
  );
  let nextIp = 1;
  const ours = [...desired.objects].map(([key, { kind, object }]): KubeObject => {
    const standing = ofFile.get(key);
    const metadata = {
      ...object.metadata,
      uid: standing?.metadata.uid ?? `uid of ${key}`,
      generation: standing?.metadata.generation ?? 1,
    };
    if (kind !== "Service") return { ...object, metadata };
    const before = (standing?.["spec"] as { clusterIPs?: string[] } | undefined)?.clusterIPs;
    const clusterIPs = before ??
      (object["spec"] as { clusterIPs?: string[] }).clusterIPs ?? [`10.96.200.${nextIp++}`];
    return {
      ...object,
      metadata,
      spec: { ...(object["spec"] as object), clusterIP: clusterIPs[0], clusterIPs },
    };
  });
  expect(world.homeId).to.equal(file.homeId);
  return { ...file, home: [...kept, ...ours] };
}

describe("reconcile, by example", () => {
  const names = readdirSync(dir)
    .filter((name) => name.endsWith(".in.yaml"))
    .map((name) => name.slice(0, -".in.yaml".length));

  for (const name of names) {
    it(name, () => {
      const file = read(name);
      const out = new URL(`${name}.out.yaml`, dir);
      const got = written(createReconcile()(deepFreeze(worldFrom(file))), file);
      if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(out, got);
      expect(got).to.equal(existsSync(out) ? readFileSync(out, "utf8") : "");
    });

    it(`${name}: the order of lists does not matter`, () => {
      const file = read(name);
      expect(written(createReconcile()(worldFrom(reversed(file))), file)).to.equal(
        written(createReconcile()(worldFrom(file)), file),
      );
    });

    it(`${name}: a second pass gives the same objects again`, () => {
      const reconcile = createReconcile();
      const world = worldFrom(read(name));
      const [first, second] = [reconcile(world), reconcile(world)];
      for (const [key, { object }] of first.objects)
        expect(second.objects.get(key)?.object, key).to.equal(object);
      first.gateways.forEach((served, index) => {
        expect(second.gateways[index]).to.equal(served);
      });
      for (const [key, backend] of first.wanBackends) expect(second.wanBackends.get(key)).to.equal(backend);
    });

    it(`${name}: once applied, nothing more is written, and a restart writes nothing`, function () {
      this.timeout(10_000);
      const reconcile = createReconcile();
      let file = read(name);
      let desired = reconcile(worldFrom(file));
      for (let pass = 0; pass < 4; pass++) {
        file = applied(file, worldFrom(file), desired);
        desired = reconcile(worldFrom(file));
      }
      const again = applied(file, worldFrom(file), desired);
      const objects = (from: Desired): unknown => (shown(from, true) as { objects: unknown }).objects;
      expect(objects(reconcile(worldFrom(again)))).to.deep.equal(objects(desired));
      // What Envoys listen to is unknown to a controller that has just started.
      expect(objects(createReconcile()(worldFrom({ ...again, listening: {} })))).to.deep.equal(
        objects(desired),
      );
    });
  }

  it("forgets nothing wrong: one reconcile that sees all Worlds in turn says what fresh ones say", function () {
    this.timeout(30_000);
    const reconcile = createReconcile();
    for (const name of [...names, ...names.toReversed()]) {
      const file = read(name);
      expect(written(reconcile(worldFrom(file)), file), name).to.equal(
        readFileSync(new URL(`${name}.out.yaml`, dir), "utf8"),
      );
    }
  });

  it("has an input for every output", () => {
    const orphans = readdirSync(dir).filter(
      (name) => name.endsWith(".out.yaml") && !names.includes(name.slice(0, -".out.yaml".length)),
    );
    expect(orphans).to.deep.equal([]);
  });
});
