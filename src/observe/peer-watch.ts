/**
 * Follows one peer: connects with what its Secret says, and again whenever that changes, at once. What the peer last
 * said stays in force whatever happens to the connection.
 */
import { reasons } from "../api/conditions.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { usualStaleAfterMs as staleAfterMs } from "../model/partition.ts";
import type { RawPeer } from "../model/peer-copy.ts";
import type { Problem } from "../model/problem.ts";
import type { Redacted } from "../model/redacted.ts";
import { peerKinds } from "../model/world.ts";
import type { Peer } from "../model/world.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import type { WatchContext } from "./cluster-watch.ts";
import type { KubeReader } from "./kube-reader.ts";
import { PeerParser } from "./peer-objects.ts";
import { hardQuota, peerPageSize } from "./peer-quota.ts";
import type { PeerSecret } from "./peer-secrets.ts";

/** The objects of a kind that nobody follows: the same Map always. */
const nothing: ReadonlyMap<string, KubeObject> = new Map();

/** Of a peer that was heard before this controller started, and hangs. */
const noAnswerYet: Problem = {
  reason: reasons.Unreachable,
  message: "The API server has not answered since the controller started.",
};

/** Connects to a peer by its kubeconfig (in base64), or says why that is not to be used. */
export type ConnectPeer = (kubeconfig: Redacted<string>) => Promise<KubeReader | readonly Problem[]>;

export interface PeerWatchOptions extends WatchContext {
  readonly connect: ConnectPeer;
  readonly changed: () => void;
  /** What the peer last said to an earlier controller: in force until it is heard, as of a stale peer. */
  readonly remembered?: RawPeer;
}

export class PeerWatch {
  readonly #options: PeerWatchOptions;
  readonly #parser: PeerParser;
  #secret: PeerSecret;
  #watch: ClusterWatch | undefined;
  #refused: Problem | undefined;
  /** Counts credentials: an answer for older ones is thrown away. */
  #round = 0;
  #isStopped = false;
  #cancelStale: (() => void) | undefined;
  #cancelRemembered: (() => void) | undefined;
  #peer: Peer | undefined;
  #staleSinceMs: number | undefined;
  /** The same by the monotonic clock: of when it was heard last. */
  #unheardSinceMs: number | undefined;
  #cancelLimit: (() => void) | undefined;
  /** Until the peer is heard. */
  #remembered: RawPeer | undefined;
  readonly #startedMs: number;

