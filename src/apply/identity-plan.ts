/**
 * What is to be done about the cluster's authority and the certificates that it signs, at one moment. Pure.
 *
 *     none → current → current + next → (next is) current + previous → current
 *                        told to peers    everything signed anew
 *
 * Nobody is ever shown a certificate of an authority that the others don't trust yet, and none loses trust while certificates
 * of it are shown.
 */
import { X509Certificate } from "node:crypto";
import { authorityOf, phaseSinceMs } from "../model/identity.ts";
import type { Authority, IdentitySecret, WantedIdentity } from "../model/identity.ts";
import { annotations, authoritySecret, labels, systemNamespace } from "../model/names.ts";
import type { Store } from "../model/world.ts";

/** Times of authorities and certificates, in milliseconds. */
export interface IdentityTimes {
  /** How long a gateway's certificate holds; it is replaced at half of that. */
  readonly certificateMs: number;
  /** How long an authority holds; it is replaced when a third is left. */
  readonly authorityMs: number;
  /** Least time in which new authorities reach everybody: peers, and Pods, whose files follow a ConfigMap slowly. */
  readonly spreadMs: number;
  /** For so long a peer that doesn't say that it trusts the next authority is waited for. */
  readonly patienceMs: number;
}

const hourMs = 3_600_000;

/** As documented. */
export const usualIdentityTimes: IdentityTimes = {
  certificateMs: 24 * hourMs,
  authorityMs: 365 * 24 * hourMs,
  spreadMs: 180_000,
  patienceMs: 24 * hourMs,
};

export type IdentityAction =
  | { readonly verb: "CreateAuthority" }
  /** Tells of the authority that will sign. */
  | { readonly verb: "AnnounceNext"; readonly secret: IdentitySecret }
  /** From now on the next one signs. */
  | { readonly verb: "SwitchAuthority"; readonly secret: IdentitySecret }
  /** Nothing is signed by the one before any more. */
  | { readonly verb: "RetirePrevious"; readonly secret: IdentitySecret }
  | {
      readonly verb: "Issue";
      readonly wanted: WantedIdentity;
      /** What stands. */
      readonly secret: IdentitySecret | undefined;
    }
  | { readonly verb: "Remove"; readonly secret: IdentitySecret };

