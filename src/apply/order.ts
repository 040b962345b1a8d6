/**
 * Which writes begin first: what peers and traffic wait for; of the rest, what people read last. Order is no promise: each
 * object is right by itself, whenever it is written.
 */
import type { KindName } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { dummyNamespace } from "../model/names.ts";

/** Peers wait for what is advertised, clients for the address of a shadow Service and for what stands behind it. */
const awaited: readonly KindName[] = [
  "ServiceAdvertisement",
  "GatewayAdvertisement",
  "Service",
  "EndpointSlice",
];

/** Of the same kinds in the dummies' namespace, the legacy copies, and the rest. */
const later: readonly KindName[] = ["Service", "EndpointSlice", "Endpoints"];

/** Whether a request or a peer waits for it: nothing else of the same pass should stand in its way. */
export function isUrgent(kind: KindName, object: KubeObject): boolean {
  return rankOf(kind, object) < awaited.length;
}

/** What is looked at of a write. */
type Ordered =
  | { readonly type: "Status" }
  | { readonly type: "Object"; readonly kind: KindName; readonly change: { readonly object: KubeObject } };

/** The writes, first those that should begin first. */
export function inOrder<Write extends Ordered>(
  writes: ReadonlyMap<string, Write>,
): ReadonlyMap<string, Write> {
  if (writes.size < 2) return writes;
  return new Map([...writes].sort(([, a], [, b]) => rankOfWrite(a) - rankOfWrite(b)));
}

function rankOfWrite(write: Ordered): number {
  if (write.type === "Status") return awaited.length + later.length + 1;
  return rankOf(write.kind, write.change.object);
}

function rankOf(kind: KindName, { metadata }: KubeObject): number {
  // The Envoys have the dummies' endpoints from the configuration: only people read these objects.
  const rank = metadata.namespace === dummyNamespace ? -1 : awaited.indexOf(kind);
  if (rank !== -1) return rank;
  const laterRank = later.indexOf(kind);
  return awaited.length + (laterRank === -1 ? later.length : laterRank);
}
