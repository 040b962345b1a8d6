/** What routes attach to: Gateways and ListenerSets. */
import type { ServedGateway } from "../model/desired.ts";
import { keyOf } from "../model/kube-object.ts";
import { gatewayGroup } from "./gateway-api.ts";
import type { AnyRoute, ParentRef } from "./gateway-api.ts";

/** What a parentRef names, among kinds that have listeners: `Gateway <namespace>/<name>` or `ListenerSet <namespace>/<name>`. */
export type ParentKey = string;

/** The key of a parent. */
export const parentKey = (kind: "Gateway" | "ListenerSet", key: string): ParentKey => `${kind} ${key}`;

/** What a parentRef of a route names; undefined if it names another kind. */
export function parentOf(parentRef: ParentRef, route: AnyRoute): ParentKey | undefined {
  const { group = gatewayGroup, kind = "Gateway", namespace = route.metadata.namespace, name } = parentRef;
  if (group !== gatewayGroup || (kind !== "Gateway" && kind !== "ListenerSet")) return undefined;
  return parentKey(kind, keyOf({ namespace, name }));
}

/** Everything that can be a parent for the sake of a Gateway: itself and its ListenerSets. */
export function parentKeysOf({
  gateway,
  listenerSets = [],
}: Pick<ServedGateway, "gateway" | "listenerSets">): readonly ParentKey[] {
  const sets = listenerSets.map(({ set }) => parentKey("ListenerSet", keyOf(set.metadata)));
  return [parentKey("Gateway", keyOf(gateway.metadata)), ...sets];
}

/** The key of a listener of a parent. */
export const listenerKey = (parent: ParentKey, name: string): string => `${parent} ${name}`;