export interface IdentityPlanInput {
  readonly secrets: Store<IdentitySecret>;
  readonly wanted: readonly WantedIdentity[];
  /** Every peer says that it trusts all of our authorities. */
  readonly isTrustedByAll: boolean;
  readonly times: IdentityTimes;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

export interface IdentityPlan {
  readonly actions: readonly IdentityAction[];
  /** When there may be something to do though nothing has changed; Infinity: never. */
  readonly dueMs: number;
}

/** What is to be done now, and when to look again. */
export function planIdentities(input: IdentityPlanInput): IdentityPlan {
  const { secrets, wanted, nowMs } = input;
  const standing = [...secrets.values()].filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  if (wanted.length === 0)
    return { actions: standing.map((secret) => ({ verb: "Remove", secret })), dueMs: Infinity };
  const authority = authorityOf(secrets);
  const ofAuthority = secrets.get(`${systemNamespace}/${authoritySecret}`);
  if (authority === undefined || ofAuthority === undefined)
    return { actions: [{ verb: "CreateAuthority" }], dueMs: Infinity };
  const byFleet = new Map(
    standing
      .filter(({ metadata }) => metadata.name !== authoritySecret)
      .map((secret) => [secret.metadata.labels?.[labels.identity] ?? "", secret]),
  );
  const actions: IdentityAction[] = [];
  const dues: number[] = [];
  for (const one of wanted) {
    const secret = byFleet.get(one.fleet);
    byFleet.delete(one.fleet);
    const renewMs = renewalOf(secret, one, authority);
    if (nowMs >= renewMs) actions.push({ verb: "Issue", wanted: one, secret });
    else dues.push(renewMs);
  }
  for (const secret of byFleet.values()) actions.push({ verb: "Remove", secret });
  const isAllSigned = actions.every(({ verb }) => verb !== "Issue");
  const next = authorityStep(input, { authority, secret: ofAuthority, isAllSigned });
  if (next.verb !== undefined) actions.push({ verb: next.verb, secret: ofAuthority });
  return { actions, dueMs: Math.min(next.dueMs, ...dues) };
}

/** Steps in the replacement of an authority. */
export type AuthorityVerb = "AnnounceNext" | "SwitchAuthority" | "RetirePrevious";

function authorityStep(
  { isTrustedByAll, times, nowMs }: IdentityPlanInput,
  facts: { readonly authority: Authority; readonly secret: IdentitySecret; readonly isAllSigned: boolean },
): { readonly verb?: AuthorityVerb; readonly dueMs: number } {
  const { authority, secret, isAllSigned } = facts;
  // A time of day that was set back must not make it wait for ever.
  const sinceMs = Math.min(phaseSinceMs(secret) ?? nowMs - times.spreadMs, nowMs);
  const spreadMs = sinceMs + times.spreadMs;
  if (authority.next !== undefined) {
    const patienceMs = sinceMs + times.patienceMs;
    const isReady = nowMs >= spreadMs && (isTrustedByAll || nowMs >= patienceMs);
    if (isReady) return { verb: "SwitchAuthority", dueMs: Infinity };
    return { dueMs: nowMs >= spreadMs ? patienceMs : spreadMs };
  }
  if (authority.previous !== undefined) {
    if (nowMs < spreadMs) return { dueMs: spreadMs };
    return isAllSigned ? { verb: "RetirePrevious", dueMs: Infinity } : { dueMs: Infinity };
  }
  const renewMs = validityOf(authority.current, 2 / 3);
  const isAsked = secret.metadata.annotations?.[annotations.rotateAuthority] !== undefined;
  return isAsked || nowMs >= renewMs ? { verb: "AnnounceNext", dueMs: Infinity } : { dueMs: renewMs };
}

/** When what stands is to be replaced; long ago, if it isn't what is wanted. */
function renewalOf(
  secret: IdentitySecret | undefined,
  wanted: WantedIdentity,
  { current }: Authority,
): number {
  if (secret?.certificate === undefined || secret.key === undefined) return -Infinity;
  const seen = lookAt(secret, current);
  return seen.names === namesOf(wanted) ? seen.renewMs : -Infinity;
}

interface Seen {
  readonly authority: string;
  readonly names: string;
  readonly renewMs: number;
}

/** A signature is checked once for each Secret: reading it takes longer than all else here. */
const looked = new WeakMap<IdentitySecret, Seen>();

function lookAt(secret: IdentitySecret, authority: string): Seen {
  const known = looked.get(secret);
  if (known?.authority === authority) return known;
  const seen = { authority, ...read(secret, authority) };
  looked.set(secret, seen);
  return seen;
}

function read({ certificate = "" }: IdentitySecret, authority: string): Omit<Seen, "authority"> {
  try {
    const leaf = new X509Certificate(certificate);
    const isSigned = leaf.verify(new X509Certificate(authority).publicKey);
    return {
      names: leaf.subjectAltName ?? "",
      renewMs: isSigned ? validityOf(certificate, 1 / 2) : -Infinity,
    };
  } catch {
    return { names: "", renewMs: -Infinity };
  }
}

/** As Node prints the names of a certificate. */
function namesOf({ spiffeId, dnsNames = [] }: WantedIdentity): string {
  return [
    ...(spiffeId === undefined ? [] : [`URI:${spiffeId}`]),
    ...dnsNames.map((name) => `DNS:${name}`),
  ].join(", ");
}

/** The moment at which a part of a certificate's time is over; long ago if it can't be read. */
function validityOf(certificate: string, part: number): number {
  try {
    const { validFromDate, validToDate } = new X509Certificate(certificate);
    return validFromDate.getTime() + (validToDate.getTime() - validFromDate.getTime()) * part;
  } catch {
    return -Infinity;
  }
}
