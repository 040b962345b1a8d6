/**
 * Follows several kinds of one cluster, each by a reflector of its own: one kind that fails, or doesn't exist, holds up
 * no other.
 */
import { reasons } from "../api/conditions.ts";
import { RefusedError } from "../model/errors.ts";
import { kinds } from "../model/kinds.ts";
import type { KindName } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import type { Log } from "../model/log.ts";
import type { Metrics } from "../model/metrics.ts";
import type { Problem } from "../model/problem.ts";
import type { Timing } from "../model/timing.ts";
import type { KubeReader, Selection } from "./kube-reader.ts";
import { Reflector } from "./reflector.ts";
import { QuotaError, type Quota } from "./weight.ts";

/** One kind to follow. */
export interface WatchedKind {
  readonly name: KindName;
  readonly selection: Selection;
  /** The kind need not exist. */
  readonly isOptional?: boolean;
  /** See ReflectorOptions. */
  readonly mayBeForbidden?: boolean;
  readonly pageSize?: number;
  /** What is kept of each object; see ReflectorOptions. */
  readonly project?: (object: KubeObject) => KubeObject;
  /** See ReflectorOptions. */
  readonly quota?: Quota;
}

/** What reflectors of all clusters share. */
export interface WatchContext {
  readonly timing: Timing;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface ClusterWatchOptions extends WatchContext {
  /** For logs and metrics: `home`, or the peer's id. */
  readonly cluster: string;
  readonly reader: KubeReader;
  readonly kinds: readonly WatchedKind[];
  /** Objects, or whether kinds fail, have changed. */
  readonly changed: () => void;
}

/** Why a kind can't be followed right now, and since when. */
export interface KindFailure {
  readonly kind: KindName;
  /** By the clock of {@link Timing.now}. */
  readonly sinceMs: number;
  readonly problem: Problem;
}

/** The objects of a kind that is not followed: the same Map always. */
const nothing: ReadonlyMap<string, KubeObject> = new Map();

export class ClusterWatch {
  readonly #options: ClusterWatchOptions;
  readonly #reflectors = new Map<KindName, Reflector>();
  readonly #failures = new Map<KindName, KindFailure>();
  #absent: ReadonlySet<KindName> = new Set();
  readonly #ended = new AbortController();

  constructor(options: ClusterWatchOptions) {
    this.#options = options;
    for (const watched of options.kinds) this.#reflectors.set(watched.name, this.#reflector(watched));
  }

  /** Begins to list and watch. What `earlier` held stays in force until the new lists are there. */
  start(earlier?: ClusterWatch): void {
    for (const [name, reflector] of this.#reflectors) {
      const before = earlier === undefined ? undefined : earlier.#reflectors.get(name);
      if (before !== undefined) reflector.inherit(before);
      void reflector.run(this.#ended.signal);
    }
  }

  /** Ends all watches and connections; what was seen can still be asked for. */
  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#options.reader.close();
  }

  /** The objects of a kind: the same Map while nothing changes. */
  objects(kind: KindName): ReadonlyMap<string, KubeObject> {
    return this.#reflectors.get(kind)?.objects() ?? nothing;
  }

  /** Whether every kind was listed once. */
  get isSynced(): boolean {
    return this.unsynced.length === 0;
  }

  /** Kinds that were never listed. */
  get unsynced(): readonly KindName[] {
    return [...this.#reflectors].filter(([, reflector]) => !reflector.isSynced).map(([name]) => name);
  }

  /** Kinds whose last list or watch failed, the oldest failure first. */
  get failures(): readonly KindFailure[] {
    return [...this.#failures.values()].sort((a, b) => a.sinceMs - b.sinceMs);
  }

  /** Kinds that the cluster does not have: the same Set while they are the same. */
  get absent(): ReadonlySet<KindName> {
    return this.#absent;
  }

  #noteAbsent(): void {
    const missing = this.failures.filter(({ problem }) => problem.reason === reasons.KindMissing);
    this.#absent = new Set(missing.map(({ kind }) => kind));
  }

  #reflector({ name, selection, isOptional, ...how }: WatchedKind): Reflector {
    const { cluster, reader, timing, metrics, changed } = this.#options;
    const log = this.#options.log.child({ cluster, kind: name });
    const labels = { cluster, kind: name };
    return new Reflector({
      kind: kinds[name],
      selection,
      reader,
      timing,
      isOptional: isOptional ?? false,
      ...how,
      events: {
        changed: () => {
          metrics.set("mcwan_kinds_synced", { cluster }, this.#reflectors.size - this.unsynced.length);
          changed();
        },
        listing: (reason) => {
          metrics.increment("mcwan_watch_relists_total", { ...labels, reason });
          if (reason !== "First") log.info("lists a kind again", { reason });
        },
        failed: (error, failures) => {
          metrics.increment("mcwan_watch_failures_total", labels);
          if (this.#failures.has(name)) {
            log.debug("watch fails again", { failures });
            return;
          }
          log.warn("watch failed", { error });
          this.#failures.set(name, { kind: name, sinceMs: timing.now(), problem: problemOf(error, name) });
          this.#noteAbsent();
          changed();
        },
        recovered: () => {
          log.info("watch works again");
          this.#failures.delete(name);
          this.#noteAbsent();
          changed();
        },
        received: () => {
          metrics.increment("mcwan_watch_events_total", labels);
        },
      },
    });
  }
}

/** For a person. Errors of drivers hold no secrets; of any other only the class is told. */
function problemOf(error: unknown, name: KindName): Problem {
  const { plural, apiVersion } = kinds[name];
  if (error instanceof RefusedError) {
    if (error.status === 401) {
      return {
        reason: reasons.Unauthorized,
        message: "The API server refuses the credentials. Give it new ones.",
      };
    }
    if (error.status === 403) {
      const message = `The account may not read ${plural} (${apiVersion}). Grant it list and watch.`;
      return { reason: reasons.Forbidden, message };
    }
    if (error.status === 404) {
      return {
        reason: reasons.KindMissing,
        message: `There are no ${plural} in ${apiVersion}. Install the CRD.`,
      };
    }
  }
  if (error instanceof QuotaError) {
    const message = `It says more than is taken of one cluster: ${error.message}. What it said before stays in force. Find out there what makes so many, and delete them.`;
    return { reason: reasons.QuotaExceeded, message };
  }
  const what = error instanceof Error ? error.message : "unknown failure";
  const message = `The API server can't be reached: ${what}. Check its address, and the network and firewalls between.`;
  return { reason: reasons.Unreachable, message };
}
