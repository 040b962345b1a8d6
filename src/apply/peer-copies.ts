/**
 * Keeps a copy of what each peer last said in the home cluster, for controllers that start while the peer can't be heard
 * (observe/peer-memory.ts reads it): one Secret a peer, owned by the peer's own, so that both end together.
 *
 *     World.peers → due → gzip → Secret
 *
 * Only what was heard just now is copied. Written at most every half minute, sooner where something was withdrawn: what a
 * peer has unexported should not be served again. Only the Lease holder writes, and only what differs.
 */
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { kinds } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import type { Log } from "../model/log.ts";
import { annotations, labels, peerCopyName, systemNamespace } from "../model/names.ts";
import { peerText } from "../model/peer-copy.ts";
import type { Timing } from "../model/timing.ts";
import type { ClusterId, Peer } from "../model/world.ts";
import type { KubeWriter } from "./kube-writer.ts";

const usualMs = 30_000;
const withdrawnMs = 1_000;
/** A Secret holds 1 MiB in all. */
const maxBytes = 900_000;

export interface PeerCopiesOptions {
  readonly writer: Pick<KubeWriter, "get" | "create" | "replace">;
  readonly timing: Timing;
  readonly log: Log;
  /** Whether this replica may write, at this very moment. */
  readonly mayWrite: () => boolean;
  /** Between two writes of one peer, in milliseconds. */
  readonly pauseMs?: number;
}

interface Followed {
  peer: Peer;
  dueMs: number;
  cancel: (() => void) | undefined;
}

export class PeerCopies {
  readonly #options: PeerCopiesOptions;
  readonly #followed = new Map<ClusterId, Followed>();
  #peers: readonly Peer[] | undefined;

  constructor(options: PeerCopiesOptions) {
    this.#options = options;
  }

  /** Takes the peers as they are now. Cheap while nothing changes. */
  update(peers: readonly Peer[]): void {
    if (peers === this.#peers) return;
    this.#peers = peers;
    const ids = new Set(peers.map(({ id }) => id));
    for (const [id, { cancel }] of this.#followed) {
      if (ids.has(id)) continue;
      cancel?.();
      this.#followed.delete(id);
    }
    for (const peer of peers) if (peer.state === "Synced") this.#take(peer);
  }

  stop(): void {
    for (const { cancel } of this.#followed.values()) cancel?.();
    this.#followed.clear();
  }

  #take(peer: Peer): void {
    const known = this.#followed.get(peer.id);
    if (known?.peer.objects === peer.objects) return;
    const pauseMs = this.#options.pauseMs ?? usualMs;
    const isWithdrawn = known !== undefined && hasWithdrawn(known.peer, peer);
    const nowMs = this.#options.timing.now();
    const delayMs = isWithdrawn ? Math.min(withdrawnMs, pauseMs) : pauseMs;
    const next = known ?? { peer, dueMs: Infinity, cancel: undefined };
    next.peer = peer;
    this.#followed.set(peer.id, next);
    this.#schedule(next, Math.min(next.dueMs, nowMs + delayMs));
  }

  #schedule(followed: Followed, dueMs: number): void {
    const { timing } = this.#options;
    followed.cancel?.();
    followed.dueMs = dueMs;
    followed.cancel = timing.after(Math.max(0, dueMs - timing.now()), () => {
      followed.dueMs = Infinity;
      followed.cancel = undefined;
      void this.#write(followed);
    });
  }

  /** What can't be written now is tried again: nothing else depends on it. */
  async #write(followed: Followed): Promise<void> {
    const { log, timing, mayWrite, pauseMs = usualMs } = this.#options;
    const { peer } = followed;
    try {
      if (mayWrite() && (await this.#copy(peer))) return;
    } catch (error) {
      log.warn("copy of a peer was not written", { cluster: peer.id, error });
    }
    const isFollowed = this.#followed.get(peer.id) === followed;
    if (isFollowed && followed.cancel === undefined) this.#schedule(followed, timing.now() + pauseMs);
  }

  async #copy(peer: Peer): Promise<boolean> {
    const { writer, log, mayWrite } = this.#options;
    const text = peerText(peer.objects);
    const hash = createHash("sha256").update(text).digest("hex");
    const ref = { namespace: systemNamespace, name: peerCopyName(peer.id) };
    const [standing, secret] = await Promise.all([
      writer.get(kinds.Secret, ref),
      writer.get(kinds.Secret, { namespace: systemNamespace, name: peer.secret }),
    ]);
    const uid = secret?.metadata.uid;
    // The peer is about to leave.
    if (uid === undefined) return true;
    const isOurs = standing?.metadata.labels?.[labels.peerCopy] !== undefined;
    if (standing !== undefined && !isOurs) {
      log.warn("a Secret that is not ours has the name of a peer's copy", { cluster: peer.id, ...ref });
      return true;
    }
    if (standing?.metadata.annotations?.[annotations.contentHash] === hash && isOwnedBy(standing, uid))
      return true;
    const bytes = await promisify(gzip)(text);
    if (bytes.length > maxBytes) {
      log.warn("what a peer says is too large for a copy", { cluster: peer.id, bytes: bytes.length });
      return true;
    }
    const copy = copyOf(peer, { uid, hash, bytes });
    if (!mayWrite()) return false;
    if (standing === undefined) await writer.create(kinds.Secret, copy);
    else {
      const { resourceVersion } = standing.metadata;
      await writer.replace(kinds.Secret, {
        ...copy,
        metadata: { ...copy.metadata, ...(resourceVersion !== undefined && { resourceVersion }) },
      });
    }
    return true;
  }
}

function copyOf(
  peer: Peer,
  content: { readonly uid: string; readonly hash: string; readonly bytes: Buffer },
): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: peerCopyName(peer.id),
      namespace: systemNamespace,
      labels: { [labels.managedBy]: labels.managedByValue, [labels.peerCopy]: peer.id },
      annotations: { [annotations.contentHash]: content.hash },
      ownerReferences: [{ apiVersion: "v1", kind: "Secret", name: peer.secret, uid: content.uid }],
    },
    type: "Opaque",
    data: { peer: content.bytes.toString("base64") },
  };
}

const isOwnedBy = ({ metadata }: KubeObject, uid: string): boolean =>
  metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false;

/** Whether an export or a gateway pool is gone. */
function hasWithdrawn(before: Peer, after: Peer): boolean {
  return (["ServiceAdvertisement", "GatewayAdvertisement"] as const).some((kind) => {
    const next = after.objects[kind];
    return before.objects[kind] !== next && before.objects[kind].keys().some((key) => !next.has(key));
  });
}
