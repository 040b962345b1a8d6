/**
 * ReferenceGrants in namespace `mc-wan`: one per importing namespace and service, naming exactly that service's dummies,
 * so that no name leads to another tenant.
 */
import type { DesiredObject, ServiceRef } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import { routeKinds, type ObjectTypes } from "../model/kinds.ts";
import { dummyNamespace, hashedName } from "../model/names.ts";
import type { DummyNames } from "./dummy-services.ts";
import { desired, metadataOf, typeOf } from "./owners.ts";

/** Gateway API allows so many `to` in one grant. */
const maxTo = 16;

/** The grants for one service's dummies. */
export function referenceGrants(
  service: ServiceRef,
  names: DummyNames,
  owner: OwnerReference | undefined,
): { readonly objects: readonly DesiredObject[]; readonly grants: readonly ObjectTypes["ReferenceGrant"][] } {
  const all = [...names.values()];
  const grants: ObjectTypes["ReferenceGrant"][] = [];
  for (let start = 0; start < all.length; start += maxTo) {
    const part = start === 0 ? [] : [String(start / maxTo + 1)];
    grants.push({
      ...typeOf("ReferenceGrant"),
      // With a hash always: a service's and a namespace's name could run together.
      metadata: metadataOf({
        namespace: dummyNamespace,
        name: hashedName(service.name, service.namespace, ...part),
        cause: service,
        owner,
      }),
      spec: {
        from: routeKinds.map((kind) => ({
          group: "gateway.networking.k8s.io",
          kind,
          namespace: service.namespace,
        })),
        to: all.slice(start, start + maxTo).map((name) => ({ group: "", kind: "Service", name })),
      },
    });
  }
  return { grants, objects: grants.map((grant) => desired("ReferenceGrant", grant)) };
}
