/** Services that belong to a cluster itself: nobody may export them, and what a peer says of them is not taken. */
import type { ServiceRef } from "./desired.ts";
import { dummyNamespace, systemNamespace } from "./names.ts";

const reservedNamespaces: ReadonlySet<string> = new Set([
  dummyNamespace,
  systemNamespace,
  "kube-system",
  "kube-public",
  "kube-node-lease",
]);

/** Whether a service may not be exported or imported at all: the control plane's and our own. */
export function isReserved(service: ServiceRef): boolean {
  return (
    reservedNamespaces.has(service.namespace) ||
    (service.namespace === "default" && service.name === "kubernetes")
  );
}
