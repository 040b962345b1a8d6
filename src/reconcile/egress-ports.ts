/**
 * Container ports of the egress pool: one for each imported port, and the same for as long as the import stands.
 *
 * What was given is noted at the import's ReferenceGrant in namespace `mc-wan`, where no tenant can write. A shadow's
 * targetPort says the same, but belongs to its tenant's namespace: it counts only where there is no note, and takes
 * nothing from anybody.
 */
import { createHash } from "node:crypto";
import type { ObjectTypes } from "../model/kinds.ts";
import { annotations } from "../model/names.ts";
import { compare } from "../model/order.ts";
import type { World } from "../model/world.ts";
import type { Import } from "./import-side.ts";
import { isOurs } from "./owners.ts";
import { sliceName } from "./proxy-slices.ts";
import { egressPorts, isEgressPort, standingContainerPort } from "./shadow-services.ts";

/** An imported port that needs a container port. */
export interface PortRequest {
  /** `namespace/service:port`. */
  readonly key: string;
  /** What is noted for it. */
  readonly noted?: number | undefined;
  /** What its shadow has as targetPort. */
  readonly standing?: number | undefined;
  /** Whether a slice of its shadow leads to that. */
  readonly isServed?: boolean;
  /** When its shadow was made. */
  readonly since?: string;
}

/**
 * Container ports by request key: what is noted, then what stands, of two the one that is served, then the older. Others
 * start from the hash of their key, so that they hardly ever depend on each other. Requests come in the order of their
 * keys. One beyond the 10,000th is left out.
 */
export function allocateContainerPorts(requests: readonly PortRequest[]): ReadonlyMap<string, number> {
  const ports = new Map<string, number>();
  const used = new Set<number>();
  const claim = (key: string, port: number | undefined): void => {
    if (port === undefined || ports.has(key) || used.has(port)) return;
    ports.set(key, port);
    used.add(port);
  };
  for (const { key, noted } of requests) claim(key, noted);
  const unnoted = requests
    .filter(({ key, standing }) => standing !== undefined && !ports.has(key))
    .sort(
      (a, b) =>
        Number(b.isServed ?? false) - Number(a.isServed ?? false) || compare(a.since ?? "~", b.since ?? "~"),
    );
  for (const { key, standing } of unnoted) claim(key, standing);
  for (const { key } of requests) {
    if (ports.has(key) || used.size >= egressPorts.count) continue;
    let offset = createHash("sha256").update(key).digest().readUInt32BE() % egressPorts.count;
    while (used.has(egressPorts.first + offset)) offset = (offset + 1) % egressPorts.count;
    claim(key, egressPorts.first + offset);
  }
  return ports;
}

/** The ports of all imports that go through the egress gateway, by `namespace/service:port`. */
export function containerPortsOf(world: World, imports: readonly Import[]): ReadonlyMap<string, number> {
  const requests: PortRequest[] = [];
  for (const { key, shadowKey, grantKey, httpPorts, tcpPorts, path, merged } of imports) {
    if (merged.type === "Headless") continue;
    const found = world.home.Service.get(shadowKey);
    const shadow = found !== undefined && isOurs(found) ? found : undefined;
    const noted = notedPorts(world.home.ReferenceGrant.get(grantKey));
    for (const { port } of [...httpPorts, ...tcpPorts]) {
      const standing = standingContainerPort(shadow, port);
      // A shadow that is about to become Direct keeps its egress side for one pass: slices move first.
      if (path !== "Gateway" && standing === undefined) continue;
      const slice =
        standing === undefined ? undefined : world.home.EndpointSlice.get(sliceName(shadowKey, standing));
      requests.push({
        key: `${key}:${port}`,
        noted: noted.get(port),
        standing,
        isServed: slice !== undefined && isOurs(slice),
        since: shadow?.metadata.creationTimestamp ?? "~",
      });
    }
  }
  return allocateContainerPorts(requests);
}

/** The annotation that notes an import's ports, `8080:20123,9090:24321`; empty if there are none. */
export function portsNote(ports: ReadonlyMap<number, number>): Readonly<Record<string, string>> {
  if (ports.size === 0) return {};
  return { [annotations.egressPorts]: [...ports].map(([port, container]) => `${port}:${container}`).join() };
}

/** What {@link portsNote} has noted, by port of the service. */
function notedPorts(grant: ObjectTypes["ReferenceGrant"] | undefined): ReadonlyMap<number, number> {
  const note =
    grant !== undefined && isOurs(grant) ? grant.metadata.annotations?.[annotations.egressPorts] : "";
  const ports = new Map<number, number>();
  for (const pair of (note ?? "").split(",")) {
    const [port = "", container = ""] = pair.split(":");
    if (isEgressPort(Number(container))) ports.set(Number(port), Number(container));
  }
  return ports;
}
