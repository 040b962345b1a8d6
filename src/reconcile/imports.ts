/**
 * What the exports of one service in all clusters come to together (KEP-1645): the oldest wins, ports are united, and
 * who disagrees is told so.
 *
 *     ServiceAdvertisements of home and peers → Merged → MCS ServiceImport, shadow Service, conditions
 */
import { reasons } from "../api/conditions.ts";
import type { McsServiceImportSpec, McsServicePort } from "../api/multicluster.ts";
import type { AdvertisedPort, ServiceAdvertisementSpec } from "../api/service-advertisement.ts";
import type { ServiceRef } from "../model/desired.ts";
import { compare } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import { isReserved } from "../model/reserved-services.ts";
import { isHeard } from "../model/world.ts";
import type { ClusterId, Peer } from "../model/world.ts";
import { home, type Home } from "./gateway-directory.ts";

/** One cluster's export of a service. */
export interface Member {
  readonly cluster: ClusterId | Home;
  readonly spec: ServiceAdvertisementSpec;
}

/** The service as all its exporters make it. */
export interface Merged {
  readonly service: ServiceRef;
  /** When the oldest export was made, in ms since 1970; an unreadable time is later than all others. */
  readonly exportedAtMs: number;
  /** Oldest first. Never empty. */
  readonly members: readonly [Member, ...Member[]];
  readonly type: "ClusterSetIP" | "Headless";
  /** The union, in the order of port numbers; an unnamed one of several is named `port-<n>`. */
  readonly ports: readonly AdvertisedPort[];
  /** Of the oldest. */
  readonly oldest: ServiceAdvertisementSpec;
  /** One for each property on which exporters disagree. */
  readonly conflicts: readonly Problem[];
}

/** The cluster of a member in words: home may have no id yet. */
export const clusterName = (cluster: ClusterId | Home, homeId: ClusterId | undefined): string =>
  cluster === home ? (homeId ?? "(this cluster, which has no id)") : cluster;

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** What one peer advertises, by `namespace/name` of the service. Names that no Service can have are left out. */
export function membersOf(peer: Peer, homeId: ClusterId | undefined): ReadonlyMap<string, Member> {
  const members = new Map<string, Member>();
  if (!isHeard(peer)) return members;
  for (const [key, { metadata, spec }] of peer.objects.ServiceAdvertisement) {
    const ref: ServiceRef = { namespace: metadata.namespace ?? "", name: metadata.name };
    if (!dnsLabel.test(ref.name) || !dnsLabel.test(ref.namespace) || isReserved(ref)) continue;
    if (spec.clusters !== undefined && (homeId === undefined || !spec.clusters.includes(homeId))) continue;
    members.set(key, { cluster: peer.id, spec });
  }
  return members;
}

/** Merges the exports of the service `key`. `homeId` only serves to break ties and to name the cluster. */
export function mergeExports(
  key: string,
  unsorted: readonly Member[],
  homeId: ClusterId | undefined,
): Merged | undefined {
  const [first, ...rest] = [...unsorted].sort(
    (a, b) =>
      momentOf(a.spec.exportTime) - momentOf(b.spec.exportTime) ||
      compare(clusterName(a.cluster, homeId), clusterName(b.cluster, homeId)),
  );
  if (first === undefined) return undefined;
  const members: readonly [Member, ...Member[]] = [first, ...rest];
  const { ports, disagree } = mergePorts(members);
  const conflicts: Problem[] = [];
  const total = members.length;
  const oldestCluster = clusterName(first.cluster, homeId);
  const check = (
    reason: string,
    words: { what: string; of: (spec: ServiceAdvertisementSpec) => string },
  ): void => {
    const used = words.of(first.spec);
    const others = members.filter((member) => words.of(member.spec) !== used).length;
    if (others > 0)
      conflicts.push({
        reason,
        message: conflictMessage(words.what, { used, oldestCluster, others, total }),
      });
  };
  if (disagree > 0) {
    conflicts.push({
      reason: reasons.PortConflict,
      message: `Conflicting ports. The import has those of all exports; where they clash, those of the oldest, in "${oldestCluster}". ${disagree}/${total} clusters disagree. Give every port the same name, number and protocol in all of them, or export the services under different names.`,
    });
  }
  check(reasons.TypeConflict, { what: "type", of: (spec) => spec.type });
  check(reasons.SessionAffinityConflict, {
    what: "session affinity",
    of: (spec) => spec.sessionAffinity ?? "None",
  });
  check(reasons.SessionAffinityConfigConflict, {
    what: "session affinity config",
    of: (spec) => String(spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? "none"),
  });
  check(reasons.InternalTrafficPolicyConflict, {
    what: "internal traffic policy",
    of: (spec) => spec.internalTrafficPolicy ?? "Cluster",
  });
  check(reasons.TrafficDistributionConflict, {
    what: "traffic distribution",
    of: (spec) => spec.trafficDistribution ?? "none",
  });
  check(reasons.LabelsConflict, { what: "exported labels", of: (spec) => mapWords(spec.labels) });
  check(reasons.AnnotationsConflict, {
    what: "exported annotations",
    of: (spec) => mapWords(spec.annotations),
  });
  check(reasons.IPFamilyConflict, {
    what: "IP families",
    of: (spec) => [...spec.ipFamilies].sort(compare).join(","),
  });
  check(reasons.WANPolicyConflict, { what: "WAN policy", of: (spec) => spec.wanPolicy ?? "none" });
  const [namespace = "", name = ""] = key.split("/");
  return {
    service: { namespace, name },
    exportedAtMs: momentOf(first.spec.exportTime),
    members,
    type: first.spec.type,
    ports,
    oldest: first.spec,
    conflicts,
  };
}

