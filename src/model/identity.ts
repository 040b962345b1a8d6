/**
 * Who a gateway is: names of trust domains and SPIFFE ids. Each cluster's trust domain is its own, so that no cluster's
 * authority can vouch for another cluster's gateways.
 *
 *     spiffe://<cluster>.<base>/cluster/<cluster>/gateway/<ingress|egress|namespace/name>
 *
 * Source: SPIFFE ID, section 2.
 */
import type { FleetName } from "./desired.ts";
import { clustersetDomain, egressPool, ingressPool, systemNamespace } from "./names.ts";
import type { Redacted } from "./redacted.ts";
import { isHeard } from "./world.ts";
import type { ClusterId, Peer, World } from "./world.ts";

/** A certificate with its key. */
export interface GatewayIdentity {
  /** Leaf first. */
  readonly certificatePem: string;
  readonly keyPem: Redacted<string>;
}

/** What the home cluster is known by. */
export interface Identity {
  /** As {@link trustDomainOf} gives it. */
  readonly trustDomain: string;
  /** Public certificates of home's authorities: the current one, and the next while it is changed. */
  readonly bundle: string;
  readonly gateways: ReadonlyMap<FleetName, GatewayIdentity>;
}

/** The trust domain of a cluster; `base` is the same in all of a set. */
export const trustDomainOf = (cluster: ClusterId, base: string): string => `${cluster}.${base}`;

/** The SPIFFE id of a cluster's gateways of one fleet. */
export function spiffeId({ cluster, base }: ClusterTrust, fleet: FleetName): string {
  return `${gatewayPrefix({ cluster, base })}${gatewayPath(fleet)}`;
}

/** What the ids of all gateways of a cluster begin with. */
export const gatewayPrefix = ({ cluster, base }: ClusterTrust): string =>
  `spiffe://${trustDomainOf(cluster, base)}/cluster/${cluster}/gateway/`;

/** A cluster in a set whose trust domains end in `base`. */
export interface ClusterTrust {
  readonly cluster: ClusterId;
  readonly base: string;
}

/** `ingress`, `egress`, or `namespace/name` of a user's Gateway. */
function gatewayPath(fleet: FleetName): string {
  if (fleet === ingressPool) return "ingress";
  if (fleet === egressPool) return "egress";
  // A namespace holds no dot.
  return fleet.replace(".", "/");
}

/** The name that is asked for by SNI where a service is meant: `<svc>.<ns>.svc.clusterset.local`. */
export const serverNameOf = (service: { readonly namespace: string; readonly name: string }): string =>
  `${service.name}.${service.namespace}.svc.${clustersetDomain}`;

/** The end of the trust domains of home's set; undefined while home has no identity. */
export function trustBase({ homeId, identity }: Pick<World, "homeId" | "identity">): string | undefined {
  if (homeId === undefined || identity === undefined) return undefined;
  const prefix = `${homeId}.`;
  return identity.trustDomain.startsWith(prefix) ? identity.trustDomain.slice(prefix.length) : undefined;
}

/** What a heard peer says it is known by; undefined if it says nothing. Whether it may is {@link peerBundle}'s to judge. */
export function statedIdentity(
  peer: Peer,
): { readonly trustDomain: string; readonly bundle: string } | undefined {
  if (!isHeard(peer)) return undefined;
  return peer.objects.GatewayAdvertisement.get(`${systemNamespace}/${ingressPool}`)?.spec.identity;
}

/** The public certificates of a peer's authorities, if what it states is the trust domain that belongs to its id. */
export function peerBundle(peer: Peer, base: string): string | undefined {
  const stated = statedIdentity(peer);
  return stated?.trustDomain === trustDomainOf(peer.id, base) ? stated.bundle : undefined;
}
