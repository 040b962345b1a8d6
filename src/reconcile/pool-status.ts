/**
 * Status of the shared ingress pool's advertisement: whether peers can reach its gateways, and which peers are heard, the one
 * place where a cluster tells that of all of them.
 */
import { reasons, types } from "../api/conditions.ts";
import type { PeerStatus } from "../api/gateway-advertisement.ts";
import type { DesiredStatus } from "../model/desired.ts";
import { ingressPool, systemNamespace } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import type { Peer, SendsTo, World } from "../model/world.ts";
import { condition, unless } from "./conditions.ts";
import type { OtherCarrier } from "./data-plane.ts";
import { isOurs } from "./owners.ts";
import { staleProblems, unheardProblems } from "./peer-states.ts";
import { echoedPorts } from "./port-echo.ts";
import { refusedProblems } from "./refused-objects.ts";

/** What it is made of. */
export interface PoolStatusInput {
  readonly world: World;
  /** Set where another implementation carries the traffic. */
  readonly other: OtherCarrier | undefined;
  /** The ports that peers advertise. */
  readonly sendsTo: SendsTo;
  /** What is wrong with gateways' addresses that peers advertise. */
  readonly directoryProblems: readonly Problem[];
  /** Why peers are not told of our own gateways: for lack of an address, and of ports of policies. */
  readonly ingress: { readonly unaddressed: readonly Problem[]; readonly closed: readonly Problem[] };
}

/** None while the advertisement doesn't stand. */
export function poolStatus(input: PoolStatusInput): DesiredStatus | undefined {
  const { world, other, directoryProblems, ingress } = input;
  const key = `${systemNamespace}/${ingressPool}`;
  const pool = world.home.GatewayAdvertisement.get(key);
  if (pool === undefined || !isOurs(pool)) return undefined;
  const accepted = {
    status: "True",
    reason: reasons.Accepted,
    message:
      other === undefined
        ? "Peers can reach these gateways."
        : "Every service has ingress gateways of its own: see the advertisement of its name.",
  } as const;
  const peersUsable = {
    status: "True",
    reason: reasons.Accepted,
    message: "Peers are heard, what they advertise can be read, and their addresses can be used.",
  } as const;
  const allClassified = {
    status: "True",
    reason: reasons.Classified,
    message: "Peers are told no port but each WANPolicy's own.",
  } as const;
  const unusable = [
    ...unheardProblems(world.peers),
    ...staleProblems(world.peers),
    ...directoryProblems,
    ...refusedProblems(world.peers),
  ];
  const echo = echoedPorts(world, input.sendsTo);
  const { generation } = pool.metadata;
  const conditions = [
    condition(types.Accepted, unless(ingress.unaddressed, accepted), generation),
    condition(types.Classified, unless(ingress.closed, allClassified), generation),
    condition(types.PeersUsable, unless(unusable, peersUsable), generation),
  ];
  return {
    kind: "GatewayAdvertisement",
    key,
    form: "Conditions",
    conditions,
    fields: { peers: world.peers.map((peer) => peerStatus(peer, echo(peer))) },
  };
}

/** Why a peer is not heard stands in the condition: here is only what changes seldom. */
function peerStatus(
  { id, state, staleSinceMs }: Peer,
  sendsTo: PeerStatus["sendsTo"] | undefined,
): PeerStatus {
  return {
    cluster: id,
    state,
    ...(state === "Stale" && staleSinceMs !== undefined && { since: new Date(staleSinceMs).toISOString() }),
    ...(sendsTo !== undefined && { sendsTo }),
  };
}
