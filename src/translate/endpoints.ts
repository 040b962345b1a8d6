/**
 * Who stands behind an EDS cluster: EndpointSlices of a home Service, or the gateways of peers.
 *
 * Every endpoint is the IPv4 address of a host; others (IPv6, FQDN; loopback, link-local and the like) are left out.
 *
 * Source: Envoy, config.endpoint.v3; Kubernetes, discovery.k8s.io/v1.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { HealthStatus } from "../envoy/envoy/config/core/v3/health_check_pb.ts";
import type { LbEndpointSchema } from "../envoy/envoy/config/endpoint/v3/endpoint_components_pb.ts";
import {
  ClusterLoadAssignment_PolicySchema,
  ClusterLoadAssignmentSchema,
} from "../envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import type {
  ClusterLoadAssignment,
  ClusterLoadAssignment_Policy,
} from "../envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import { probeKey } from "../model/desired.ts";
import type { Desired, WanBackend, WanLocality } from "../model/desired.ts";
import { isReachable } from "../model/ipv4.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { areSame, KeyedMemo, MapMemo } from "../model/memo.ts";
import { compare, sortedEntries } from "../model/order.ts";
import { slicesByService } from "../model/service-slices.ts";
import type { SlicesByService } from "../model/service-slices.ts";
import type { Store, World } from "../model/world.ts";
import type { ServiceClusterSpec, WanClusterSpec } from "./backends.ts";

type EndpointSlice = ObjectTypes["EndpointSlice"];

/** Builds load assignments; nothing that changed, the same object. */
export class Endpoints {
  readonly #index = new KeyedMemo<SlicesByService>();
  readonly #epochs = new KeyedMemo<object>();
  readonly #sameWanBackends = new MapMemo<WanBackend>();
  readonly #memo = new KeyedMemo<Known>();
  /** Another object in a pass in which any endpoint may be another. */
  #epoch = {};
  #slices: SlicesByService = new Map();
  #services: Store<ObjectTypes["Service"]> = new Map();
  #wanBackends: Desired["wanBackends"] = new Map();
  #answering: World["answering"] = new Map();

