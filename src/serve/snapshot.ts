/**
 * Snapshot: all resources of one fleet, encoded; and the names in which two snapshots differ.
 */
import type { FleetConfig } from "../model/envoy-config.ts";
import { xdsType } from "../model/xds-types.ts";
import {
  assignmentResource,
  clusterResource,
  listenerResource,
  routeResourceOf,
  secretResource,
} from "./resource.ts";
import type { Resource, ServedType } from "./resource.ts";

/** The types of a snapshot in the order in which they may be added (make before break: X1 of the xDS rules). */
export const addOrder = [
  xdsType.secret,
  xdsType.cluster,
  xdsType.clusterLoadAssignment,
  xdsType.listener,
  xdsType.routeConfiguration,
] as const satisfies readonly ServedType[];
export type SnapshotType = (typeof addOrder)[number];

/**
 * Types whose changes don't wait for routes on their way: an address that is gone must not be used for longer than
 * necessary, nor a certificate that was replaced.
 */
export const promptTypes = [
  xdsType.secret,
  xdsType.clusterLoadAssignment,
] as const satisfies readonly SnapshotType[];

/** Resources by type and name. */
export interface Snapshot extends Readonly<Record<SnapshotType, ReadonlyMap<string, Resource>>> {
  /** Counts the snapshots of a fleet. Never on the wire. */
  readonly number: number;
}

/** Names that were added, changed or removed, by type. */
export type SnapshotChange = Readonly<Record<SnapshotType, readonly string[]>>;

/** Encodes what is new in a fleet's configuration; the rest comes from memory. */
export function snapshotOf(config: FleetConfig, number: number): Snapshot {
  return {
    number,
    [xdsType.secret]: mapped(config.secrets, secretResource),
    [xdsType.cluster]: mapped(config.clusters, (name, cluster) =>
      clusterResource(name, cluster, config.clusterSecrets.get(name)),
    ),
    [xdsType.clusterLoadAssignment]: mapped(config.endpoints, assignmentResource),
    [xdsType.listener]: mapped(config.listeners, (name, listener) =>
      listenerResource(name, listener, config.tables.get(name)),
    ),
    [xdsType.routeConfiguration]: mapped(config.routes, routeResourceOf),
  };
}

/** What a stream must look at when `next` takes the place of `previous`. */
export function changesBetween(previous: Snapshot | undefined, next: Snapshot): SnapshotChange {
  const of = (type: SnapshotType): readonly string[] =>
    differing(previous?.[type] ?? new Map<string, Resource>(), next[type]);
  return {
    [xdsType.secret]: of(xdsType.secret),
    [xdsType.cluster]: of(xdsType.cluster),
    [xdsType.clusterLoadAssignment]: of(xdsType.clusterLoadAssignment),
    [xdsType.listener]: of(xdsType.listener),
    [xdsType.routeConfiguration]: of(xdsType.routeConfiguration),
  };
}

/** Whether anything differs. */
export function isEmptyChange(change: SnapshotChange): boolean {
  return addOrder.every((type) => change[type].length === 0);
}

function mapped<T>(
  source: ReadonlyMap<string, T>,
  make: (name: string, value: T) => Resource,
): ReadonlyMap<string, Resource> {
  const result = new Map<string, Resource>();
  for (const [name, value] of source) result.set(name, make(name, value));
  return result;
}

function differing(
  previous: ReadonlyMap<string, Resource>,
  next: ReadonlyMap<string, Resource>,
): readonly string[] {
  const names: string[] = [];
  for (const [name, resource] of next) if (previous.get(name)?.version !== resource.version) names.push(name);
  for (const name of previous.keys()) if (!next.has(name)) names.push(name);
  return names;
}
