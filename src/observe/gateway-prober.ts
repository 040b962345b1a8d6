/**
 * Probes gateways of peers at the port of each policy, so through its tunnel: one check for all services. Where a gateway is
 * silent, Envoys are told so in the endpoints of every service behind it, and go on without us with what they were told last. All together at
 * most twenty probes a second; nothing while there are no gateways.
 *
 *     Desired.probes → setTargets → TCP connections → World.answering
 */
import { probeKey } from "../model/desired.ts";
import type { ProbeTarget } from "../model/desired.ts";
import type { Metrics } from "../model/metrics.ts";
import type { Timing } from "../model/timing.ts";
import type { World } from "../model/world.ts";
import { afterProbe, pauseAfter, unprobed } from "./probe-state.ts";
import type { ProbeState } from "./probe-state.ts";

/** How long a gateway may take to accept a connection. */
const limitMs = 1000;
/** Between the beginnings of any two probes: links cost money. */
const spacingMs = 50;

/** Tries a connection; undefined if that could not be done. Never rejects. */
export type ProbeGateway = (target: ProbeTarget, limitMs: number) => Promise<boolean | undefined>;

export interface GatewayProberOptions {
  readonly timing: Timing;
  readonly metrics: Metrics;
  readonly probe: ProbeGateway;
  /** {@link GatewayProber.answering} is another. */
  readonly changed: () => void;
}

interface Probed {
  target: ProbeTarget;
  state: ProbeState;
  /** When it is next probed; infinite while a probe is under way. */
  dueMs: number;
}

export class GatewayProber {
  readonly #options: GatewayProberOptions;
  #probed = new Map<string, Probed>();
  #targets: readonly ProbeTarget[] = [];
  #answering: World["answering"] = new Map();
  #freeMs = -Infinity;
  #cancel: (() => void) | undefined;

  constructor(options: GatewayProberOptions) {
    this.#options = options;
  }

  /** What is known: the same Map while nothing changes. */
  get answering(): World["answering"] {
    return this.#answering;
  }

  /** Probes these from now on. What was known of others is forgotten. Cheap while they are the same. */
  setTargets(targets: readonly ProbeTarget[]): void {
    if (targets === this.#targets) return;
    this.#targets = targets;
    const before = this.#probed;
    const dueMs = this.#options.timing.now();
    this.#probed = new Map(
      targets.map((target) => {
        const key = probeKey(target);
        const known = before.get(key);
        if (known === undefined) return [key, { target, state: unprobed, dueMs }];
        if (target.isUrgent !== known.target.isUrgent && known.dueMs !== Infinity) known.dueMs = dueMs;
        known.target = target;
        return [key, known];
      }),
    );
    this.#tell();
    this.#schedule();
  }

  stop(): void {
    this.setTargets([]);
  }

  #schedule(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    let next: Probed | undefined;
    for (const probed of this.#probed.values())
      if (next === undefined || probed.dueMs < next.dueMs) next = probed;
    if (next === undefined || next.dueMs === Infinity) return;
    const chosen = next;
    const { timing } = this.#options;
    this.#cancel = timing.after(Math.max(chosen.dueMs, this.#freeMs) - timing.now(), () => {
      this.#freeMs = timing.now() + spacingMs;
      void this.#probe(chosen);
      this.#schedule();
    });
  }

  async #probe(probed: Probed): Promise<void> {
    const { timing, probe, metrics } = this.#options;
    probed.dueMs = Infinity;
    const answer = await probe(probed.target, limitMs);
    const outcome = answer === undefined ? "untried" : answer ? "taken" : "silent";
    metrics.increment("mcwan_gateway_probes_total", { outcome });
    probed.state = afterProbe(probed.state, answer);
    const isUrgent = probed.target.isUrgent ?? false;
    probed.dueMs = timing.now() + pauseAfter(probed.state, { isUrgent, jitter: timing.random() });
    if (this.#probed.get(probeKey(probed.target)) !== probed) return;
    this.#tell();
    this.#schedule();
  }

  #tell(): void {
    const answering = new Map<string, boolean>();
    for (const [key, { state }] of this.#probed)
      if (state.isAnswering !== undefined) answering.set(key, state.isAnswering);
    const before = this.#answering;
    const isSame =
      answering.size === before.size && [...answering].every(([key, answer]) => before.get(key) === answer);
    if (isSame) return;
    this.#answering = answering;
    this.#options.changed();
  }
}
