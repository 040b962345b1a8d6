/**
 * How much of what a peer says is taken: a peer that says too much, or speaks of what is not its to speak of, harms itself only.
 *
 *     what the peer's API server lists ─ hard limits: nothing of the kind is taken up any more, what was heard stays (reflector)
 *     its objects, parsed ─ refused one by one, the first by name are kept, and each refusal is told
 *
 * Pure.
 */
import { reasons } from "../api/conditions.ts";
import { compare } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import { isReserved } from "../model/reserved-services.ts";
import type { PeerKind } from "../model/world.ts";

/** What is kept at all of one kind of one peer. */
export const hardQuota = { objects: 20_000, bytes: 64 * 1024 * 1024 } as const;

/** Objects in a page of a peer's lists. */
export const peerPageSize = 100;

/** What one peer may say. */
export const quota = {
  /** ServiceAdvertisements, or GatewayAdvertisements, of which other data planes than Envoy have one for each service. */
  objects: 5_000,
  policies: 100,
  /** Endpoints of all its headless services together. */
  endpoints: 20_000,
  /** Characters of an object as JSON; 1,000 endpoints are about 120,000. */
  characters: 256 * 1024,
} as const;

/** What is looked at of an object. */
export interface Claimed {
  readonly kind: PeerKind;
  /** `namespace/name` or `name`. */
  readonly key: string;
  /** Length as JSON. */
  readonly characters: number;
  /** Of a headless service. */
  readonly endpoints: number;
}

/** Those of a peer's objects of one kind that are not taken, and why. The order in which they are given does not matter. */
export function refusals(claimed: readonly Claimed[]): ReadonlyMap<string, Problem> {
  const refused = new Map<string, Problem>();
  const limit = claimed[0]?.kind === "WANPolicy" ? quota.policies : quota.objects;
  const endpoints = claimed.reduce((sum, object) => sum + object.endpoints, 0);
  const isOver = claimed.length > limit || endpoints > quota.endpoints;
  const taken = { objects: 0, endpoints: 0 };
  for (const object of isOver ? [...claimed].sort((a, b) => compare(a.key, b.key)) : claimed) {
    const problem = problemOf(object) ?? (isOver ? beyond(object, { taken, limit }) : undefined);
    if (problem !== undefined) refused.set(object.key, problem);
    else {
      taken.objects += 1;
      taken.endpoints += object.endpoints;
    }
  }
  return refused;
}

function problemOf({ kind, key, characters }: Claimed): Problem | undefined {
  const [namespace = "", name = ""] = key.split("/");
  if (kind === "ServiceAdvertisement" && isReserved({ namespace, name }))
    return {
      reason: reasons.ReservedName,
      message:
        "Services of the control plane and of mc-wan are not imported. Export a service of another namespace there.",
    };
  if (characters > quota.characters)
    return {
      reason: reasons.QuotaExceeded,
      message: `It is ${characters} characters long; at most ${quota.characters} are taken. Split the service there.`,
    };
  return undefined;
}

function beyond(
  { endpoints }: Claimed,
  {
    taken,
    limit,
  }: { readonly taken: { readonly objects: number; readonly endpoints: number }; readonly limit: number },
): Problem | undefined {
  if (taken.objects >= limit)
    return {
      reason: reasons.QuotaExceeded,
      message: `Of one cluster at most ${limit} are taken, the first by name. Delete what is not needed there.`,
    };
  if (taken.endpoints + endpoints > quota.endpoints)
    return {
      reason: reasons.QuotaExceeded,
      message: `Of one cluster at most ${quota.endpoints} endpoints of headless services are taken. Export fewer of them there.`,
    };
  return undefined;
}
