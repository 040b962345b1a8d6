/**
 * Leader election by a Lease: of the controllers of one cluster, one writes.
 *
 * Leadership ends by itself: {@link Lease.isHeld} is asked before each write, and is false as soon as the last renewal
 * is older than the deadline, which is well before anybody else may take the Lease.
 */
import { RefusedError, UnavailableError } from "../model/errors.ts";
import type { KindInfo } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import type { Log } from "../model/log.ts";
import { labels, systemNamespace } from "../model/names.ts";
import { pause } from "../model/timing.ts";
import type { Timing } from "../model/timing.ts";
import type { KubeWriter } from "./kube-writer.ts";
import { lookAtLease } from "./lease-step.ts";
import type { LeaseAction, LeaseSeen, LeaseView } from "./lease-step.ts";

/** Leases, as the API has them. */
export const leaseKind: KindInfo = {
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  plural: "leases",
  namespaced: true,
};

/** The Lease of the controllers of a cluster. */
export const leaseName = "mc-wan-controller";

export interface LeaseTimes {
  /** After how long without a renewal others may take it. */
  readonly durationMs: number;
  /** After how long without a renewal we stop to write. */
  readonly deadlineMs: number;
  /** Between two looks. */
  readonly retryMs: number;
}

const usualTimes: LeaseTimes = { durationMs: 15_000, deadlineMs: 10_000, retryMs: 2000 };

export interface LeaseOptions {
  readonly writer: KubeWriter;
  /** `<pod name>_<pod IP>`: followers find the holder by it. */
  readonly identity: string;
  readonly timing: Timing;
  readonly log: Log;
  readonly times?: LeaseTimes;
  readonly namespace?: string;
  /** Called when we begin or cease to hold it. */
  readonly changed: (isHeld: boolean) => void;
  /** Called with the identity of whoever holds it, ourselves included, when that changes; undefined if nobody does. */
  readonly holderChanged?: (identity: string | undefined) => void;
}

export class Lease {
  readonly #options: LeaseOptions;
  readonly #times: LeaseTimes;
  readonly #stopped = new AbortController();
  #seen: LeaseSeen | undefined;
  /** When the last successful renewal was sent. */
  #renewedMs: number | undefined;
  #wasHeld = false;
  #holder: string | undefined;
  #cancelDeadline: (() => void) | undefined;
  #loop: Promise<void> | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#times = options.times ?? usualTimes;
  }

  /** Begins to try for the Lease, and to renew it. */
  start(): void {
    this.#loop = this.#run();
  }

  /** Whether we may write at this very moment. */
  isHeld(): boolean {
    return (
      this.#renewedMs !== undefined && this.#options.timing.now() - this.#renewedMs < this.#times.deadlineMs
    );
  }

  /** Ends; gives the Lease up if we hold it, so that another takes it at once. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
    const wasHeld = this.isHeld();
    this.#cancelDeadline?.();
    this.#renewedMs = undefined;
    this.#tell();
    if (!wasHeld) return;
    try {
      const lease = await this.#get();
      if (lease !== undefined && viewOf(lease).holder === this.#options.identity)
        await this.#replace(lease, "");
    } catch (error) {
      this.#options.log.warn("lease was not given up", { error });
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.#look();
        failures = 0;
      } catch (error) {
        if (failures === 0 && !isRace(error))
          this.#options.log.warn("lease can't be read or written", { error });
        failures += 1;
      }
      this.#tell();
      const jitter = 1 + this.#options.timing.random() * 0.2;
      await pause(this.#options.timing, this.#times.retryMs * jitter, signal);
    }
  }

  async #look(): Promise<void> {
    const lease = await this.#get();
    const nowMs = this.#options.timing.now();
    const view = lease === undefined ? undefined : viewOf(lease);
    const { action, seen } = lookAtLease(view, this.#seen, { identity: this.#options.identity, nowMs });
    this.#seen = seen;
    if (action === "Wait") {
      this.#renewedMs = undefined;
      this.#tellHolder(view?.holder);
      return;
    }
    await this.#take(action, lease);
    // Counted from before the request: others count from when they saw it.
    this.#renewedMs = nowMs;
    this.#tellHolder(this.#options.identity);
  }

  #tellHolder(holder: string | undefined): void {
    if (holder === this.#holder) return;
    this.#holder = holder;
    this.#options.holderChanged?.(holder);
  }

  async #take(action: Exclude<LeaseAction, "Wait">, lease: KubeObject | undefined): Promise<void> {
    const { writer, identity } = this.#options;
    if (action !== "Create" && lease !== undefined) {
      await this.#replace(lease, identity);
      return;
    }
    await writer.create(leaseKind, {
      apiVersion: leaseKind.apiVersion,
      kind: leaseKind.kind,
      metadata: {
        name: leaseName,
        namespace: this.#namespace,
        labels: { [labels.managedBy]: labels.managedByValue },
      },
      spec: this.#spec(identity, undefined),
    });
  }

  async #replace(lease: KubeObject, holder: string): Promise<void> {
    await this.#options.writer.replace(leaseKind, { ...lease, spec: this.#spec(holder, lease) });
  }

  #spec(holder: string, before: KubeObject | undefined): Record<string, unknown> {
    const now = new Date(this.#options.timing.today()).toISOString().replace("Z", "000Z");
    const held = (before?.["spec"] ?? {}) as Readonly<Record<string, unknown>>;
    const isMine = held["holderIdentity"] === holder;
    const transitions = Number(held["leaseTransitions"] ?? 0);
    return {
      holderIdentity: holder,
      leaseDurationSeconds: holder === "" ? 1 : Math.ceil(this.#times.durationMs / 1000),
      acquireTime: isMine ? held["acquireTime"] : now,
      renewTime: now,
      leaseTransitions: isMine || holder === "" ? transitions : transitions + 1,
    };
  }

  async #get(): Promise<KubeObject | undefined> {
    return await this.#options.writer.get(leaseKind, { namespace: this.#namespace, name: leaseName });
  }

  get #namespace(): string {
    return this.#options.namespace ?? systemNamespace;
  }

  /** Tells when it changed; and again when the deadline passes, if nothing renews it before. */
  #tell(): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = undefined;
    const isHeld = this.isHeld();
    if (isHeld && this.#renewedMs !== undefined) {
      const restMs = this.#renewedMs + this.#times.deadlineMs - this.#options.timing.now();
      this.#cancelDeadline = this.#options.timing.after(restMs + 1, () => {
        this.#tell();
      });
    }
    if (isHeld === this.#wasHeld) return;
    this.#wasHeld = isHeld;
    this.#options.log.info(isHeld ? "became the leader" : "is no longer the leader");
    this.#options.changed(isHeld);
  }
}

/** Another was quicker: no failure. */
function isRace(error: unknown): boolean {
  return (error instanceof UnavailableError || error instanceof RefusedError) && error.status === 409;
}

function viewOf(lease: KubeObject): LeaseView {
  const spec = (lease["spec"] ?? {}) as Readonly<Record<string, unknown>>;
  const { holderIdentity, leaseDurationSeconds } = spec;
  return {
    holder: typeof holderIdentity === "string" ? holderIdentity : "",
    resourceVersion: lease.metadata.resourceVersion ?? "",
    durationMs:
      typeof leaseDurationSeconds === "number" ? leaseDurationSeconds * 1000 : usualTimes.durationMs,
  };
}
