/**
 * EndpointSlices that say where the traffic of a selector-less Service of ours really goes, and beside them the deprecated
 * Endpoints object with the same addresses while a setting asks for it.
 */
import type { DesiredObject, ServiceRef } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import { dummyNamespace, labels } from "../model/names.ts";
import { compare } from "../model/order.ts";
import { metadataOf, typeOf } from "./owners.ts";

/** One port of a Service and the addresses behind it. */
export interface PortTargets {
  /** Name of the Service's port, if it has one. */
  readonly portName: string | undefined;
  readonly appProtocol?: string | undefined;
  readonly targets: readonly Target[];
}

/** One place where traffic may go. */
export interface Target {
  readonly address: string;
  readonly port: number;
  /** It takes no connections: listed as not ready, unless somebody else stands for the same address. */
  readonly isSilent?: boolean;
}

/** Whose traffic it is. */
export interface SliceIdentity {
  readonly namespace: string;
  /** Name of the Service. */
  readonly name: string;
  readonly cause: ServiceRef;
  readonly owner: OwnerReference | undefined;
}

/** Name of the slice that holds a Service's addresses at one target port. Unique: EndpointSlices' names may be longer than a Service's. */
export const sliceName = (service: string, port: number): string => `${service}-ipv4-${port}`;

/** An EndpointSlice holds at most this many. */
const maxEndpoints = 1000;

/** The slices of a Service: one for each target port that has addresses; and the Endpoints object, if asked for. */
export function proxySlices(
  identity: SliceIdentity,
  ports: readonly PortTargets[],
  legacyEndpoints: boolean,
): DesiredObject[] {
  const groups = ports.flatMap(({ portName, appProtocol, targets }) =>
    [...Map.groupBy(targets, ({ port }) => port)]
      .sort(([a], [b]) => a - b)
      .map(([port, group]) => ({
        port: {
          name: portName ?? "",
          protocol: "TCP",
          port,
          ...(appProtocol === undefined ? {} : { appProtocol }),
        },
        addresses: [...readiness(group)].sort(([a], [b]) => compare(a, b)).slice(0, maxEndpoints),
      })),
  );
  const { namespace, name, cause, owner } = identity;
  const objects: DesiredObject[] = groups.map(({ port, addresses }) => ({
    kind: "EndpointSlice",
    object: {
      ...typeOf("EndpointSlice"),
      metadata: metadataOf({
        namespace,
        name: sliceName(name, port.port),
        cause,
        owner,
        labels: {
          [labels.kubeServiceName]: name,
          [labels.sliceManagedBy]: labels.managedByValue,
          // As on the dummy itself: kube-proxy watches neither, and no change of one makes it write rules.
          ...(namespace === dummyNamespace && { [labels.serviceProxyName]: labels.managedByValue }),
        },
      }),
      addressType: "IPv4",
      ports: [port],
      endpoints: addresses.map(([address, ready]) => ({ addresses: [address], conditions: { ready } })),
    },
  }));
  if (legacyEndpoints && groups.length > 0) {
    objects.push({
      kind: "Endpoints",
      object: {
        ...typeOf("Endpoints"),
        metadata: metadataOf({ namespace, name, cause, owner, labels: { [labels.skipMirror]: "true" } }),
        subsets: groups.map(({ port, addresses }) => ({
          ...subsetAddresses("addresses", { addresses, ready: true }),
          ...subsetAddresses("notReadyAddresses", { addresses, ready: false }),
          ports: [{ ...port, ...(port.name === "" ? { name: undefined } : {}) }].map(withoutUndefined),
        })),
      },
    });
  }
  return objects;
}

/** Each address once, and whether it is ready. */
function readiness(targets: readonly Target[]): ReadonlyMap<string, boolean> {
  const ready = new Map<string, boolean>();
  for (const { address, isSilent = false } of targets)
    ready.set(address, !isSilent || ready.get(address) === true);
  return ready;
}

function subsetAddresses(
  field: "addresses" | "notReadyAddresses",
  of: { readonly addresses: readonly (readonly [string, boolean])[]; readonly ready: boolean },
): object {
  const listed = of.addresses.filter(([, ready]) => ready === of.ready).map(([ip]) => ({ ip }));
  return listed.length === 0 ? {} : { [field]: listed };
}

function withoutUndefined(port: object): object {
  return Object.fromEntries(Object.entries(port).filter(([, value]) => value !== undefined));
}
