/**
 * Whether an Envoy serves a Gateway: it has answered every change of listeners and routes since the Gateway's generation
 * was published, and refused none of its resources. Counted by snapshots, so that a route table which many Gateways
 * share and which changes all the time leaves nobody waiting.
 */
import type { Acknowledgement, GatewayResources } from "../model/envoy-config.ts";
import { xdsType } from "../model/xds-types.ts";
import type { Snapshot, SnapshotType } from "./snapshot.ts";
import { wantedResource } from "./stream-state.ts";
import type { StreamState } from "./stream-state.ts";

/** A Gateway's resources and the snapshot that first held them. */
export interface PublishedGateway {
  readonly resources: GatewayResources;
  readonly since: number;
}

/** The Gateways of a new configuration; one that is the same keeps the number of its first snapshot. */
export function publishedGateways(
  previous: ReadonlyMap<string, PublishedGateway>,
  gateways: ReadonlyMap<string, GatewayResources>,
  number: number,
): ReadonlyMap<string, PublishedGateway> {
  const result = new Map<string, PublishedGateway>();
  for (const [name, resources] of gateways) {
    const before = previous.get(name);
    const isSame = before !== undefined && areSame(before.resources, resources);
    result.set(name, isSame ? before : { resources, since: number });
  }
  return result;
}

/** What the streams of a fleet say of one Gateway; undefined if none has said anything of its resources yet. */
export function acknowledgementOf(
  gateway: PublishedGateway,
  snapshot: Snapshot,
  streams: readonly StreamState[],
): Acknowledgement | undefined {
  const { listeners, routes, secrets, generation } = gateway.resources;
  const wanted: readonly (readonly [SnapshotType, string])[] = [
    ...listeners.map((name) => [xdsType.listener, name] as const),
    ...routes.map((name) => [xdsType.routeConfiguration, name] as const),
    ...secrets.map((name) => [xdsType.secret, name] as const),
  ];
  const refusals = streams.map((state) => {
    for (const [type, name] of wanted) {
      const refusal = state.types[type].refused.get(name);
      const isCurrent = state.snapshot?.[type].get(name)?.version === snapshot[type].get(name)?.version;
      if (isCurrent && refusal?.version === wantedResource(state, type, name)?.version)
        return refusal?.reason;
    }
    return undefined;
  });
  const isServing = (state: StreamState): boolean =>
    wanted.every(
      ([type, name]) =>
        (type === xdsType.secret || state.types[type].answered >= gateway.since) &&
        state.types[type].accepted.has(name) &&
        !state.types[type].refused.has(name),
    );
  if (streams.some(isServing)) return { programmed: generation };
  const refused = refusals.find((reason) => reason !== undefined);
  return refused === undefined ? undefined : { refused };
}

function areSame(one: GatewayResources, other: GatewayResources): boolean {
  return (
    one === other ||
    (one.generation === other.generation &&
      one.listeners.join("\n") === other.listeners.join("\n") &&
      one.routes.join("\n") === other.routes.join("\n") &&
      one.secrets.join("\n") === other.secrets.join("\n"))
  );
}
