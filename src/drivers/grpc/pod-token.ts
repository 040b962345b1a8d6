/**
 * Who calls: the Pod whose projected ServiceAccount token comes with a request. Tokens are checked here, by the API server's
 * public keys, so that an API server which is down locks nobody out.
 *
 *     authorization: Bearer … → signature, issuer, audience, time → namespace, account, Pod
 *
 * Keys are kept, and fetched anew when a token names one that isn't known, at most once in ten seconds. Never logs a token.
 *
 * Source: Kubernetes, "Service account token volume projection" and "Service account issuer discovery".
 */
import { createLocalJWKSet, errors, jwtVerify } from "jose";
import type { JSONWebKeySet, JWTPayload } from "jose";
import { UnavailableError } from "../../model/errors.ts";
import { tokenAudience } from "../../model/names.ts";
import { isRecord } from "../../model/record.ts";

const leastPauseMs = 10_000;
/** A projected token has some 1,200 characters. */
const longestToken = 16_384;
/** Of this machine's clock and the API server's. */
const clockToleranceSeconds = 30;
const algorithms = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"];

/** What the API server signs tokens with. */
export interface TokenKeys {
  readonly issuer: string;
  readonly keys: JSONWebKeySet;
}

/** The Pod that a token is bound to. */
export interface PodIdentity {
  readonly namespace: string;
  /** Name of its ServiceAccount. */
  readonly account: string;
  readonly pod: string;
}

/** Gives the Pod of a token; undefined if the token is not good. Throws UnavailableError while no keys are known. */
export type IdentifyPod = (token: string) => Promise<PodIdentity | undefined>;

/** Checks tokens by keys that are fetched when they are needed. */
export function createIdentifyPod(fetchKeys: () => Promise<TokenKeys>, nowMs: () => number): IdentifyPod {
  let known: { readonly issuer: string; readonly set: ReturnType<typeof createLocalJWKSet> } | undefined;
  let triedMs = -Infinity;
  let fetching: Promise<void> | undefined;
  const refresh = async (): Promise<void> => {
    if (fetching === undefined && nowMs() - triedMs < leastPauseMs && known !== undefined) return;
    fetching ??= fetchKeys()
      .then(({ issuer, keys }) => {
        known = { issuer, set: createLocalJWKSet(keys) };
      })
      .finally(() => {
        triedMs = nowMs();
        fetching = undefined;
      });
    await fetching;
  };
  const verify = async (token: string): Promise<PodIdentity | undefined> => {
    if (known === undefined) throw new UnavailableError("the keys of the API server are not known yet");
    const { payload } = await jwtVerify(token, known.set, {
      audience: tokenAudience,
      issuer: known.issuer,
      algorithms,
      clockTolerance: clockToleranceSeconds,
      requiredClaims: ["exp"],
    });
    return podOf(payload);
  };
  return async (token) => {
    if (token.length > longestToken) return undefined;
    if (known === undefined) await refresh();
    try {
      return await verify(token);
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
      if (!(error instanceof errors.JWKSNoMatchingKey)) return undefined;
    }
    // Signed by a key that is newer than those we have, or by nobody: the keys that are known stay in force if none can be had.
    await refresh().catch(() => undefined);
    try {
      return await verify(token);
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  };
}

/** The Pod that the claims name; undefined for tokens that are bound to none. */
function podOf(payload: JWTPayload): PodIdentity | undefined {
  const claims = payload["kubernetes.io"];
  if (!isRecord(claims)) return undefined;
  const { namespace } = claims;
  const [account, pod] = [nameIn(claims["serviceaccount"]), nameIn(claims["pod"])];
  if (typeof namespace !== "string" || account === undefined || pod === undefined) return undefined;
  // Both say whose it is; the subject is what the API server itself goes by.
  return payload.sub === `system:serviceaccount:${namespace}:${account}`
    ? { namespace, account, pod }
    : undefined;
}

function nameIn(value: unknown): string | undefined {
  const name = isRecord(value) ? value["name"] : undefined;
  return typeof name === "string" && name !== "" ? name : undefined;
}
