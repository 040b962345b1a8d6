/**
 * A fleet's configuration for an Envoy that is in no namespace of its own: what is meant for its Pod's addresses is on the
 * loopback, for which {@link thisHost} stands in addresses of endpoints.
 */
import { create } from "@bufbuild/protobuf";
import { AddressSchema } from "../../src/envoy/envoy/config/core/v3/address_pb.ts";
import type { Address } from "../../src/envoy/envoy/config/core/v3/address_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../src/envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { ClusterLoadAssignment } from "../../src/envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../src/envoy/envoy/config/listener/v3/listener_pb.ts";
import type { Listener } from "../../src/envoy/envoy/config/listener/v3/listener_pb.ts";
import type { FleetConfig } from "../../src/model/envoy-config.ts";
import { thisHost } from "./run-case.ts";

/** Remembers what it has made. */
export class OnLoopback {
  readonly #made = new WeakMap<object, object>();

  /** The configuration with other addresses. */
  of(config: FleetConfig): FleetConfig {
    return {
      ...config,
      listeners: mapped(config.listeners, (each) => this.#once(each, localListener)),
      endpoints: mapped(config.endpoints, (each) => this.#once(each, localEndpoints)),
    };
  }

  /** The same copy of the same message: what did not change is not encoded again. */
  #once<T extends object>(message: T, make: (message: T) => T): T {
    let made = this.#made.get(message) as T | undefined;
    if (made === undefined) {
      made = make(message);
      this.#made.set(message, made);
    }
    return made;
  }
}

function mapped<T>(from: ReadonlyMap<string, T>, make: (value: T) => T): Map<string, T> {
  return new Map([...from].map(([name, value]) => [name, make(value)]));
}

function localAddress(address: Address | undefined, from: string): Address | undefined {
  const socket = address?.address;
  if (socket?.case !== "socketAddress" || socket.value.address !== from) return address;
  const value = { ...socket.value, address: "127.0.0.1" };
  return create(AddressSchema, { address: { case: "socketAddress", value } });
}

function localListener(listener: Listener): Listener {
  const address = localAddress(listener.address, "0.0.0.0");
  return create(ListenerSchema, { ...listener, ...(address && { address }) });
}

function localEndpoints(assignment: ClusterLoadAssignment): ClusterLoadAssignment {
  const endpoints = assignment.endpoints.map((locality) => ({
    ...locality,
    lbEndpoints: locality.lbEndpoints.map((each) => {
      if (each.hostIdentifier.case !== "endpoint") return each;
      const { value } = each.hostIdentifier;
      const address = localAddress(value.address, thisHost);
      return {
        ...each,
        hostIdentifier: { case: "endpoint" as const, value: { ...value, ...(address && { address }) } },
      };
    }),
  }));
  return create(ClusterLoadAssignmentSchema, { ...assignment, endpoints });
}
