/**
 * Gateway Pods of the home cluster: who is ready, who listens where, and what peers are told of it.
 *
 * Make before break: a Pod is named for a port only when it is known to listen there. Of a Pod about which nothing is
 * known (the controller has just started) what was said before stays, so that a restart writes nothing.
 */
import type { GatewayAdvertisement, GatewayEndpoint } from "../api/gateway-advertisement.ts";
import type { DesiredObject, FleetName } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import { egressPool, ingressPool, labels, systemNamespace } from "../model/names.ts";
import { compare } from "../model/order.ts";
import type { World } from "../model/world.ts";
import { desired, metadataOf, typeOf } from "./owners.ts";
import type { PolicySet } from "./wan-policies.ts";

/** A ready Pod of a fleet of Envoys. */
export interface GatewayPod {
  readonly name: string;
  /** IPv4. */
  readonly address: string;
  readonly zone?: string;
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
    pods.push({ name: metadata.name, address: status.podIP, ...(zone === undefined ? {} : { zone }) });
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

/** Where peers reach the ingress pool, sorted by address. */
export function advertisedEndpoints(
  pods: readonly GatewayPod[],
  policies: PolicySet,
  world: Pick<World, "home" | "listening">,
): GatewayEndpoint[] {
  const known = world.home.GatewayAdvertisement.get(`${systemNamespace}/${ingressPool}`);
  const before = new Map(known?.spec.endpoints.map((endpoint) => [endpoint.address, endpoint.ports]));
  const endpoints: GatewayEndpoint[] = [];
  for (const pod of pods) {
    const listening = world.listening.get(pod.name);
    const said = before.get(pod.address) ?? {};
    const ports: [string, number][] = [];
    for (const [name, policy] of policies.accepted) {
      const old = Object.hasOwn(said, name) ? said[name] : undefined;
      if (listening?.has(policy.spec.port) === true) ports.push([name, policy.spec.port]);
      else if (old !== undefined && (listening?.has(old) ?? true)) ports.push([name, old]);
    }
    if (ports.length === 0) continue;
    endpoints.push({
      address: pod.address,
      ...(pod.zone === undefined ? {} : { zone: pod.zone }),
      ports: Object.fromEntries(ports),
    });
  }
  return endpoints.sort((a, b) => compare(a.address, b.address));
}

/** The GatewayAdvertisement of the shared ingress pool. */
export function gatewayAdvertisement(
  endpoints: readonly GatewayEndpoint[],
  owner: OwnerReference | undefined,
): DesiredObject {
  const object: GatewayAdvertisement = {
    ...typeOf("GatewayAdvertisement"),
    metadata: metadataOf({ namespace: systemNamespace, name: ingressPool, owner }),
    spec: { formatVersion: 1, mode: "PodIP", endpoints },
  };
  return desired("GatewayAdvertisement", object);
}
