/**
 * Secrets of peers: which of them name a peer that may be followed, and why the others don't.
 *
 * Pure. A peer's id is the value of the Secret's label, never what the peer says of itself.
 */
import { reasons } from "../api/conditions.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { group, labels, systemNamespace } from "../model/names.ts";
import { byAge } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import { Redacted } from "../model/redacted.ts";
import type { ClusterId } from "../model/world.ts";

/** The key of a Secret's data that holds the kubeconfig. */
const kubeconfigKey = "kubeconfig";

/** A peer that may be followed. */
export interface PeerSecret {
  readonly id: ClusterId;
  /** Name of the Secret in the system's namespace. */
  readonly secret: string;
  readonly uid: string | undefined;
  /** As it stands in the Secret, in base64. */
  readonly kubeconfig: Redacted<string>;
}

/** A Secret that is not used. */
export interface RefusedSecret {
  readonly secret: string;
  readonly problem: Problem;
}

export interface PeerSecrets {
  /** At most one for each id. */
  readonly peers: readonly PeerSecret[];
  readonly refused: readonly RefusedSecret[];
}

/** Whether a text is a DNS label (RFC 1123), as ids of clusters have to be. */
export function isDnsLabel(text: string): boolean {
  return /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text);
}

/** Reads the Secrets, oldest first: of two for one id the older one holds. */
export function readPeerSecrets(secrets: Iterable<KubeObject>, homeId: ClusterId | undefined): PeerSecrets {
  const peers = new Map<ClusterId, PeerSecret>();
  const refused: RefusedSecret[] = [];
  for (const object of [...secrets].sort(byAge)) {
    const secret = object.metadata.name;
    const id = object.metadata.labels?.[labels.peer] ?? "";
    const kubeconfig = kubeconfigOf(object);
    const problem = problemOf({ id, homeId, holder: peers.get(id), kubeconfig });
    if (problem !== undefined) refused.push({ secret, problem });
    else peers.set(id, { id, secret, uid: object.metadata.uid, kubeconfig: new Redacted(kubeconfig ?? "") });
  }
  return { peers: [...peers.values()], refused };
}

function kubeconfigOf(object: KubeObject): string | undefined {
  const data = object["data"];
  if (typeof data !== "object" || data === null) return undefined;
  const value = (data as Readonly<Record<string, unknown>>)[kubeconfigKey];
  return typeof value === "string" && value !== "" ? value : undefined;
}

function problemOf(facts: {
  id: ClusterId;
  homeId: ClusterId | undefined;
  holder: PeerSecret | undefined;
  kubeconfig: string | undefined;
}): Problem | undefined {
  const label = `${group}/peer`;
  if (!isDnsLabel(facts.id)) {
    return {
      reason: reasons.InvalidClusterId,
      message: `The label ${label} is no DNS label. Give the peer's cluster id, such as "east".`,
    };
  }
  if (facts.id === facts.homeId) {
    return {
      reason: reasons.OwnClusterId,
      message: `The label ${label} names this cluster itself. Give the peer's own cluster id.`,
    };
  }
  if (facts.holder !== undefined) {
    return {
      reason: reasons.DuplicateClusterId,
      message: `The older Secret ${systemNamespace}/${facts.holder.secret} stands for the same peer. Delete one of the two.`,
    };
  }
  if (facts.kubeconfig === undefined) {
    return {
      reason: reasons.InvalidKubeconfig,
      message: `The Secret holds no kubeconfig. Put one under the key ${kubeconfigKey}.`,
    };
  }
  return undefined;
}
