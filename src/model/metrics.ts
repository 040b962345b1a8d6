/**
 * Every metric that the controller exposes, and the way stages count. The registry (prom-client) is in
 * `drivers/metrics`. Label values are bounded sets: kinds, verbs, stages, cluster ids; never object names.
 */

/** What a metric is: its help text and the names of its labels. Times are in seconds. */
export interface MetricInfo {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
}

export const metrics = {
  mcwan_worlds_total: { type: "counter", help: "Worlds that were published.", labels: [] },
  mcwan_world_published_timestamp_seconds: {
    type: "gauge",
    help: "When the last World was published.",
    labels: [],
  },
  mcwan_stage_duration_seconds: {
    type: "histogram",
    help: "Time that one pass of a stage took.",
    labels: ["stage"],
  },
  mcwan_stage_failures_total: {
    type: "counter",
    help: "Passes of a stage that ended in a bug.",
    labels: ["stage"],
  },
  mcwan_writes_total: {
    type: "counter",
    help: "Writes to the home cluster.",
    labels: ["kind", "verb", "outcome"],
  },
  mcwan_write_duration_seconds: {
    type: "histogram",
    help: "Time from request to answer of a write.",
    labels: ["verb"],
  },
  mcwan_writes_waiting: {
    type: "gauge",
    help: "Objects that differ from what is wanted and are not being written.",
    labels: [],
  },
  mcwan_deletions_withheld: {
    type: "gauge",
    help: "Objects that nothing wants, and that stay until a peer is heard for the first time.",
    labels: [],
  },
  mcwan_watch_relists_total: {
    type: "counter",
    help: "Full lists of a kind.",
    labels: ["cluster", "kind", "reason"],
  },
  mcwan_watch_failures_total: {
    type: "counter",
    help: "Lists and watches that failed.",
    labels: ["cluster", "kind"],
  },
  mcwan_watch_events_total: { type: "counter", help: "Watch events.", labels: ["cluster", "kind"] },
  mcwan_kinds_synced: { type: "gauge", help: "Kinds of a cluster that were listed.", labels: ["cluster"] },
  mcwan_peers: { type: "gauge", help: "Peers by state.", labels: ["state"] },
  mcwan_gateway_probes_total: {
    type: "counter",
    help: "TCP probes of peers' gateways: taken, silent, or untried for a fault of this machine.",
    labels: ["outcome"],
  },
  mcwan_leader: { type: "gauge", help: "1 while this replica writes.", labels: [] },
  mcwan_xds_streams: { type: "gauge", help: "Open ADS streams.", labels: ["fleet"] },
  mcwan_xds_denied_total: {
    type: "counter",
    help: "ADS streams that were not let in.",
    labels: ["code"],
  },
  mcwan_xds_pushes_total: {
    type: "counter",
    help: "Responses with resources or removals sent to Envoys.",
    labels: ["type"],
  },
  mcwan_xds_acks_total: { type: "counter", help: "Responses that Envoys accepted.", labels: ["type"] },
  mcwan_xds_nacks_total: { type: "counter", help: "Responses that Envoys refused.", labels: ["type"] },
} as const satisfies Record<string, MetricInfo>;

type NameOf<Type extends MetricInfo["type"]> = {
  [Name in keyof typeof metrics]: (typeof metrics)[Name]["type"] extends Type ? Name : never;
}[keyof typeof metrics];

/** The labels of a metric, all of them. */
type LabelsOf<Name extends keyof typeof metrics> = Readonly<
  Record<(typeof metrics)[Name]["labels"][number], string>
>;

/** Counting, as stages see it. */
export interface Metrics {
  /** Adds 1 to a counter. */
  increment<Name extends NameOf<"counter">>(name: Name, labels: LabelsOf<Name>): void;
  /** Sets a gauge. */
  set<Name extends NameOf<"gauge">>(name: Name, labels: LabelsOf<Name>, value: number): void;
  /** Takes a gauge away for these labels: what they name is gone. */
  forget<Name extends NameOf<"gauge">>(name: Name, labels: LabelsOf<Name>): void;
  /** Adds one duration, in seconds, to a histogram. */
  observe<Name extends NameOf<"histogram">>(name: Name, labels: LabelsOf<Name>, seconds: number): void;
}
