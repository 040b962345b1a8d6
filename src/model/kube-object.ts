/**
 * The shape that every Kubernetes object shares, and references to objects.
 *
 * Never holds behaviour of one kind: those live in the stage that knows the kind.
 */

/** Owner of an object, as garbage collection sees it. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** The part of `metadata` that mc-wan reads or writes. Times are RFC 3339. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
}

/** Any Kubernetes object. Objects in a World are frozen by convention: never changed in place. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

/** A library's object type with `metadata` narrowed to ours, so that a name is always there. */
export type Kube<T> = Omit<T, "metadata"> & { readonly metadata: ObjectMeta };

/** A condition as `metav1.Condition` defines it. */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  /** CamelCase, from `api/conditions.ts`. */
  readonly reason: string;
  /** For a person: what is wrong and what to do. */
  readonly message: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime?: string;
}

/** `namespace/name`, or `name` for cluster-scoped objects: the key of a Store. */
export function keyOf(meta: { readonly namespace?: string | undefined; readonly name: string }): string {
  return meta.namespace === undefined ? meta.name : `${meta.namespace}/${meta.name}`;
}
