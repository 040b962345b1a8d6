/** One pass of the pure stages over a world, and all of its outcome as text. */
import type { Desired, DesiredStatus, ObjectKey } from "../../src/model/desired.ts";
import type { Translation } from "../../src/model/envoy-config.ts";
import { keyOf } from "../../src/model/kube-object.ts";
import type { World } from "../../src/model/world.ts";
import { gatewayStatuses } from "../../src/reconcile/gateway-status.ts";
import { createReconcile } from "../../src/reconcile/reconcile.ts";
import type { WorldFile } from "../../src/reconcile/world-from-yaml.ts";
import { printTranslation } from "../../src/translate/case-file.ts";
import { createTranslate } from "../../src/translate/translate.ts";

/** What the stages made of one world. */
export interface Outcome {
  readonly world: World;
  readonly desired: Desired;
  readonly translation: Translation;
  /** All of them, those of Gateways and routes included. */
  readonly statuses: ReadonlyMap<ObjectKey, DesiredStatus>;
}

/** The stages with a memory of their own. */
export function createPass(): (world: World) => Outcome {
  const reconcile = createReconcile();
  const translate = createTranslate();
  return (world) => {
    const desired = reconcile(world);
    // Another implementation is told nothing but what is written.
    const isOurs = world.settings.dataPlane.name === "envoy";
    const translation = translate(world, isOurs ? desired : { ...desired, gateways: [] });
    if (!isOurs) return { world, desired, translation, statuses: desired.statuses };
    const ofGateways = gatewayStatuses({
      world,
      desired,
      translation,
      acknowledgements: new Map(),
      refusedRoutes: [],
    });
    return { world, desired, translation, statuses: new Map([...desired.statuses, ...ofGateways]) };
  };
}

/** Everything, to the byte: lists in their order, maps in that of their keys. */
export function printOutcome({ desired, translation, statuses }: Outcome): string {
  const sorted = (map: ReadonlyMap<string, unknown>): unknown =>
    [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => ({ [key]: value }));
  const shown = {
    objects: sorted(desired.objects),
    statuses: sorted(statuses),
    gateways: desired.gateways.map(({ gateway, ...rest }) => ({ ...rest, gateway: keyOf(gateway.metadata) })),
    wanBackends: sorted(desired.wanBackends),
    probes: desired.probes,
  };
  return `${JSON.stringify(shown, undefined, 1)}\n${printTranslation(translation)}`;
}

/** The same file with all of its lists of objects the other way round. */
export function reversed(file: WorldFile): WorldFile {
  const peers = (file.peers ?? []).map((peer) => ({ ...peer, objects: (peer.objects ?? []).toReversed() }));
  return { ...file, home: (file.home ?? []).toReversed(), peers: peers.toReversed() };
}
