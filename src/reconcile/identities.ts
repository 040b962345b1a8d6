/**
 * Which identities the gateways shall have, and whose word is taken for those of other clusters. A peer vouches for its own
 * trust domain only, which follows from the id on its Secret: what it says of another is refused.
 */
import { createHash } from "node:crypto";
import type { AdvertisedIdentity } from "../api/gateway-advertisement.ts";
import { reasons } from "../api/conditions.ts";
import type { FleetName, ServedGateway } from "../model/desired.ts";
import { spiffeIdOf, trustDomainOf } from "../model/identity.ts";
import type { ClusterIdentity, TrustedAuthority, WantedIdentity } from "../model/identity.ts";
import { keyOf } from "../model/kube-object.ts";
import {
  controllerIdentity,
  controllerServerName,
  egressPool,
  ingressPool,
  systemNamespace,
} from "../model/names.ts";
import { fleetObjectName } from "./fleets.ts";
import { compare } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import { isHeard } from "../model/world.ts";
import type { ClusterId, Peer, World } from "../model/world.ts";

/** Certificates that shall exist, sorted by fleet: the controller's, and those of all fleets once the cluster has an id. */
export function wantedIdentities(
  world: World,
  gateways: readonly ServedGateway[],
): readonly WantedIdentity[] {
  const { homeId, settings } = world;
  const controller = { fleet: controllerIdentity, dnsNames: [controllerServerName] };
  if (homeId === undefined) return [controller];
  const of = (fleet: string, gateway: string): WantedIdentity => ({
    fleet,
    spiffeId: spiffeIdOf(trustDomainOf(homeId, settings), homeId, gateway),
  });
  const users = gateways
    .filter(({ pooled }) => pooled === undefined)
    .map(({ fleet, gateway }) => of(fleet, keyOf(gateway.metadata)));
  const pools = [of(ingressPool, "ingress"), of(egressPool, "egress")];
  return [controller, ...pools, ...users].sort((a, b) => compare(a.fleet, b.fleet));
}

/** The fleet of each ServiceAccount of gateways: whose Pods get what configuration. */
export function fleetAccounts(gateways: readonly ServedGateway[]): ReadonlyMap<string, FleetName> {
  const pools = [ingressPool, egressPool].map((pool) => [`${systemNamespace}/${pool}`, pool] as const);
  const users = gateways
    .filter(({ pooled }) => pooled === undefined)
    .map(({ gateway, fleet }) => {
      const { namespace = "", name } = gateway.metadata;
      return [`${namespace}/${fleetObjectName(name)}`, fleet] as const;
    });
  return new Map([...pools, ...users]);
}

/** Whose word is taken, and why not that of some peers. */
export interface Trust {
  /** Home's own authorities among them; sorted by cluster. */
  readonly authorities: readonly TrustedAuthority[];
  readonly problems: readonly Problem[];
}

/** The authorities of home and of every peer that is heard. */
export function trustOf({ homeId, identity, peers, settings }: World): Trust {
  const authorities: TrustedAuthority[] = [];
  const problems: Problem[] = [];
  if (identity !== undefined && homeId !== undefined) {
    const { trustDomain, bundle } = identity;
    authorities.push({ cluster: homeId, trustDomain, bundle });
  }
  for (const peer of peers) {
    const said = saidBy(peer);
    if (said === undefined) continue;
    const trustDomain = trustDomainOf(peer.id, settings);
    if (said.trustDomain === trustDomain)
      authorities.push({ cluster: peer.id, trustDomain, bundle: said.bundle });
    else
      problems.push({
        reason: reasons.WrongTrustDomain,
        message: `Cluster "${peer.id}" advertises authorities for the trust domain ${JSON.stringify(said.trustDomain)}, not its own, ${JSON.stringify(trustDomain)}: none of them is trusted. Its controller's cluster id and --trust-domain have to be those that this cluster knows.`,
      });
  }
  return { authorities: authorities.sort((a, b) => compare(a.cluster, b.cluster)), problems };
}

/** What a peer that is heard says of its identity. */
function saidBy(peer: Peer): AdvertisedIdentity | undefined {
  if (!isHeard(peer)) return undefined;
  return peer.objects.GatewayAdvertisement.get(`${systemNamespace}/${ingressPool}`)?.spec.identity;
}

/** What the home cluster tells its peers of its own identity: also whom it trusts, so that they know when they may go on. */
export function advertisedIdentity(
  identity: ClusterIdentity | undefined,
  { authorities }: Trust,
): AdvertisedIdentity | undefined {
  if (identity === undefined) return undefined;
  const { trustDomain, bundle } = identity;
  const trusted = authorities
    .filter((authority) => authority.trustDomain !== trustDomain)
    .map((authority) => ({ cluster: authority.cluster, fingerprint: fingerprintOf(authority.bundle) }));
  return { trustDomain, bundle, ...(trusted.length > 0 && { trusted }) };
}

/** Peers that know of identities and don't say that they trust all authorities that the home cluster has now. */
export function unawareOf({ homeId, identity, peers }: World): readonly ClusterId[] {
  if (identity === undefined) return [];
  const fingerprint = fingerprintOf(identity.bundle);
  return peers
    .filter((peer) => {
      // A peer that was never heard may know us all the same.
      if (!isHeard(peer)) return true;
      const said = saidBy(peer);
      const known = said?.trusted?.find(({ cluster }) => cluster === homeId);
      return said !== undefined && known?.fingerprint !== fingerprint;
    })
    .map(({ id }) => id);
}

const fingerprintOf = (bundle: string): string => createHash("sha256").update(bundle).digest("hex");
