/**
 * What apply needs of the home cluster. The implementation is in `drivers/kube`.
 *
 * Failures are thrown as UnavailableError or RefusedError (model/errors.ts).
 */
import type { KindInfo } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";

export interface ObjectRef {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** What must still hold of an object for it to be deleted. */
export interface Preconditions {
  readonly uid: string;
  readonly resourceVersion?: string;
}

export interface KubeWriter {
  /** The object as it stands, or undefined if there is none. */
  get(kind: KindInfo, ref: ObjectRef): Promise<KubeObject | undefined>;
  /** Server-side apply as our field manager, forced. A uid in the object's metadata must be that of what stands. */
  apply(kind: KindInfo, object: KubeObject): Promise<KubeObject>;
  /** The same for the status subresource. */
  applyStatus(kind: KindInfo, object: KubeObject): Promise<KubeObject>;
  /** JSON merge patch of the status subresource; metadata.resourceVersion guards against a race (409). */
  mergeStatus(kind: KindInfo, object: KubeObject): Promise<KubeObject>;
  /** Creates; 409 if it exists. */
  create(kind: KindInfo, object: KubeObject): Promise<KubeObject>;
  /** Replaces; metadata.resourceVersion guards against a race (409). */
  replace(kind: KindInfo, object: KubeObject): Promise<KubeObject>;
  /** Deletes in the background; that it is gone already is no failure. */
  delete(kind: KindInfo, ref: ObjectRef, preconditions: Preconditions): Promise<void>;
}
