/**
 * A model of an API server for what mc-wan writes: applies a plan to the objects of a world. Knows server-side apply as far as
 * one writer alone needs it; never refuses anything.
 */
import type { PlannedWrite } from "../../src/apply/planner.ts";
import { keyOf } from "../../src/model/kube-object.ts";
import type { KubeObject } from "../../src/model/kube-object.ts";
import type { KindName } from "../../src/model/kinds.ts";
import type { World } from "../../src/model/world.ts";

/** Objects by kind and key. */
type Stores = Map<string, ReadonlyMap<string, unknown>>;

/** Carries out plans. Gives addresses and versions that were never given before. */
export class ModelApiServer {
  #given = 0;

  /** The world after all writes of a plan. */
  carryOut(world: World, writes: Iterable<PlannedWrite>): World {
    const stores: Stores = new Map(Object.entries(world.home));
    for (const write of writes) {
      const { kind } = write;
      const store = new Map(stores.get(kind));
      if (write.type === "Status") this.#writeStatus(store, write.object);
      else if (write.change.verb === "Delete") store.delete(keyOf(write.change.object.metadata));
      else this.#apply(store, kind, write.change.object);
      stores.set(kind, store);
    }
    return { ...world, home: Object.fromEntries(stores) as unknown as World["home"] };
  }

  #apply(store: Map<string, unknown>, kind: KindName, object: KubeObject): void {
    const key = keyOf(object.metadata);
    const before = store.get(key) as KubeObject | undefined;
    const held = (before?.metadata as { managedFields?: readonly object[] } | undefined)?.managedFields ?? [];
    const ofStatus = held.filter((entry) => "subresource" in entry);
    const metadata = {
      ...object.metadata,
      uid: before?.metadata.uid ?? `given ${(this.#given += 1)}`,
      creationTimestamp: before?.metadata.creationTimestamp ?? "2026-06-01T00:00:00Z",
      generation: (before?.metadata.generation ?? 0) + 1,
      resourceVersion: String((this.#given += 1)),
      managedFields: [managedBy(object), ...ofStatus],
    };
    const status = before?.["status"];
    const applied = { ...object, metadata, ...(status !== undefined && { status }) };
    store.set(key, kind === "Service" ? this.#withAddress(applied, before) : applied);
  }

  #writeStatus(store: Map<string, unknown>, { metadata, status }: KubeObject): void {
    const key = keyOf(metadata);
    const { status: _before, ...before } = store.get(key) as KubeObject;
    const held = (before.metadata as { managedFields?: readonly object[] }).managedFields ?? [];
    const others = held.filter((entry) => !("subresource" in entry));
    const own = {
      ...managedBy(before),
      subresource: "status",
      fieldsV1: { "f:status": {} },
    };
    const next = {
      ...before.metadata,
      resourceVersion: String((this.#given += 1)),
      managedFields: status === undefined ? others : [...others, own],
    };
    store.set(key, { ...before, metadata: next, ...(status !== undefined && { status }) });
  }

  #withAddress(service: KubeObject, before: KubeObject | undefined): KubeObject {
    interface Addressed {
      readonly clusterIP?: string;
      readonly clusterIPs?: readonly string[];
    }
    const spec = service["spec"] as Addressed;
    const given = `10.97.${(this.#given += 1) >> 8}.${this.#given & 255}`;
    const wanted = spec.clusterIPs ?? [spec.clusterIP ?? given];
    const clusterIPs = (before?.["spec"] as Addressed | undefined)?.clusterIPs ?? wanted;
    return { ...service, spec: { ...spec, clusterIP: clusterIPs[0], clusterIPs } };
  }
}

/** Without paths: what the planner finds missing is all that would be written anew. */
const managedBy = ({ apiVersion }: { readonly apiVersion: string }) => ({
  manager: "mc-wan",
  operation: "Apply",
  apiVersion,
  fieldsType: "FieldsV1",
  fieldsV1: {},
});
