/**
 * Events at peers' Secrets that can't be used: Secrets have no conditions, and whoever made one looks there. Never says
 * anything of what is in a Secret.
 */
import { keyOf } from "../model/kube-object.ts";
import { kinds } from "../model/kinds.ts";
import type { Log } from "../model/log.ts";
import { systemNamespace } from "../model/names.ts";
import { firstOf, type Problem } from "../model/problem.ts";
import type { Timing } from "../model/timing.ts";
import type { Peer } from "../model/world.ts";
import { eventKind, eventObject, EventLimit } from "./events.ts";
import type { KubeWriter } from "./kube-writer.ts";

/** What is wrong with a peer's Secret, or with what it leads to. */
export interface PeerProblem {
  /** Name of the Secret in the system's namespace. */
  readonly secret: string;
  readonly problem: Problem;
}

export interface PeerEventsOptions {
  readonly writer: Pick<KubeWriter, "get" | "create">;
  readonly timing: Timing;
  readonly log: Log;
  /** Whether this replica may write, at this very moment. */
  readonly mayWrite: () => boolean;
  /** Name of this replica. */
  readonly instance: string;
}

/** All that is wrong, once for each Secret: of those that stand for no peer, of peers that can't be read, and of what they say. */
export function peerProblems(refused: readonly PeerProblem[], peers: readonly Peer[]): PeerProblem[] {
  const unread = peers.flatMap((peer) => {
    const problem = peer.problem ?? notTaken(peer);
    return problem === undefined ? [] : [{ secret: peer.secret, problem }];
  });
  return [...refused, ...unread];
}

/** Of what a peer says and is not taken: the first objects, each with the reason. */
function notTaken({ refused }: Peer): Problem | undefined {
  const [first] = refused;
  if (first === undefined) return undefined;
  const named = refused.map(
    ({ kind, key, problem }) => `${kind} ${key} (${problem.reason}: ${problem.message.slice(0, 120)})`,
  );
  return {
    reason: first.problem.reason,
    message: `Not everything that this peer says is taken: ${firstOf(named, { between: "; " })}.`,
  };
}

/** Tells each problem once, while this replica leads; again when it comes back after it was gone. */
export class PeerEvents {
  readonly #options: PeerEventsOptions;
  readonly #limit = new EventLimit();
  /** Reason and message told last, by Secret. */
  #told = new Map<string, string>();

  constructor(options: PeerEventsOptions) {
    this.#options = options;
  }

  /** Takes all that is wrong now. Cheap while nothing changes. */
  tell(problems: readonly PeerProblem[]): void {
    if (!this.#options.mayWrite()) return;
    const told = new Map<string, string>();
    for (const { secret, problem } of problems) {
      const text = `${problem.reason} ${problem.message}`;
      told.set(secret, text);
      if (this.#told.get(secret) !== text) void this.#write(secret, problem);
    }
    this.#told = told;
  }

  /** An Event that can't be written is not missed: the condition of WANPolicies and the log say the same. */
  async #write(secret: string, problem: Problem): Promise<void> {
    const { writer, timing, log, instance } = this.#options;
    const ref = { namespace: systemNamespace, name: secret };
    try {
      const found = await writer.get(kinds.Secret, ref);
      if (found === undefined) return;
      const object = { apiVersion: "v1", kind: "Secret", metadata: found.metadata };
      const note = { type: "Warning", ...problem } as const;
      if (!this.#limit.allows(object, note, timing.now())) return;
      const nowIso = new Date(timing.today()).toISOString();
      await writer.create(eventKind, eventObject(object, note, { nowIso, instance }));
    } catch (error) {
      log.debug("event was not written", { object: keyOf(ref), error });
    }
  }
}
