/**
 * Labels and owner of every object that reconcile makes (specification, section 4): managed-by, the cause, and as owner
 * the cause if it is in the same namespace, else the CRD `wanpolicies.mc-wan.l7mp.io`, whose deletion ends the
 * installation. Also tells whose an object is that already stands under one of our names.
 */
import type { DesiredObject, ServiceRef } from "../model/desired.ts";
import { kinds, type KindName, type ObjectTypes } from "../model/kinds.ts";
import type { ObjectMeta, OwnerReference } from "../model/kube-object.ts";
import { labels, ownerCrd } from "../model/names.ts";
import type { World } from "../model/world.ts";

/** The CRD as owner; undefined until it was seen (then objects stand without an owner for one pass). */
export function crdOwner(world: World): OwnerReference | undefined {
  const crd = world.home.CustomResourceDefinition.get(ownerCrd);
  return crd === undefined
    ? undefined
    : ownerReference({ apiVersion: crd.apiVersion, kind: crd.kind, metadata: crd.metadata });
}

/** An object as owner of others; undefined while it has no uid. */
export function ownerReference(owner: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}): OwnerReference | undefined {
  const { uid, name } = owner.metadata;
  return uid === undefined ? undefined : { apiVersion: owner.apiVersion, kind: owner.kind, name, uid };
}

/** What {@link metadataOf} needs to know of an object. */
export interface Identity {
  readonly name: string;
  readonly namespace?: string;
  /** The service that is the cause, if one is. */
  readonly cause?: ServiceRef;
  readonly owner: OwnerReference | undefined;
  /** Further labels. They win over a service's exported labels, and ours over both. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Metadata of an object that we make: nothing that the server fills in, no empty map. */
export function metadataOf(identity: Identity): ObjectMeta {
  const { cause, owner, annotations } = identity;
  return {
    name: identity.name,
    ...(identity.namespace === undefined ? {} : { namespace: identity.namespace }),
    labels: {
      ...identity.labels,
      [labels.managedBy]: labels.managedByValue,
      ...(cause === undefined
        ? {}
        : { [labels.serviceNamespace]: cause.namespace, [labels.serviceName]: cause.name }),
    },
    ...(annotations === undefined || Object.keys(annotations).length === 0 ? {} : { annotations }),
    ...(owner === undefined ? {} : { ownerReferences: [owner] }),
  };
}

/** apiVersion and kind of an object to make. */
export function typeOf<K extends KindName>(kind: K): Pick<ObjectTypes[K], "apiVersion" | "kind"> {
  return { apiVersion: kinds[kind].apiVersion, kind: kinds[kind].kind };
}

/** An object to apply. */
export function desired<K extends KindName>(kind: K, object: ObjectTypes[K]): DesiredObject {
  return { kind, object };
}

/** Whether we made the object, as its managed-by label says. */
export function isOurs(object: { readonly metadata: ObjectMeta }): boolean {
  return object.metadata.labels?.[labels.managedBy] === labels.managedByValue;
}
