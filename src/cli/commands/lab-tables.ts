/** What `mcwan lab` shows: plain tables for people, and the shape of `status -o json`. Asks nothing but the lab it is given. */
import type { LabCounters } from "../../lab/counters.ts";
import type { Lab, LabCluster } from "../../lab/lab.ts";
import { plainTable } from "./plain-table.ts";

/** What `mcwan lab status -o json` prints. */
export type StatusReport =
  | { readonly up: false }
  | {
      readonly up: true;
      readonly runDir: string;
      readonly kubeconfig: string;
      readonly pid: number;
      /** ISO 8601. */
      readonly startedAt: string;
      readonly clusters: readonly LabCluster[];
      readonly tunnels: Lab["tunnels"];
      /** What the SD-WAN carries, and where. */
      readonly ports: Awaited<ReturnType<Lab["ports"]>>;
      /** Tunnel qualities that this machine can't apply. */
      readonly notApplied: readonly {
        readonly tunnel: string;
        readonly quality: string;
        readonly reason: string;
      }[];
    };

/** The status of a lab that is up. */
export async function statusReport(lab: Lab): Promise<StatusReport> {
  const { runDir, kubeconfig, clusters, tunnels, state } = lab;
  return {
    up: true,
    runDir,
    kubeconfig,
    pid: state.process.pid,
    startedAt: state.startedAt,
    clusters,
    tunnels,
    ports: await lab.ports(),
    notApplied: await lab.notApplied(),
  };
}

/** The status for people. */
export function statusTable(report: StatusReport): string {
  if (!report.up) return "no lab is up";
  const clusters = plainTable(["CLUSTER", "CONTEXT", "API SERVER", "FROM PODS", "PODS"]);
  for (const { id, context, server, insideServer, addresses } of report.clusters)
    clusters.push([id, context, server, insideServer, addresses.podCIDR]);
  const tunnels = report.tunnels.map(({ name, ...quality }) => {
    const said = Object.entries(quality).map(([field, value]) => `${field} ${value}`);
    return said.length === 0 ? name : `${name} (${said.join(", ")})`;
  });
  const ports = report.ports.map(
    ({ port, tunnel, state }) => `${port} ${tunnel}${state === "open" ? "" : ` (${state})`}`,
  );
  return [
    clusters.toString(),
    "",
    `tunnels     ${tunnels.join(", ")}`,
    `ports       ${ports.length === 0 ? "none: no WANPolicy is there" : ports.join(", ")}`,
    ...report.notApplied.map(
      ({ tunnel, quality, reason }) => `not applied ${quality} of ${tunnel}: ${reason.split("\n")[0] ?? ""}`,
    ),
    `kubeconfig  ${report.kubeconfig}`,
    `process     ${report.pid}, since ${report.startedAt}`,
  ].join("\n");
}

/** The counters for people: the proof, then what was rejected, then the interfaces beside it. */
export function countersTable(counters: LabCounters): string {
  const links = plainTable([
    "CLUSTER",
    "DIRECTION",
    "PEER",
    "TUNNEL",
    "PORT",
    "ROLE",
    "PACKETS",
    "PAYLOAD BYTES",
  ]);
  for (const { cluster, direction, peer, tunnel, port, role, packets, payloadBytes } of counters.links) {
    links.push([cluster, direction, peer, tunnel, port, role, packets, payloadBytes]);
  }
  const refused = plainTable(["CLUSTER", "DIRECTION", "REJECTED", "PROTOCOL", "PORT", "PACKETS"]);
  for (const { cluster, direction, of, protocol, port, packets } of counters.refused)
    refused.push([cluster, direction, of, protocol, port, packets]);
  const interfaces = plainTable(["CLUSTER", "PEER", "TUNNEL", "INTERFACE RX BYTES", "INTERFACE TX BYTES"]);
  for (const { cluster, peer, tunnel, receivedBytes, sentBytes } of counters.interfaces)
    interfaces.push([cluster, peer, tunnel, receivedBytes, sentBytes]);
  return [links, refused, interfaces].map((table) => table.toString()).join("\n\n");
}