function conflictMessage(
  what: string,
  {
    used,
    oldestCluster,
    others,
    total,
  }: { used: string; oldestCluster: string; others: number; total: number },
): string {
  return `Conflicting ${what}. Using ${JSON.stringify(used)} from oldest service export in "${oldestCluster}". ${others}/${total} clusters disagree. Make it the same in all of them.`;
}

/** Times may differ in form (fractions of a second): compared as moments. An unreadable one is the youngest. */
function momentOf(time: string): number {
  const moment = Date.parse(time);
  return Number.isNaN(moment) ? Number.MAX_SAFE_INTEGER : moment;
}

function mapWords(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort(compare)
    .join(",");
}

/** The union by name first, then by protocol and number; and how many clusters don't have exactly that. */
function mergePorts(members: readonly Member[]): { ports: AdvertisedPort[]; disagree: number } {
  const union: AdvertisedPort[] = [];
  for (const { spec } of members) {
    for (const port of spec.ports) {
      const clash = union.some(
        (known) =>
          (known.name ?? "") === (port.name ?? "") ||
          (known.protocol === port.protocol && known.port === port.port),
      );
      if (!clash) union.push(port);
    }
  }
  const words = (port: AdvertisedPort): string =>
    [port.name ?? "", port.protocol, port.port, port.appProtocol ?? ""].join("/");
  const all = union.map(words).sort(compare).join();
  const disagree = members.filter(({ spec }) => spec.ports.map(words).sort(compare).join() !== all).length;
  const ports = union.sort((a, b) => a.port - b.port || compare(a.protocol, b.protocol));
  return { ports: ports.length > 1 ? allNamed(ports) : ports, disagree };
}

/** Kubernetes wants a name for each of several ports: one without gets `port-<n>`, and a number more where that is taken. */
function allNamed(ports: readonly AdvertisedPort[]): AdvertisedPort[] {
  const taken = new Set(ports.map(({ name }) => name));
  return ports.map((port) => {
    if (port.name !== undefined) return port;
    const plain = `port-${port.port}`;
    let name = plain;
    for (let further = 2; taken.has(name); further++) name = `${plain}-${further}`;
    return { ...port, name };
  });
}

/** spec of the MCS ServiceImport; `ips` are the shadow's, none for a headless service. */
export function mcsSpec(merged: Merged, ips: readonly string[]): McsServiceImportSpec {
  const { oldest } = merged;
  return {
    type: merged.type,
    ports: merged.ports.map((port): McsServicePort => ({
      ...(port.name === undefined ? {} : { name: port.name }),
      protocol: port.protocol,
      port: port.port,
      ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    })),
    ...(merged.type === "Headless" || ips.length === 0 ? {} : { ips, ipFamilies: ["IPv4" as const] }),
    ...(oldest.sessionAffinity === undefined ? {} : { sessionAffinity: oldest.sessionAffinity }),
    ...(oldest.sessionAffinityConfig === undefined
      ? {}
      : { sessionAffinityConfig: oldest.sessionAffinityConfig }),
    ...(oldest.internalTrafficPolicy === undefined
      ? {}
      : { internalTrafficPolicy: oldest.internalTrafficPolicy }),
    ...(oldest.trafficDistribution === undefined ? {} : { trafficDistribution: oldest.trafficDistribution }),
  };
}

/** More is counted as this: weights of all peers together have to fit into 32 bits (Envoy). */
const maxReadyCount = 1_000_000;

/** Ready backends of a member over all zones. */
export function readyCount({ spec }: Member): number {
  return Math.min(
    spec.readyBackends.reduce((sum, { count }) => sum + count, 0),
    maxReadyCount,
  );
}
