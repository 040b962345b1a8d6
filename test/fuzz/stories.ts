/**
 * Random stories: one world after the other, each with objects that came, went or changed. What did not change is the same
 * JavaScript object, and a store in which nothing did is the same Map, as observe promises.
 */
import fc from "fast-check";
import { keyOf } from "../../src/model/kube-object.ts";
import type { KubeObject } from "../../src/model/kube-object.ts";
import { areSame } from "../../src/model/memo.ts";
import type { World } from "../../src/model/world.ts";
import { kindOf, worldFrom } from "../../src/reconcile/world-from-yaml.ts";
import type { WorldFile } from "../../src/reconcile/world-from-yaml.ts";
import { worldFile } from "./worlds.ts";

/** Two worlds, and by step which objects of each there are. */
interface Story {
  readonly first: WorldFile;
  readonly second: WorldFile;
  readonly seeds: readonly number[];
}

export const storyArbitrary: fc.Arbitrary<Story> = fc.record({
  first: worldFile,
  second: worldFile,
  seeds: fc.array(fc.nat({ max: 10_000 }), { minLength: 1, maxLength: 4 }),
});

/** The worlds of a story in turn. */
export function tell({ first, second, seeds }: Story): readonly World[] {
  const other = { ...second, home: (second.home ?? []).map(reborn) };
  const worlds: World[] = [];
  for (const seed of seeds) {
    const home = chosen([first.home ?? [], other.home], seed);
    const isSecond = seed % 2 === 1;
    const world = worldFrom({ ...(isSecond ? other : first), home });
    const before = worlds.at(-1);
    worlds.push(before === undefined ? world : withSameParts(before, world));
  }
  return worlds;
}

/** Another object of the same name, which is not the first one. */
const reborn = (object: KubeObject): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, uid: `second ${object.metadata.uid ?? ""}`, resourceVersion: "2" },
});

/** Of each object one of the two, or neither. */
function chosen(
  lists: readonly [readonly KubeObject[], readonly KubeObject[]],
  seed: number,
): readonly KubeObject[] {
  const [first, second] = lists.map(
    (list) => new Map(list.map((object) => [`${kindOf(object)} ${keyOf(object.metadata)}`, object])),
  );
  const keys = [...new Set([...(first?.keys() ?? []), ...(second?.keys() ?? [])])];
  return keys.flatMap((key, index) => {
    const draw = Math.imul(seed + 1, 0x9e37_79b1 + index * 0x85eb_ca6b) >>> 29;
    const object = draw < 2 ? undefined : draw < 5 ? (first?.get(key) ?? second?.get(key)) : second?.get(key);
    return object === undefined ? [] : [object];
  });
}

/** The world with the stores of the one before where these hold the same. */
function withSameParts(before: World, world: World): World {
  const same = <T extends Readonly<Record<string, ReadonlyMap<string, unknown>>>>(old: T, now: T): T =>
    Object.fromEntries(
      Object.entries(now).map(([kind, store]) => {
        const held = old[kind];
        const isSame = held !== undefined && areSame([...held].flat(), [...store].flat());
        return [kind, isSame ? held : store];
      }),
    ) as T;
  const peers = world.peers.map((peer) => {
    const old = before.peers.find(({ id }) => id === peer.id);
    return old === undefined ? peer : { ...peer, objects: same(old.objects, peer.objects) };
  });
  return { ...world, home: same(before.home, world.home), peers };
}
