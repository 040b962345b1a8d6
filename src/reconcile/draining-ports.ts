/**
 * Ports that a WANPolicy had before its own: the ingress pool listens there, and says so in its advertisement, until every
 * peer has said that it sends elsewhere now (port-echo.ts), or has had long enough for it.
 *
 *     advertised at its old port → draining, advertised at its new one → every peer echoes → closed
 *
 * All that is known of it stands in our own advertisement and in those of peers, so that a restart changes nothing.
 */
import type { DrainingPort } from "../model/desired.ts";
import { ingressPool, systemNamespace } from "../model/names.ts";
import { compare } from "../model/order.ts";
import { drainingKey, type Peer, type World } from "../model/world.ts";
import { isOurs } from "./owners.ts";
import type { PolicySet } from "./wan-policies.ts";

const poolKey = `${systemNamespace}/${ingressPool}`;

/** The ports of accepted policies that are not theirs any more and still open, sorted by policy and port. */
export function drainingPorts(world: World, policies: PolicySet): readonly DrainingPort[] {
  const standing = world.home.GatewayAdvertisement.get(poolKey);
  if (standing === undefined || !isOurs(standing)) return [];
  const { endpoints, draining = [] } = standing.spec;
  const advertised = endpoints.flatMap(({ ports, modes = {} }) =>
    Object.entries(ports).map(([policy, port]): DrainingPort => {
      const mode = Object.hasOwn(modes, policy) ? modes[policy] : undefined;
      return { policy, port, ...(mode && { mode }) };
    }),
  );
  const isAdvertised = new Set(advertised.map(drainingKey));
  const taken = new Set([...policies.accepted.values()].map(({ spec }) => spec.port));
  const found = new Map<string, DrainingPort>();
  for (const port of [...advertised, ...draining]) {
    const key = drainingKey(port);
    if (!policies.accepted.has(port.policy) || taken.has(port.port) || found.has(key)) continue;
    const isNeeded = isAdvertised.has(key) || (!world.overdue.has(key) && awaited(world, port).length > 0);
    if (isNeeded) found.set(key, port);
  }
  return [...found.values()].sort((a, b) => compare(a.policy, b.policy) || a.port - b.port);
}

/** Ids of the peers that have not said that they no longer send to a port, in order. */
export function awaited(world: World, draining: DrainingPort): readonly string[] {
  return world.peers.filter((peer) => maySendTo(peer, draining, world.homeId)).map(({ id }) => id);
}

/** Also a peer that was never heard, and one whose version says nothing of ports. */
function maySendTo({ objects }: Peer, { policy, port }: DrainingPort, homeId: string | undefined): boolean {
  const { peers = [] } = objects.GatewayAdvertisement.get(poolKey)?.status ?? {};
  const sendsTo = peers.find(({ cluster }) => cluster === homeId)?.sendsTo;
  if (sendsTo === undefined) return true;
  return Object.hasOwn(sendsTo, policy) && (sendsTo[policy]?.includes(port) ?? false);
}
