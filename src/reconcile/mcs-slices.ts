/**
 * EndpointSlices of the MCS API (KEP-1645): per source cluster that cluster's ingress gateways, or a headless service's
 * pods. Never with `kubernetes.io/service-name`: kube-proxy must not take them for a Service's.
 */
import { reasons } from "../api/conditions.ts";
import type { AdvertisedPort } from "../api/service-advertisement.ts";
import type { DesiredObject, ServiceRef } from "../model/desired.ts";
import { isReachable } from "../model/ipv4.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import { hashedName, labels } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import type { ClusterId } from "../model/world.ts";
import { home, type GatewayDirectory } from "./gateway-directory.ts";
import { readyCount, type Member, type Merged } from "./imports.ts";
import type { OwnRanges } from "./own-ranges.ts";
import { metadataOf, typeOf } from "./owners.ts";

/** What the slices of one service are made of. */
export interface McsSliceInput {
  readonly service: ServiceRef;
  readonly merged: Merged;
  /** Ports that are carried as HTTP. */
  readonly httpPorts: readonly AdvertisedPort[];
  /** Ports that are carried as TCP. */
  readonly tcpPorts: readonly AdvertisedPort[];
  /** The policy that holds, if one does. */
  readonly policy: string | undefined;
  readonly directory: GatewayDirectory;
  readonly homeId: ClusterId | undefined;
  /** Our own: what another cluster says of addresses in there is not taken. */
  readonly ranges: OwnRanges;
  /** The MCS ServiceImport; slices wait until it stands. */
  readonly owner: OwnerReference;
}

/** The MCS slices of one service, sorted by cluster's precedence. */
export function mcsSlices(input: McsSliceInput): DesiredObject[] {
  return input.merged.members.flatMap((member) => {
    const cluster = member.cluster === home ? input.homeId : member.cluster;
    if (cluster === undefined) return [];
    return input.merged.type === "Headless"
      ? headlessSlices(input, member, cluster)
      : gatewaySlices(input, member, cluster);
  });
}

function gatewaySlices(input: McsSliceInput, member: Member, cluster: ClusterId): DesiredObject[] {
  const { policy, directory, httpPorts, tcpPorts } = input;
  if (policy === undefined || httpPorts.length + tcpPorts.length === 0) return [];
  const ready = readyCount(member) > 0;
  const gateways = directory.find(member.cluster, member.spec.pool, policy);
  return [...Map.groupBy(gateways, ({ port }) => port)]
    .sort(([a], [b]) => a - b)
    .map(([target, group]) =>
      slice(input, cluster, {
        suffix: String(target),
        // Gateways take TCP from other gateways only: clients can't say which service they mean. The endpoints stand all the
        // same: by them DNS knows that the name leads somewhere.
        ports: httpPorts.map((port) => slicePort(port, target)),
        endpoints: group.map(({ address, zone }) => ({
          addresses: [address],
          conditions: { ready },
          ...(zone === undefined ? {} : { zone }),
        })),
      }),
    );
}

function headlessSlices(input: McsSliceInput, member: Member, cluster: ClusterId): DesiredObject[] {
  const endpoints = (member.spec.endpoints ?? []).flatMap(({ addresses, hostname, ready, zone }) => {
    const usable = addresses.filter(
      (address) => endpointProblem(address, member, input.ranges) === undefined,
    );
    return usable.length === 0
      ? []
      : [
          {
            addresses: usable,
            conditions: { ready },
            ...(hostname === undefined ? {} : { hostname }),
            ...(zone === undefined ? {} : { zone }),
          },
        ];
  });
  if (endpoints.length === 0) return [];
  const ports = member.spec.ports.map((port) => slicePort(port, port.port));
  return [slice(input, cluster, { suffix: "pods", ports, endpoints })];
}

/** Why addresses of a headless service in other clusters are left out: their names would lead clients elsewhere. */
export function unusableEndpoints(merged: Merged, ranges: OwnRanges): Problem[] {
  if (merged.type !== "Headless") return [];
  return merged.members.flatMap((member) =>
    member.cluster === home
      ? []
      : (member.spec.endpoints ?? [])
          .flatMap(({ addresses }) => addresses)
          .map((address) => endpointProblem(address, member, ranges))
          .filter((problem) => problem !== undefined),
  );
}

function endpointProblem(address: string, { cluster }: Member, ranges: OwnRanges): Problem | undefined {
  const said = `Cluster "${cluster === home ? "" : cluster}" gives ${JSON.stringify(address.slice(0, 45))} as the address of a Pod`;
  if (!isReachable(address))
    return {
      reason: reasons.UnusableAddress,
      message: `${said}, which is no IPv4 address that another cluster can reach. It is left out.`,
    };
  const own = cluster === home ? undefined : ranges.find(address);
  if (own === undefined) return undefined;
  return {
    reason: reasons.AddressOverlap,
    message: `${said}, which is in this cluster's own ${own}. It is left out: headless services can't be imported from clusters whose ranges overlap.`,
  };
}

function slicePort(port: AdvertisedPort, target: number): object {
  return {
    name: port.name ?? "",
    protocol: port.protocol,
    port: target,
    ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
  };
}

function slice(
  { service, owner }: McsSliceInput,
  cluster: ClusterId,
  {
    suffix,
    ports,
    endpoints,
  }: { readonly suffix: string; readonly ports: readonly object[]; readonly endpoints: readonly object[] },
): DesiredObject {
  return {
    kind: "EndpointSlice",
    object: {
      ...typeOf("EndpointSlice"),
      metadata: metadataOf({
        namespace: service.namespace,
        // With a hash always: a service's and a cluster's name could run together.
        name: hashedName(service.name, cluster, "ipv4", suffix),
        cause: service,
        owner: { ...owner, controller: false },
        labels: {
          [labels.mcsServiceName]: service.name,
          [labels.mcsSourceCluster]: cluster,
          [labels.sliceManagedBy]: labels.managedByValue,
        },
      }),
      addressType: "IPv4",
      ...(ports.length === 0 ? {} : { ports }),
      endpoints,
    },
  };
}
