/**
 * Which writes would make the home cluster what Desired says. Pure.
 *
 * Never adopts an object that is not ours, and never deletes one that doesn't carry both our label and our field
 * manager's mark, or that is being deleted already.
 */
import { reasons } from "../api/conditions.ts";
import { createHash } from "node:crypto";
import type { DesiredObject, ObjectKey } from "../model/desired.ts";
import { objectKey } from "../model/desired.ts";
import type { KindName } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { labels } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import { isOlder } from "../model/resource-version.ts";
import { isHeard } from "../model/world.ts";
import type { HomeKind, HomeObjects, World } from "../model/world.ts";
import { covers } from "./covers.ts";
import { hasOurLabel, isOurs, ownFields, ownsMoreThan } from "./own-fields.ts";

/** What to do with one object. */
export type Change =
  | { readonly verb: "None" }
  | {
      readonly verb: "Apply";
      readonly kind: KindName;
      /** With the uid of what stands, so that nothing else can be changed in its place. */
      readonly object: KubeObject;
      /** Not seen in the World. */
      readonly isNew: boolean;
      /** The World doesn't show foreign objects of this kind: look before creating. */
      readonly mustLook: boolean;
    }
  | { readonly verb: "Delete"; readonly kind: KindName; readonly object: KubeObject }
  | { readonly verb: "Foreign"; readonly kind: KindName; readonly problem: Problem };

/** What was written last for an object: an API server that normalises a value must not be written to for ever. */
export interface Written {
  /** As {@link intentOf} gives it. */
  readonly intent: string;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

/** Kinds of which the World shows only what carries our label. */
const labelledKinds: ReadonlySet<KindName> = new Set<KindName>([
  "Endpoints",
  "ServiceAccount",
  "Deployment",
  "PodDisruptionBudget",
]);

/** Kinds that mc-wan writes, and so deletes when they are no longer wanted. */
export const writtenKinds = [
  "Service",
  "EndpointSlice",
  "Endpoints",
  "ServiceAccount",
  "Deployment",
  "PodDisruptionBudget",
  "Gateway",
  "HTTPRoute",
  "TCPRoute",
  "ReferenceGrant",
  "BackendTLSPolicy",
  "McsServiceImport",
  "ServiceAdvertisement",
  "GatewayAdvertisement",
] as const satisfies readonly HomeKind[];

export type WrittenKind = (typeof writtenKinds)[number];

/** What this cluster tells its peers; all else may depend on what peers tell. */
const advertisedKinds: ReadonlySet<KindName> = new Set<KindName>([
  "ServiceAdvertisement",
  "GatewayAdvertisement",
]);

/** The object of a key as the World shows it. */
export function observedObject(home: HomeObjects, kind: KindName, key: string): KubeObject | undefined {
  const store = (home as Partial<Record<KindName, ReadonlyMap<string, unknown>>>)[kind];
  return store?.get(key) as KubeObject | undefined;
}

/** What to do so that one object is as desired. */
export function planObject(
  { kind, object }: DesiredObject,
  observed: KubeObject | undefined,
  written: Written | undefined,
): Change {
  if (observed === undefined) {
    return { verb: "Apply", kind, object, isNew: true, mustLook: labelledKinds.has(kind) };
  }
  if (observed.metadata.deletionTimestamp !== undefined) return { verb: "None" };
  if (!isOurs(observed)) return { verb: "Foreign", kind, problem: foreignProblem(kind, object) };
  const own = ownFields(observed);
  const stands = own !== undefined && covers(observed, object) && !ownsMoreThan(own, object);
  if (stands || isWritten(observed, written, () => intentOf(object))) return { verb: "None" };
  const { uid } = observed.metadata;
  const guarded = uid === undefined ? object : { ...object, metadata: { ...object.metadata, uid } };
  return { verb: "Apply", kind, object: guarded, isNew: false, mustLook: false };
}

/** Tells intents apart in a few bytes: thousands of them are remembered. */
export function intentOf(wanted: unknown): string {
  return createHash("sha256").update(JSON.stringify(wanted)).digest("base64");
}

/**
 * Whether what stands is what our last write of this intent left, or the World has yet to show that write. `intent` is
 * as in {@link Written}.
 */
export function isWritten(observed: KubeObject, written: Written | undefined, intent: () => string): boolean {
  if (written === undefined || written.uid !== observed.metadata.uid) return false;
  const { resourceVersion } = observed.metadata;
  const isCurrent =
    written.resourceVersion === resourceVersion || isOlder(resourceVersion, written.resourceVersion);
  return isCurrent && written.intent === intent();
}

/** For the condition of the cause, and for the log. */
export function foreignProblem(kind: KindName, object: KubeObject): Problem {
  return {
    reason: reasons.NotOurs,
    message: `A ${kind} ${keyOf(object.metadata)} that mc-wan didn't make stands in the way. Delete or rename it.`,
  };
}

/** Objects of ours of one kind that nothing wants any more; whether they may be deleted is asked of {@link mayPrune}. */
export function unwantedOf(
  world: World,
  kind: WrittenKind,
  wanted: Pick<ReadonlyMap<ObjectKey, unknown>, "has">,
): Map<ObjectKey, KubeObject> {
  const unwanted = new Map<ObjectKey, KubeObject>();
  for (const [key, value] of world.home[kind] as ReadonlyMap<string, unknown>) {
    const object = value as KubeObject;
    if (!isOurToDelete(kind, object)) continue;
    const whole = objectKey(kind, key);
    if (!wanted.has(whole)) unwanted.set(whole, object);
  }
  return unwanted;
}

/**
 * Whether objects of a kind may be deleted now. While a peer is unknown, what may exist because of it stays: only our own
 * advertisements are ended.
 */
export function mayPrune(world: World, kind: WrittenKind): boolean {
  return advertisedKinds.has(kind) || !hasUnknownPeers(world);
}

/** Whether some peer was never heard of since this process started. */
export function hasUnknownPeers(world: World): boolean {
  return !world.peers.every(isHeard);
}

function isOurToDelete(kind: KindName, object: KubeObject): boolean {
  if (object.metadata.deletionTimestamp !== undefined || !hasOurLabel(object)) return false;
  // Kubernetes copies a Service's labels to the slices that it makes.
  if (kind === "EndpointSlice" && object.metadata.labels?.[labels.sliceManagedBy] !== labels.managedByValue)
    return false;
  return ownFields(object) !== undefined;
}