  constructor(secret: PeerSecret, options: PeerWatchOptions) {
    this.#secret = secret;
    this.#options = options;
    this.#remembered = options.remembered;
    this.#startedMs = options.timing.now();
    if (options.remembered !== undefined)
      this.#cancelRemembered = options.timing.after(staleAfterMs + 1, options.changed);
    this.#parser = new PeerParser(({ kind, key, problem, isKept }) => {
      options.log.warn("object of a peer refused", {
        cluster: secret.id,
        kind,
        object: key,
        problem,
        isKept,
      });
    });
    void this.#connect();
  }

  /** Takes up what the Secret says now. */
  update(secret: PeerSecret): void {
    const before = this.#secret.kubeconfig.reveal();
    this.#secret = secret;
    if (secret.kubeconfig.reveal() !== before) void this.#connect();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#round += 1;
    this.#cancelStale?.();
    this.#cancelRemembered?.();
    this.#cancelLimit?.();
    await this.#watch?.stop();
  }

  /**
   * The peer as World shows it: the same object while nothing changes. `limits`: durations at which it may be another for
   * somebody, ascending.
   */
  peer(limits: readonly number[]): Peer {
    if (this.#watch?.isSynced === true) this.#remembered = undefined;
    const remembered = this.#remembered;
    const objects = this.#parser.objects(
      (kind) => remembered?.[kind] ?? this.#watch?.objects(kind) ?? nothing,
    );
    const { refused } = this.#parser;
    const { state, problem } = this.#condition();
    const { id, secret } = this.#secret;
    const unheardForMs = this.#unheardFor(state, limits);
    const before = this.#peer;
    const isSame =
      before?.id === id &&
      before.secret === secret &&
      before.state === state &&
      before.objects === objects &&
      before.refused === refused &&
      before.problem?.message === problem?.message &&
      before.unheardForMs === unheardForMs;
    if (before !== undefined && isSame) return before;
    if (before?.state !== state)
      this.#options.log.info("peer changed its state", { cluster: id, state, problem });
    if (state !== "Stale") this.#staleSinceMs = undefined;
    else this.#staleSinceMs ??= this.#today(this.#watch?.failures[0]?.sinceMs ?? this.#startedMs);
    const since = this.#staleSinceMs === undefined ? {} : { staleSinceMs: this.#staleSinceMs };
    this.#peer = {
      ...{ id, secret, state, objects, refused, ...(problem && { problem }), ...since },
      ...(unheardForMs !== undefined && { unheardForMs }),
    };
    return this.#peer;
  }

  /** The longest of the limits for which a stale peer was not heard; looks again at the next. */
  #unheardFor(state: Peer["state"], limits: readonly number[]): number | undefined {
    this.#cancelLimit?.();
    this.#cancelLimit = undefined;
    if (state !== "Stale") {
      this.#unheardSinceMs = undefined;
      return undefined;
    }
    const { timing, changed } = this.#options;
    const nowMs = timing.now();
    this.#unheardSinceMs ??=
      this.#watch?.failures[0]?.sinceMs ?? (this.#remembered ? this.#startedMs : nowMs);
    const unheardMs = nowMs - this.#unheardSinceMs;
    const next = limits.find((limit) => limit > unheardMs);
    if (next !== undefined && !this.#isStopped)
      this.#cancelLimit = timing.after(next - unheardMs + 1, changed);
    return limits.findLast((limit) => limit <= unheardMs);
  }

  #condition(): { readonly state: Peer["state"]; readonly problem?: Problem } {
    const wasSynced = this.#watch?.isSynced ?? false;
    const isKnown = wasSynced || this.#remembered !== undefined;
    if (this.#refused !== undefined) return { state: isKnown ? "Stale" : "Refused", problem: this.#refused };
    const failure = this.#watch?.failures[0];
    const isLasting = failure !== undefined && this.#options.timing.now() - failure.sinceMs >= staleAfterMs;
    if (!wasSynced && isKnown && this.#options.timing.now() - this.#startedMs >= staleAfterMs)
      return { state: "Stale", problem: failure?.problem ?? noAnswerYet };
    if (!wasSynced) return { state: "Unsynced", ...(isLasting && { problem: failure.problem }) };
    return isLasting ? { state: "Stale", problem: failure.problem } : { state: "Synced" };
  }

  /** A moment of the clock as a time of day; now, if there is none. */
  #today(momentMs: number | undefined): number {
    const { timing } = this.#options;
    return Math.round(timing.today() - (momentMs === undefined ? 0 : timing.now() - momentMs));
  }

  async #connect(): Promise<void> {
    const round = ++this.#round;
    const { log, changed } = this.#options;
    const { id } = this.#secret;
    const result = await this.#options.connect(this.#secret.kubeconfig).catch((error: unknown) => {
      log.error("kubeconfig of a peer can't be read", { cluster: id, error });
      return [{ reason: reasons.InvalidKubeconfig, message: "The kubeconfig can't be read." }];
    });
    const isOutdated = round !== this.#round || this.#isStopped;
    if (isOutdated) {
      if ("close" in result) await result.close();
      return;
    }
    if (!("close" in result)) {
      this.#refused = {
        reason: reasons.InvalidKubeconfig,
        message: result.map(({ message }) => message).join(" "),
      };
      log.warn("kubeconfig of a peer refused", { cluster: id, problems: result });
      changed();
      return;
    }
    this.#refused = undefined;
    this.#follow(result);
  }

  #follow(reader: KubeReader): void {
    const before = this.#watch;
    this.#watch = new ClusterWatch({
      ...this.#options,
      cluster: this.#secret.id,
      reader,
      kinds: peerKinds.map((name) => ({ name, selection: {}, pageSize: peerPageSize, quota: hardQuota })),
      changed: () => {
        this.#changed();
      },
    });
    this.#watch.start(before);
    void before?.stop();
    this.#options.changed();
  }

  /** A failure becomes news only when it lasts: looks again then. */
  #changed(): void {
    this.#cancelStale?.();
    this.#cancelStale = undefined;
    const { timing, changed } = this.#options;
    const failure = this.#watch?.failures[0];
    if (failure !== undefined) {
      const restMs = failure.sinceMs + staleAfterMs - timing.now();
      if (restMs > 0) this.#cancelStale = timing.after(restMs + 1, changed);
    }
    changed();
  }
}
