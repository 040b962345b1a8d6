/** What `mcwan lab` shows: plain tables for people, and the shape of `status -o json`. Asks nothing but the lab it is given. */
import type { LabCounters } from "../../lab/counters.ts";
import type { LinksStatus } from "../../lab/inside/links.ts";
import type { Lab, LabCluster } from "../../lab/lab.ts";
import type { TunnelQuality } from "../../lab/lab-plan.ts";
import type { LinkStatus, Means, Quality } from "../../lab/sdwan/link-means.ts";
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
      /** Each direction of each link: how it is, by which means, and what this machine can't do. */
      readonly links: readonly LinkStatus[];
      /** The user-space wire: `off` where nothing needs it. */
      readonly wire: LinksStatus["wire"];
    };

/** The status of a lab that is up. */
export async function statusReport(lab: Lab): Promise<StatusReport> {
  const { runDir, kubeconfig, clusters, tunnels, state } = lab;
  const { directions, wire } = await lab.links();
  return {
    up: true,
    runDir,
    kubeconfig,
    pid: state.process.pid,
    startedAt: state.startedAt,
    clusters,
    tunnels,
    ports: await lab.ports(),
    links: directions,
    wire,
  };
}

/** The status for people. */
export function statusTable(report: StatusReport): string {
  if (!report.up) return "no lab is up";
  const clusters = plainTable(["CLUSTER", "CONTEXT", "API SERVER", "FROM PODS", "PODS"]);
  for (const { id, context, server, insideServer, addresses } of report.clusters)
    clusters.push([id, context, server, insideServer, addresses.podCIDR]);
  const tunnels = report.tunnels.map(({ name, ...quality }) => {
    const said = qualityWords(quality);
    return said.length === 0 ? name : `${name} (${said.join(", ")})`;
  });
  const changed = report.links.filter((link) => {
    const atUp = report.tunnels.find(({ name }) => name === link.link);
    return link.cut || qualityWords(link.quality).join() !== qualityWords(atUp ?? {}).join();
  });
  const ports = report.ports.map(
    ({ port, tunnel, state }) => `${port} ${tunnel}${state === "open" ? "" : ` (${state})`}`,
  );
  return [
    clusters.toString(),
    "",
    `tunnels     ${tunnels.join(", ")}`,
    `ports       ${ports.length === 0 ? "none: no WANPolicy is there" : ports.join(", ")}`,
    ...changed.map(
      (link) =>
        `changed     ${link.link} ${link.from} → ${link.to}: ${[...(link.cut ? ["cut"] : []), ...qualityWords(link.quality)].join(", ") || "no limits"}`,
    ),
    ...appliedLines(report.links, report.wire),
    ...notAppliedLines(report.links),
    `kubeconfig  ${report.kubeconfig}`,
    `process     ${report.pid}, since ${report.startedAt}`,
  ].join("\n");
}

/** Every direction of links, for people. */
export function linksTable(links: readonly LinkStatus[]): string {
  const table = plainTable(["LINK", "FROM", "TO", "STATE", "RATE", "DELAY", "JITTER", "LOSS", "BY"]);
  for (const { link, from, to, cut, quality, appliedBy } of links) {
    const { rateMbit, delayMs, jitterMs, lossPercent } = quality;
    const cell = (value: number | undefined, unit: string): string =>
      value === undefined ? "-" : `${value} ${unit}`;
    table.push([
      link,
      from,
      to,
      cut ? "cut" : "whole",
      cell(rateMbit, "Mbit/s"),
      cell(delayMs, "ms"),
      cell(jitterMs, "ms"),
      cell(lossPercent, "%"),
      [...new Set(Object.values(appliedBy))].join(", ") || "-",
    ]);
  }
  return table.toString();
}

/** What could not be applied, a line for each quality and reason. */
export function notAppliedLines(links: readonly LinkStatus[]): string[] {
  const lines = new Map<string, Set<string>>();
  for (const { link, notApplied } of links) {
    for (const { quality, reason } of notApplied) {
      const key = `${quality} of ${link}`;
      lines.set(reason, (lines.get(reason) ?? new Set()).add(key));
    }
  }
  return [...lines].map(([reason, what]) => `not applied ${[...what].join(", ")}: ${reason}`);
}

const MEANS: Readonly<Record<Means, string>> = {
  tbf: "the kernel (tbf)",
  netem: "the kernel (netem)",
  wire: "the user-space wire",
  nft: "the packet filter",
};

/** By which means the qualities of links are made. */
function appliedLines(links: readonly LinkStatus[], wire: LinksStatus["wire"]): string[] {
  const by = new Map<Means, Set<Quality>>();
  for (const { appliedBy } of links) {
    for (const [quality, means] of Object.entries(appliedBy) as [Quality, Means][])
      by.set(means, (by.get(means) ?? new Set()).add(quality));
  }
  return [...by].map(([means, qualities]) => {
    const state = means === "wire" ? ` (${wireWords(wire)})` : "";
    return `applied     ${[...qualities].join(", ")} by ${MEANS[means]}${state}`;
  });
}

function wireWords(wire: LinksStatus["wire"]): string {
  switch (wire.state) {
    case "off":
      return "off";
    case "unavailable":
      return wire.reason;
    case "restarting":
      return `it ended (${wire.ended}) and is started again; until then its links are dead`;
    case "running":
      return [
        `process ${wire.pid} in the lab`,
        ...(wire.restarts === 0 ? [] : [`ended and started again: ${wire.restarts}`]),
        ...(wire.overrunPackets === 0
          ? []
          : [`lost because they came too fast: ${wire.overrunPackets} packets`]),
      ].join("; ");
  }
}

function qualityWords({ rateMbit, delayMs, jitterMs, lossPercent }: TunnelQuality): string[] {
  return [
    ...(rateMbit === undefined ? [] : [`rate ${rateMbit} Mbit/s`]),
    ...(delayMs === undefined ? [] : [`delay ${delayMs} ms`]),
    ...(jitterMs === undefined ? [] : [`jitter ${jitterMs} ms`]),
    ...(lossPercent === undefined ? [] : [`loss ${lossPercent} %`]),
  ];
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
