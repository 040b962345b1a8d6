/**
 * What peers said before this controller started, from the copies that stand in the home cluster
 * (apply/peer-copies.ts). Read once, before the first World.
 *
 * A copy counts only beside the very Secret of the peer that owns it: who left and came back is another cluster.
 */
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { RefusedError } from "../model/errors.ts";
import { kinds } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import type { Log } from "../model/log.ts";
import { labels, systemNamespace } from "../model/names.ts";
import { peerOfText } from "../model/peer-copy.ts";
import type { RawPeer } from "../model/peer-copy.ts";
import { backOffMs, pause } from "../model/timing.ts";
import type { Timing } from "../model/timing.ts";
import type { KubeReader } from "./kube-reader.ts";
import { readObject } from "./watch-event.ts";

/** A copy is a tenth of this at most; what is larger is none of ours. */
const maxTextBytes = 64 * 1024 * 1024;

/** Copies by the uid of the peer's Secret. */
export type PeerMemory = ReadonlyMap<string, RawPeer>;

/** Reads all copies; tries again until it can, or the signal ends. What can't be understood is left out. */
export async function readPeerMemory(
  reader: KubeReader,
  around: { readonly timing: Timing; readonly log: Log; readonly signal: AbortSignal },
): Promise<PeerMemory> {
  const { timing, log, signal } = around;
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      const page = await reader.list(kinds.Secret, {
        namespace: systemNamespace,
        labels: labels.peerCopy,
        signal,
      });
      const found = await Promise.all(
        page.items.map(async (item) => {
          const secret = readObject(item, kinds.Secret);
          return secret === undefined ? undefined : await memoryOf(secret, log);
        }),
      );
      return new Map(found.filter((entry) => entry !== undefined));
    } catch (error) {
      // An account of before has no right to it.
      if (error instanceof RefusedError && error.status === 403) return new Map();
      if (failures === 0) log.warn("copies of peers can't be read", { error });
      await pause(timing, backOffMs(failures, { firstMs: 200, longestMs: 3000 }, timing.random()), signal);
    }
  }
  return new Map();
}

async function memoryOf(secret: KubeObject, log: Log): Promise<readonly [string, RawPeer] | undefined> {
  const owner = secret.metadata.ownerReferences?.[0]?.uid;
  const data = (secret["data"] as { readonly peer?: unknown } | undefined)?.peer;
  if (owner === undefined || typeof data !== "string") return undefined;
  try {
    const text = await promisify(gunzip)(Buffer.from(data, "base64"), { maxOutputLength: maxTextBytes });
    const peer = peerOfText(text.toString("utf8"));
    if (peer !== undefined) return [owner, peer];
  } catch {
    // Told below.
  }
  log.warn("copy of a peer can't be understood", { secret: secret.metadata.name });
  return undefined;
}
