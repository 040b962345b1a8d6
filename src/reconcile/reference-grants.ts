/**
 * ReferenceGrants in namespace `mc-wan`: one per importing namespace and service, naming exactly that service's dummies,
 * so that no name leads to another tenant.
 */
import type { DesiredObject, ServiceRef } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import { routeKinds, type ObjectTypes } from "../model/kinds.ts";
import { dummyNamespace, hashedName } from "../model/names.ts";
import { desired, metadataOf, typeOf } from "./owners.ts";

/** Gateway API allows so many `to` in one grant. */
const maxTo = 16;

/** Name of a service's first grant, or of a further one. With a hash always: a service's and a namespace's name could run together. */
export const grantName = ({ name, namespace }: ServiceRef, ...part: readonly string[]): string =>
  hashedName(name, namespace, ...part);

/** The grants for one service's dummies. */
export function referenceGrants(
  service: ServiceRef,
  names: readonly string[],
  around: {
    readonly owner: OwnerReference | undefined;
    /** Of the first grant. */
    readonly annotations?: Readonly<Record<string, string>>;
    /** Of the grants' names, where a service has several kinds of them. */
    readonly part?: string;
  },
): { readonly objects: readonly DesiredObject[]; readonly grants: readonly ObjectTypes["ReferenceGrant"][] } {
  const grants: ObjectTypes["ReferenceGrant"][] = [];
  const kind = around.part === undefined ? [] : [around.part];
  for (let start = 0; start < names.length; start += maxTo) {
    const part = [...kind, ...(start === 0 ? [] : [String(start / maxTo + 1)])];
    grants.push({
      ...typeOf("ReferenceGrant"),
      metadata: metadataOf({
        namespace: dummyNamespace,
        name: grantName(service, ...part),
        cause: service,
        owner: around.owner,
        ...(start === 0 && around.annotations !== undefined && { annotations: around.annotations }),
      }),
      spec: {
        from: [...routeKinds, "TCPRoute"].map((kind) => ({
          group: "gateway.networking.k8s.io",
          kind,
          namespace: service.namespace,
        })),
        to: names.slice(start, start + maxTo).map((name) => ({ group: "", kind: "Service", name })),
      },
    });
  }
  return { grants, objects: grants.map((grant) => desired("ReferenceGrant", grant)) };
}
