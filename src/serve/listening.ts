/** The ports on which an Envoy listens, as far as its stream tells. */
import type { Listener } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import type { FleetConfig } from "../model/envoy-config.ts";
import { xdsType } from "../model/xds-types.ts";
import type { StreamState } from "./stream-state.ts";

/**
 * Ports of the configured listeners that the Envoy has accepted, in any version: a listener's port goes with its name.
 * Undefined while the Envoy has not spoken of listeners.
 */
export function acceptedPorts(config: FleetConfig | undefined, state: StreamState): number[] | undefined {
  const { isOpen, accepted } = state.types[xdsType.listener];
  if (!isOpen || config === undefined) return undefined;
  const ports = new Set<number>();
  for (const name of accepted.keys()) {
    const listener = config.listeners.get(name);
    const port = listener === undefined ? undefined : portOf(listener);
    if (port !== undefined) ports.add(port);
  }
  return [...ports].sort((one, other) => one - other);
}

/** A listener's TCP port; undefined if it has none. */
export function portOf(listener: Listener): number | undefined {
  const address = listener.address?.address;
  if (address?.case !== "socketAddress" || address.value.portSpecifier.case !== "portValue") return undefined;
  return address.value.portSpecifier.value;
}
