/**
 * Addresses that a user's Gateway asks for (`spec.addresses`). Each is the IP of a Service of its own in front of the
 * fleet: the IP of a Service that stands can't be changed. Without a value: the IP of the fleet's own Service.
 *
 *     spec.addresses + Services that stand → Services to make, status.addresses, what can't be had
 *
 * Source: Gateway API, GatewaySpecAddress; reasons UnsupportedAddress, AddressNotUsable, AddressNotAssigned.
 */
import { reasons } from "../api/conditions.ts";
import { isReachable } from "../model/ipv4.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { derivedLabel } from "../model/names.ts";
import { compare } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import type { World } from "../model/world.ts";
import { ownRanges } from "./own-ranges.ts";
import { isOurs } from "./owners.ts";
import { clusterIPsOf } from "./shadow-services.ts";

/** A Service for one address. */
export interface AddressService {
  readonly name: string;
  /** IPv4. */
  readonly address: string;
}

/** What became of the addresses that a Gateway asks for. */
export interface GatewayAddresses {
  /** Those that may be had, one Service each. */
  readonly services: readonly AddressService[];
  /** Those that it has. */
  readonly addresses: readonly string[];
  /** The Gateway is not accepted. */
  readonly refusal?: Problem;
  /** It is not programmed: some address can't be had, or not yet. */
  readonly problem?: Problem;
}

/** Addresses of a Service: outside ones if it has some, else its clusterIPs. */
export function addressesOf(service: ObjectTypes["Service"]): string[] {
  const outside = (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) =>
    ip === undefined ? [] : [ip],
  );
  return outside.length > 0 ? outside.sort(compare) : clusterIPsOf(service);
}

type Fleet = Readonly<Record<"namespace" | "objectName" | "serviceType", string>>;

/** Looks at the addresses of a Gateway whose fleet is given. */
export function gatewayAddresses(
  gateway: ObjectTypes["Gateway"],
  fleet: Fleet,
  world: World,
): GatewayAddresses {
  const standing = (name: string): readonly string[] => {
    const service = world.home.Service.get(`${fleet.namespace}/${name}`);
    return service !== undefined && isOurs(service) ? addressesOf(service) : [];
  };
  const own = standing(fleet.objectName);
  const asked = gateway.spec.addresses ?? [];
  if (asked.length === 0) return { services: [], addresses: own };
  const foreign = asked.find(({ type = "IPAddress" }) => type !== "IPAddress");
  if (foreign !== undefined) {
    const message = `Addresses of type ${String(foreign.type)} are not supported: use IPAddress.`;
    return { services: [], addresses: [], refusal: { reason: reasons.UnsupportedAddress, message } };
  }
  const values = [...new Set(asked.map(({ value = "" }) => value))];
  const wanted = values
    .filter((value) => value !== "")
    .map((address): AddressService => ({ name: serviceName(gateway, address), address }));
  const problems = wanted.map((one) => unusable(one, fleet, world));
  const services = wanted.filter((_, index) => problems[index] === undefined);
  const had = services.filter(({ name, address }) => standing(name).includes(address));
  const missing = services.filter((one) => !had.includes(one));
  const first = problems.find((problem) => problem !== undefined);
  const problem = first ?? (missing[0] === undefined ? undefined : pending(missing[0]));
  return {
    services,
    addresses: [...(values.includes("") ? own : []), ...had.map(({ address }) => address)],
    ...(problem === undefined ? {} : { problem }),
  };
}

const serviceName = ({ metadata }: ObjectTypes["Gateway"], address: string): string =>
  derivedLabel(metadata.name, "mc-wan", address.replaceAll(".", "-"));

/** Why an address can't be had; undefined if it can, as far as can be told without trying. */
function unusable({ name, address }: AddressService, fleet: Fleet, world: World): Problem | undefined {
  const refuse = (why: string): Problem => ({
    reason: reasons.AddressNotUsable,
    message: `Address ${JSON.stringify(address.slice(0, 60))} can't be used: ${why}`,
  });
  if (!isReachable(address)) return refuse("it is no IPv4 address of a host.");
  // Whoever gives out addresses of load balancers knows theirs.
  if (fleet.serviceType === "LoadBalancer") return undefined;
  const { ServiceCIDR, Service } = world.home;
  const range = ownRanges({ ServiceCIDR, Node: new Map() }).find(address);
  // Before Kubernetes 1.33 the range is not told: then there is only trying.
  if (ServiceCIDR.size > 0 && range === undefined)
    return refuse("it is in none of the cluster's service ranges. Choose one of these, or leave it out.");
  for (const [key, service] of Service) {
    const isItsOwn = key === `${fleet.namespace}/${name}` && isOurs(service);
    if (!isItsOwn && clusterIPsOf(service).includes(address)) return refuse(`Service ${key} has it.`);
  }
  return undefined;
}

const pending = ({ address }: AddressService): Problem => ({
  reason: reasons.AddressNotAssigned,
  message: `The Gateway has not got address ${address} yet.`,
});
