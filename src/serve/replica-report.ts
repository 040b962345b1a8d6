/**
 * What replicas tell the Lease holder of their Envoys, and how it is put together. Pure.
 *
 *     own report ──────────┐
 *     report of replica B ─┼─→ acknowledgements by Gateway, ports by Pod
 *     report of replica C ─┘
 */
import type { SendsTo } from "../model/world.ts";
import { unionOf } from "./sending.ts";
import type { Acknowledgement, Acknowledgements, RefusedRoute } from "../model/envoy-config.ts";

/** All that one replica knows. A replica that is gone is simply not among the reports. */
export interface Report {
  readonly acknowledgements: readonly GatewayReport[];
  /** By Pod name. */
  readonly listening: Readonly<Record<string, PodReport>>;
  readonly refusedRoutes: readonly RefusedRoute[];
}

/** What a replica's Envoys have said of one Gateway. */
export interface GatewayReport extends Acknowledgement {
  /** `namespace/name`. */
  readonly gateway: string;
  /** Of the Gateway as this replica serves it, which may be older than what another serves. */
  readonly generation: number;
}

/** The ports of one gateway Pod. */
interface PodReport {
  /** In order, each once. */
  readonly ports: readonly number[];
  /** False: what the Envoy last said before its stream ended. It counts only if it isn't connected elsewhere. */
  readonly isConnected: boolean;
  /** Ports of peers to which it may send; left out: unknown. */
  readonly sendsTo?: SendsTo;
}

/** What all replicas know together. */
export interface Merged {
  readonly acknowledgements: Acknowledgements;
  readonly listening: ReadonlyMap<string, ReadonlySet<number>>;
  readonly sending: ReadonlyMap<string, SendsTo>;
  /** Each once per fleet, in order. */
  readonly refusedRoutes: readonly RefusedRoute[];
}

/** What is left of the report of a replica that is gone: its Envoys still listen (X18), but answer for nothing. */
export function departedReport(report: Report): Report {
  const listening = Object.entries(report.listening).map(
    ([pod, report]) => [pod, { ...report, isConnected: false }] as const,
  );
  return { acknowledgements: [], listening: Object.fromEntries(listening), refusedRoutes: [] };
}

/** Puts reports together: the result is the same whatever their order. */
export function mergeReports(reports: readonly Report[]): Merged {
  return {
    acknowledgements: mergedAcknowledgements(reports),
    ...mergedPods(reports),
    refusedRoutes: mergedRefusals(reports),
  };
}

/** Of what several replicas say of one route, words count more than none. */
function mergedRefusals(reports: readonly Report[]): readonly RefusedRoute[] {
  const idOf = ({ kind, key, fleet }: RefusedRoute): string => `${kind} ${key} ${fleet}`;
  const all = reports
    .flatMap(({ refusedRoutes }) => refusedRoutes)
    .sort((one, other) => compareText(idOf(one), idOf(other)) || compareText(other.reason, one.reason));
  return all.filter((one, index) => {
    const before = all[index - 1];
    return before === undefined || idOf(before) !== idOf(one);
  });
}

/**
 * The newest generation that any replica speaks of decides: of the same generation, one Envoy that serves it counts more
 * than one that refused. `programmed` is the newest generation that some Envoy serves, whoever says so.
 */
function mergedAcknowledgements(reports: readonly Report[]): Acknowledgements {
  const byGateway = new Map<string, GatewayReport[]>();
  for (const { acknowledgements } of reports) {
    for (const entry of acknowledgements)
      byGateway.set(entry.gateway, [...(byGateway.get(entry.gateway) ?? []), entry]);
  }
  const result = new Map<string, Acknowledgement>();
  for (const [gateway, entries] of byGateway) {
    const programmed = Math.max(...entries.map((entry) => entry.programmed ?? -1));
    const refusals = entries
      .filter(({ refused, generation }) => refused !== undefined && generation > programmed)
      .sort((one, other) => other.generation - one.generation || compareText(one.refused, other.refused));
    const refused = refusals[0]?.refused;
    result.set(gateway, {
      ...(programmed < 0 ? {} : { programmed }),
      ...(refused === undefined ? {} : { refused }),
    });
  }
  return result;
}

function mergedPods(reports: readonly Report[]): Pick<Merged, "listening" | "sending"> {
  const byPod = new Map<string, PodReport[]>();
  for (const { listening } of reports) {
    for (const [pod, report] of Object.entries(listening))
      byPod.set(pod, [...(byPod.get(pod) ?? []), report]);
  }
  const listeningPorts = new Map<string, ReadonlySet<number>>();
  const sending = new Map<string, SendsTo>();
  for (const [pod, entries] of byPod) {
    const connected = entries.filter(({ isConnected }) => isConnected);
    const telling = connected.length > 0 ? connected : entries;
    listeningPorts.set(pod, new Set(telling.flatMap(({ ports }) => ports)));
    const sent = telling.map(({ sendsTo }) => sendsTo).filter((sendsTo) => sendsTo !== undefined);
    // One that says nothing of it makes it unknown.
    if (sent.length === telling.length)
      sending.set(
        pod,
        sent.reduce((one, other) => unionOf(one, other)),
      );
  }
  return { listening: listeningPorts, sending };
}

function compareText(one = "", other = ""): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
