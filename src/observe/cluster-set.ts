/**
 * The peers of the cluster set: one {@link PeerWatch} for each good Secret, begun, ended and moved to new credentials as
 * the Secrets change.
 */
import type { KubeObject } from "../model/kube-object.ts";
import { compare } from "../model/order.ts";
import type { ClusterId, Peer } from "../model/world.ts";
import { readPeerSecrets } from "./peer-secrets.ts";
import type { PeerMemory } from "./peer-memory.ts";
import type { PeerSecret, RefusedSecret } from "./peer-secrets.ts";
import { PeerWatch } from "./peer-watch.ts";
import type { PeerWatchOptions } from "./peer-watch.ts";

const peerStates = ["Synced", "Stale", "Unsynced", "Refused"] as const;

export class ClusterSet {
  readonly #options: PeerWatchOptions;
  readonly #watches = new Map<ClusterId, PeerWatch>();
  #secrets: ReadonlyMap<string, KubeObject> | undefined;
  #homeId: ClusterId | undefined;
  #refused: readonly RefusedSecret[] = [];
  #peers: readonly Peer[] = [];
  #memory: PeerMemory = new Map();

  constructor(options: PeerWatchOptions) {
    this.#options = options;
  }

  /** What peers said before this controller started; given before the first {@link update}. */
  remember(memory: PeerMemory): void {
    this.#memory = memory;
  }

  /** Takes up the Secrets as they are now. Cheap while they don't change. */
  update(secrets: ReadonlyMap<string, KubeObject>, homeId: ClusterId | undefined): void {
    if (secrets === this.#secrets && homeId === this.#homeId) return;
    this.#secrets = secrets;
    this.#homeId = homeId;
    const { peers, refused } = readPeerSecrets(secrets.values(), homeId);
    this.#tellRefused(refused);
    const wanted = new Set(peers.map(({ id }) => id));
    for (const [id, watch] of this.#watches) {
      if (wanted.has(id)) continue;
      this.#watches.delete(id);
      this.#options.log.info("peer left", { cluster: id });
      void watch.stop();
    }
    for (const peer of peers) {
      const watch = this.#watches.get(peer.id);
      if (watch === undefined) this.#watches.set(peer.id, new PeerWatch(peer, this.#optionsFor(peer)));
      else watch.update(peer);
    }
  }

  /** The peers, sorted by id: the same array while nothing changes. `limits`: see {@link PeerWatch.peer}. */
  peers(limits: readonly number[]): readonly Peer[] {
    const next = [...this.#watches.values()]
      .map((watch) => watch.peer(limits))
      .sort((a, b) => compare(a.id, b.id));
    const isSame =
      next.length === this.#peers.length && next.every((peer, index) => peer === this.#peers[index]);
    if (isSame) return this.#peers;
    this.#peers = next;
    for (const state of peerStates) {
      const count = next.filter((peer) => peer.state === state).length;
      this.#options.metrics.set("mcwan_peers", { state }, count);
    }
    return next;
  }

  /** Secrets that stand for no peer, and why. */
  get refused(): readonly RefusedSecret[] {
    return this.#refused;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#watches.values()].map((watch) => watch.stop()));
  }

  #optionsFor({ uid }: PeerSecret): PeerWatchOptions {
    const remembered = uid === undefined ? undefined : this.#memory.get(uid);
    return { ...this.#options, ...(remembered && { remembered }) };
  }

  #tellRefused(refused: readonly RefusedSecret[]): void {
    const known = new Set(this.#refused.map(({ secret, problem }) => `${secret} ${problem.message}`));
    this.#refused = refused;
    for (const { secret, problem } of refused) {
      if (known.has(`${secret} ${problem.message}`)) continue;
      this.#options.log.warn("secret of a peer refused", { secret, problem });
    }
  }
}
