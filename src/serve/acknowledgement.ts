/** Whether an Envoy serves a Gateway: all of its listeners and route tables are accepted in their newest version. */
import type { Acknowledgement, GatewayResources } from "../model/envoy-config.ts";
import { xdsType } from "../model/xds-types.ts";
import type { StreamState } from "./ads-stream.ts";
import type { Snapshot, SnapshotType } from "./snapshot.ts";

/** What the streams of a fleet say of one Gateway; undefined if none has said anything of its resources yet. */
export function acknowledgementOf(
  resources: GatewayResources,
  snapshot: Snapshot,
  streams: readonly StreamState[],
): Acknowledgement | undefined {
  const wanted: readonly (readonly [SnapshotType, string])[] = [
    ...resources.listeners.map((name) => [xdsType.listener, name] as const),
    ...resources.routes.map((name) => [xdsType.routeConfiguration, name] as const),
  ];
  const versionOf = ([type, name]: readonly [SnapshotType, string]): string | undefined =>
    snapshot[type].get(name)?.version;
  const isAccepted = (state: StreamState): boolean =>
    wanted.every((resource) => {
      const version = versionOf(resource);
      return version !== undefined && state.types[resource[0]].accepted.get(resource[1]) === version;
    });
  if (streams.some(isAccepted)) return { programmed: resources.generation };
  for (const state of streams) {
    for (const resource of wanted) {
      const version = versionOf(resource);
      const isRefused =
        version !== undefined && state.types[resource[0]].refused.get(resource[1]) === version;
      if (isRefused)
        return { refused: state.refusals.get(resource[0]) ?? "The Envoy refused the configuration." };
    }
  }
  return undefined;
}
