/**
 * Dummy Services in namespace `mc-wan`: "this service over this WANPolicy", static, one for each pair. Decides who holds
 * a name that two pairs would have (`a-b` in `c`, `a` in `b-c`).
 */
import type { DesiredObject, ServiceRef } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { dummyName, dummyNamespace, hashedName, labels } from "../model/names.ts";
import type { Store } from "../model/world.ts";
import { isOurs, metadataOf, typeOf } from "./owners.ts";
import type { PolicySet } from "./wan-policies.ts";

/** Name of the dummy Service by policy. A policy whose dummy's name is somebody else's is left out: what names it closes. */
export type DummyNames = ReadonlyMap<string, string>;

/** What became of one service's dummies. */
export interface NamedDummies {
  readonly names: DummyNames;
  /** Names that are not the plain ones, because an older export holds those. */
  readonly renamed: readonly string[];
  /** Names under which somebody else's Service stands. */
  readonly taken: readonly string[];
}

/** Plain names of a service's dummies, in the order of policies. Worth remembering: hashing long names costs. */
export function plainNames(service: ServiceRef, policies: PolicySet): readonly PlainName[] {
  return [...policies.accepted.keys()].map((policy) => {
    const name = dummyName(service.name, service.namespace, policy);
    return { policy, name, key: `${dummyNamespace}/${name}` };
  });
}

/** A dummy's name before collisions are looked for. */
export interface PlainName {
  readonly policy: string;
  readonly name: string;
  /** `namespace/name` of the dummy Service. */
  readonly key: string;
}

/** One service that asks for names. */
export interface NameRequest {
  readonly key: string;
  readonly service: ServiceRef;
  readonly plain: readonly PlainName[];
}

/** Names for all services' dummies, by the services' keys. Requests come in order of precedence: the first holds the plain form. */
export function nameDummies(
  requests: readonly NameRequest[],
  services: Store<ObjectTypes["Service"]>,
): ReadonlyMap<string, NamedDummies> {
  const held = new Set<string>();
  const result = new Map<string, NamedDummies>();
  for (const { key, service, plain } of requests) {
    const names = new Map<string, string>();
    const renamed: string[] = [];
    const taken: string[] = [];
    for (const { policy, name: plainName, key: plainKey } of plain) {
      let name = plainName;
      let serviceKey = plainKey;
      if (held.has(plainName)) {
        name = hashedName(service.name, service.namespace, policy);
        serviceKey = `${dummyNamespace}/${name}`;
        renamed.push(name);
      }
      // Two long names can share a hash: the later has none, for with the name it would have the other's backends.
      const isHeld = held.has(name);
      held.add(name);
      const existing = services.get(serviceKey);
      if (isHeld || (existing !== undefined && !isOurs(existing))) taken.push(name);
      else names.set(policy, name);
    }
    result.set(key, { names, renamed, taken });
  }
  return result;
}

/** The dummy Services of one service. */
export function dummyServices(
  service: ServiceRef,
  {
    names,
    policies,
    appProtocol,
  }: {
    readonly names: DummyNames;
    readonly policies: PolicySet;
    /** For an implementation that has to be told. */
    readonly appProtocol?: string | undefined;
  },
  owner: OwnerReference | undefined,
): DesiredObject[] {
  return [...names].flatMap(([policy, name]) => {
    const port = policies.accepted.get(policy)?.spec.port;
    if (port === undefined) return [];
    return [
      {
        kind: "Service" as const,
        object: {
          ...typeOf("Service"),
          metadata: metadataOf({
            namespace: dummyNamespace,
            name,
            cause: service,
            owner,
            labels: { [labels.wanPolicy]: policy, [labels.serviceProxyName]: "mc-wan" },
          }),
          spec: {
            type: "ClusterIP",
            ports: [
              {
                name: dummyPortName,
                protocol: "TCP",
                port,
                targetPort: port,
                ...(appProtocol !== undefined && { appProtocol }),
              },
            ],
          },
        },
      },
    ];
  });
}

/** Name of a dummy Service's only port. */
export const dummyPortName = "wan";
