/**
 * Gateway Pods of the home cluster: who is ready, and the advertisement of the ingress pool. What it says is in
 * ingress-sites.ts.
 */
import type { GatewayAdvertisement } from "../api/gateway-advertisement.ts";
import type { DesiredObject, FleetName } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import { egressPool, ingressPool, labels, systemNamespace } from "../model/names.ts";
import { compare } from "../model/order.ts";
import type { World } from "../model/world.ts";
import { desired, metadataOf, typeOf } from "./owners.ts";

/** A ready Pod of a fleet of Envoys. */
export interface GatewayPod {
  readonly name: string;
  /** IPv4. */
  readonly address: string;
  readonly zone?: string;
  /** Address of its node, of whichever family. */
  readonly node?: string;
}

/** The Pods of a fleet that are ready and not about to go, sorted by name. Fleets of users' Gateways are in other namespaces. */
export function readyPods(world: World, fleet: FleetName, zones: ReadonlyMap<string, string>): GatewayPod[] {
  const pods: GatewayPod[] = [];
  for (const pod of world.home.Pod.values()) {
    const { metadata, status } = pod;
    if (metadata.namespace !== systemNamespace || metadata.labels?.[labels.fleet] !== fleet) continue;
    if (metadata.deletionTimestamp !== undefined || !status?.podIP?.includes(".")) continue;
    if (
      !(status.conditions ?? []).some(
        (condition) => condition.type === "Ready" && condition.status === "True",
      )
    )
      continue;
    const zone = zones.get(status.podIP);
    pods.push({
      name: metadata.name,
      address: status.podIP,
      ...(zone === undefined ? {} : { zone }),
      ...(status.hostIP === undefined ? {} : { node: status.hostIP }),
    });
  }
  return pods.sort((a, b) => compare(a.name, b.name));
}

/** Zone by address, out of the EndpointSlices of the pools' Services: a Pod doesn't know its zone. */
export function zonesOf(
  slices: ReadonlyMap<
    string,
    readonly { endpoints?: readonly { addresses: readonly string[]; zone?: string }[] }[]
  >,
): ReadonlyMap<string, string> {
  const zones = new Map<string, string>();
  for (const pool of [ingressPool, egressPool]) {
    for (const slice of slices.get(`${systemNamespace}/${pool}`) ?? []) {
      for (const { addresses, zone } of slice.endpoints ?? []) {
        if (zone !== undefined) for (const address of addresses) zones.set(address, zone);
      }
    }
  }
  return zones;
}

/** The GatewayAdvertisement of a pool of ingress gateways. */
export function gatewayAdvertisement(
  {
    name,
    mode,
    endpoints,
    draining = [],
    identity,
  }: Omit<GatewayAdvertisement["spec"], "formatVersion"> & { readonly name: string },
  owner: OwnerReference | undefined,
): DesiredObject {
  const object: GatewayAdvertisement = {
    ...typeOf("GatewayAdvertisement"),
    metadata: metadataOf({ namespace: systemNamespace, name, owner }),
    spec: {
      formatVersion: 1,
      mode,
      endpoints,
      ...(draining.length === 0 ? {} : { draining }),
      ...(identity && { identity }),
    },
  };
  return desired("GatewayAdvertisement", object);
}
