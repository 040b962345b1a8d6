/**
 * ListenerSets: listeners that others add to a Gateway of a user, if the Gateway lets their namespace.
 *
 * Source: Gateway API, ListenerSetSpec (precedence), AllowedListeners.
 */
import type { ServedListenerSet } from "../model/desired.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import { allowsNamespace } from "../model/label-selector.ts";
import { byAge } from "../model/order.ts";
import type { World } from "../model/world.ts";

const gatewayGroup = "gateway.networking.k8s.io";

/** The ListenerSets of every Gateway, by its `namespace/name`, in the order of their precedence. */
export function listenerSetsByGateway({ home }: World): ReadonlyMap<string, readonly ServedListenerSet[]> {
  const found = new Map<string, ServedListenerSet[]>();
  for (const set of [...home.ListenerSet.values()].sort(byAge)) {
    if (set.metadata.deletionTimestamp !== undefined) continue;
    const { group = gatewayGroup, kind = "Gateway", name } = set.spec.parentRef;
    if (group !== gatewayGroup || kind !== "Gateway") continue;
    const key = keyOf({ namespace: set.spec.parentRef.namespace ?? set.metadata.namespace, name });
    const gateway = home.Gateway.get(key);
    if (gateway === undefined) continue;
    const served = { set, isAllowed: isAllowed(set, gateway, home) };
    const others = found.get(key);
    if (others === undefined) found.set(key, [served]);
    else others.push(served);
  }
  return found;
}

/** Only where the Gateway says so: by default it takes none. */
function isAllowed(
  { metadata }: ObjectTypes["ListenerSet"],
  gateway: ObjectTypes["Gateway"],
  { Namespace }: World["home"],
): boolean {
  const { from = "None", selector } = gateway.spec.allowedListeners?.namespaces ?? {};
  const namespace = metadata.namespace ?? "";
  const labels = Namespace.get(namespace)?.metadata.labels ?? {};
  return allowsNamespace({ from, selector }, { isSame: namespace === gateway.metadata.namespace, labels });
}