  /** Starts a pass over one World. */
  startPass(world: World, desired: Desired): void {
    this.#index.endPass();
    this.#memo.endPass();
    const slices = world.home.EndpointSlice;
    this.#slices = this.#index.get("", [slices], () => slicesByService(slices));
    this.#services = world.home.Service;
    this.#wanBackends = this.#sameWanBackends.same(desired.wanBackends);
    this.#answering = world.answering;
    const dependencies = [this.#slices, this.#services, this.#wanBackends, this.#answering];
    this.#epoch = this.#epochs.get("", dependencies, () => ({}));
  }

  /** The load assignment of an EDS cluster, named as the cluster; the name says everything else of the spec. */
  of(spec: ServiceClusterSpec | WanClusterSpec): ClusterLoadAssignment {
    return this.#memo.get(spec.name, [this.#epoch], (previous) => this.#look(spec, previous)).assignment;
  }

  #look(spec: ServiceClusterSpec | WanClusterSpec, previous: Known | undefined): Known {
    if (spec.form === "Wan") {
      const backend = this.#wanBackends.get(spec.dummy);
      const silent = silentOf(backend, this.#answering);
      return known([backend, silent.join()], previous, () => assignmentOfWan(spec, backend, new Set(silent)));
    }
    const { importedAs } = spec;
    const spillOverBelow =
      importedAs === undefined ? undefined : this.#wanBackends.get(importedAs)?.spillOverBelow;
    const slices = this.#slices.get(spec.serviceKey) ?? [];
    const ports = this.#services.get(spec.serviceKey)?.spec?.ports ?? [];
    const portName = ports.find(({ port }) => port === spec.port)?.name ?? "";
    return known([portName, spillOverBelow, ...slices], previous, () => ({
      ...assignmentOfService(spec, portName, slices),
      ...spillOver(spillOverBelow),
    }));
  }
}

/** A load assignment and what it was made of. */
interface Known {
  readonly dependencies: readonly unknown[];
  readonly assignment: ClusterLoadAssignment;
}

function known(
  dependencies: readonly unknown[],
  previous: Known | undefined,
  make: () => ClusterLoadAssignment,
): Known {
  if (previous !== undefined && areSame(previous.dependencies, dependencies)) return previous;
  return { dependencies, assignment: make() };
}

/** How far a Pod can take traffic: `Leaving` is terminating and still serving (KEP-1672). */
type PodState = "Ready" | "Leaving" | "NotReady";

/**
 * Ready Pods take traffic. Where none is, those that are leaving and still serve do, as kube-proxy has it (KEP-1669): peers
 * need a moment to hear that the last Pod is going.
 */
function assignmentOfService(
  spec: ServiceClusterSpec,
  portName: string,
  slices: readonly EndpointSlice[],
): ClusterLoadAssignment {
  const pods = new Map<string, PodState>();
  for (const slice of slices) {
    for (const port of slice.ports ?? []) {
      if ((port.name ?? "") !== portName || !isPort(port.port)) continue;
      for (const { addresses, conditions } of slice.endpoints ?? []) {
        const address = addresses[0];
        const state = podState(conditions ?? {});
        if (address === undefined || !isReachable(address) || state === undefined) continue;
        const key = `${address} ${port.port}`;
        if (pods.get(key) !== "Ready") pods.set(key, state);
      }
    }
  }
  const taken: PodState = [...pods.values()].includes("Ready") ? "Ready" : "Leaving";
  const lbEndpoints = sortedEntries(pods).flatMap(([key, state]) => {
    const isTaken = state === taken;
    if (!isTaken && (state === "Leaving" || !spec.listsNotReady)) return [];
    const [address = "", port] = key.split(" ");
    return [
      { ...lbEndpoint(address, Number(port)), ...(isTaken ? {} : { healthStatus: HealthStatus.UNHEALTHY }) },
    ];
  });
  return create(ClusterLoadAssignmentSchema, {
    clusterName: spec.name,
    endpoints: lbEndpoints.length === 0 ? [] : [{ lbEndpoints }],
  });
}

/** The API server takes any number in an EndpointSlice; Envoy does not. */
function isPort(port: number | undefined): port is number {
  return port !== undefined && port > 0 && port < 65_536;
}

/** Undefined for a Pod that is leaving and serves no more: it is never listed. */
function podState(conditions: {
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}): PodState | undefined {
  if (conditions.terminating === true) return conditions.serving === true ? "Leaving" : undefined;
  return (conditions.ready ?? true) ? "Ready" : "NotReady";
}

/**
 * Envoy multiplies what is healthy by a factor, and lets go of requests when less than all is left: 140 % by default, so
 * below 71 % of the endpoints.
 */
function spillOver(below: number | undefined): { policy?: ClusterLoadAssignment_Policy } {
  if (below === undefined) return {};
  const overprovisioningFactor = Math.ceil(10_000 / below);
  return { policy: create(ClusterLoadAssignment_PolicySchema, { overprovisioningFactor }) };
}

/** Whether a cluster exports the port in question. */
function takes({ ports, tcpPorts = [] }: WanLocality, { port, stream }: WanClusterSpec): boolean {
  if (stream !== undefined) return tcpPorts.includes(stream.port);
  return port === undefined || ports === undefined || ports.includes(port);
}

/** A locality per cluster, weighted by its ready backends; a priority per tier, without gaps. */
function assignmentOfWan(
  spec: WanClusterSpec,
  backend: WanBackend | undefined,
  silent: ReadonlySet<string>,
): ClusterLoadAssignment {
  const remote = (backend?.remote ?? []).filter(
    (locality) => locality.endpoints.length > 0 && locality.weight > 0 && takes(locality, spec),
  );
  const tiers = [...new Set(remote.map(({ tier = 0 }) => tier))].sort((a, b) => a - b);
  return create(ClusterLoadAssignmentSchema, {
    clusterName: spec.name,
    ...spillOver(backend?.spillOverBelow),
    endpoints: remote
      .toSorted((a, b) => compare(a.cluster, b.cluster))
      .map(({ cluster, tier = 0, weight, endpoints }) => ({
        locality: { region: cluster },
        loadBalancingWeight: weight,
        priority: tiers.indexOf(tier),
        lbEndpoints: endpoints
          .toSorted((a, b) => compare(a.address, b.address) || a.port - b.port)
          .map(({ address, port }) => ({
            ...lbEndpoint(address, port),
            ...(silent.has(probeKey({ address, port })) ? { healthStatus: HealthStatus.UNHEALTHY } : {}),
          })),
      })),
  });
}

/**
 * Gateways behind a backend that take no connections, as far as probes can tell; none if that is all of them: then it is
 * more likely that the one who looks is cut off, and if not, nothing is lost by trying.
 */
function silentOf(backend: WanBackend | undefined, answering: World["answering"]): string[] {
  const silent: string[] = [];
  let isAnyLeft = false;
  for (const { endpoints } of backend?.remote ?? []) {
    for (const { address, port } of endpoints) {
      const key = probeKey({ address, port });
      if (answering.get(key) === false) silent.push(key);
      else isAnyLeft = true;
    }
  }
  return isAnyLeft ? silent : [];
}

function lbEndpoint(address: string, port: number): MessageInitShape<typeof LbEndpointSchema> {
  const socketAddress = { address, portSpecifier: { case: "portValue" as const, value: port } };
  return {
    hostIdentifier: {
      case: "endpoint",
      value: { address: { address: { case: "socketAddress", value: socketAddress } } },
    },
  };
}
