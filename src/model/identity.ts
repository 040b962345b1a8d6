/**
 * Who the gateways of a cluster are: their certificates (X.509-SVIDs), the authorities that vouch for them, and what is kept
 * of the Secrets that hold both. Never keeps the key of an authority: only the one who issues reads it.
 *
 *     Secrets in mc-wan-system → IdentitySecret → ClusterIdentity → SDS, advertisement
 *
 * Source: SPIFFE, "X.509-SVID" and "SPIFFE trust domain and bundle".
 */
import type { KubeObject, ObjectMeta } from "./kube-object.ts";
import { annotations, authoritySecret, controllerIdentity, labels, systemNamespace } from "./names.ts";
import { isRecord } from "./record.ts";
import { Redacted } from "./redacted.ts";

/** A certificate with its key, as PEM. */
export interface KeyPairPem {
  readonly certificatePem: string;
  readonly keyPem: Redacted<string>;
}

/** The identities of the home cluster. */
export interface ClusterIdentity {
  /** `<cluster id>.<--trust-domain>`. */
  readonly trustDomain: string;
  /** PEM of the authorities that vouch for its gateways: the current one, then the next or the one before while it is replaced. */
  readonly bundle: string;
  /** What the Envoys of each fleet show. */
  readonly gateways: ReadonlyMap<string, KeyPairPem>;
}

/** What the controller shows to Envoys, and what they check it by. */
export interface ControllerIdentity extends KeyPairPem {
  readonly bundle: string;
}

/** An authority whose word is taken: of the home cluster, or of a peer. */
export interface TrustedAuthority {
  readonly cluster: string;
  readonly trustDomain: string;
  /** PEM. */
  readonly bundle: string;
}

/** A certificate that shall exist. */
export interface WantedIdentity {
  /** The fleet whose Envoys show it, or {@link controllerIdentity}. */
  readonly fleet: string;
  /** Of gateways. */
  readonly spiffeId?: string;
  /** Of the controller. */
  readonly dnsNames?: readonly string[];
}

/** The trust domain of a cluster, by the setting of all: one of its own, so that no cluster's authority can vouch for another's gateways. */
export const trustDomainOf = (cluster: string, { trustDomain }: { readonly trustDomain: string }): string =>
  `${cluster}.${trustDomain}`;

/** The SPIFFE id of a gateway; `gateway` is `ingress`, `egress` or `<namespace>/<name>`. */
export const spiffeIdOf = (trustDomain: string, cluster: string, gateway: string): string =>
  `spiffe://${trustDomain}/cluster/${cluster}/gateway/${gateway}`;

/** A Secret of ours: that of the authority, or of one identity. */
export type IdentitySecret = Readonly<{
  readonly apiVersion: string;
  readonly kind: string;
  /** With version, label and annotations. */
  readonly metadata: ObjectMeta;
  /** Of the authority: its certificates. */
  readonly authority?: Authority;
  /** Of an identity: PEM, leaf first. */
  readonly certificate?: string;
  readonly key?: Redacted<string>;
}>;

/** The certificates of an authority, as PEM. */
export interface Authority {
  /** Signs. */
  readonly current: string;
  /** Will sign: peers are told of it first. */
  readonly next?: string;
  /** Signed before: still trusted for a while. */
  readonly previous?: string;
}

/** Keys of the authority's Secret. */
export const authorityKeys = {
  current: { certificate: "current.crt", key: "current.key" },
  next: { certificate: "next.crt", key: "next.key" },
  previous: { certificate: "previous.crt" },
} as const;

/** Keeps what is looked at of such a Secret. */
export function identitySecretOf({ apiVersion, kind, metadata, ...rest }: KubeObject): IdentitySecret {
  const { name, namespace, uid, resourceVersion, deletionTimestamp } = metadata;
  const kept = {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
      ...(metadata.labels && { labels: metadata.labels }),
      ...(metadata.annotations && { annotations: metadata.annotations }),
    },
  };
  const { data } = rest;
  if (name === authoritySecret) {
    const current = decoded(data, authorityKeys.current.certificate);
    const next = decoded(data, authorityKeys.next.certificate);
    const previous = decoded(data, authorityKeys.previous.certificate);
    if (current === undefined) return kept;
    const authority = { current, ...(next && { next }), ...(previous && { previous }) };
    return { ...kept, authority };
  }
  const certificate = decoded(data, "tls.crt");
  const key = decoded(data, "tls.key");
  return {
    ...kept,
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key: new Redacted(key) }),
  };
}

/** Name of the Secret of an identity. */
export const identitySecretName = (fleet: string): string => `mc-wan-identity-${fleet}`;

/** The Secret of the authority, if it stands and is whole. */
export function authorityOf(secrets: ReadonlyMap<string, IdentitySecret>): Authority | undefined {
  return secrets.get(`${systemNamespace}/${authoritySecret}`)?.authority;
}

/** PEM of all authorities that vouch: current first. */
function bundleOf({ current, next, previous }: Authority): string {
  return [current, next, previous]
    .filter((pem) => pem !== undefined)
    .map(withNewline)
    .join("");
}

/** The identity of the home cluster; undefined while its id or its authority is not there. */
export function clusterIdentity(
  secrets: ReadonlyMap<string, IdentitySecret>,
  homeId: string | undefined,
  settings: { readonly trustDomain: string },
): ClusterIdentity | undefined {
  const authority = authorityOf(secrets);
  if (authority === undefined || homeId === undefined) return undefined;
  const gateways = new Map<string, KeyPairPem>();
  for (const [fleet, secret] of pairsOf(secrets))
    if (fleet !== controllerIdentity) gateways.set(fleet, secret);
  return { trustDomain: trustDomainOf(homeId, settings), bundle: bundleOf(authority), gateways };
}

/** What this cluster's controllers show to Envoys; undefined while it is not there. */
export function controllerIdentityOf(
  secrets: ReadonlyMap<string, IdentitySecret>,
): ControllerIdentity | undefined {
  const authority = authorityOf(secrets);
  const pair = new Map(pairsOf(secrets)).get(controllerIdentity);
  return authority && pair && { ...pair, bundle: bundleOf(authority) };
}

/** Certificates with their keys, by fleet. */
function pairsOf(secrets: ReadonlyMap<string, IdentitySecret>): [string, KeyPairPem][] {
  return [...secrets.values()].flatMap(({ metadata, certificate, key }): [string, KeyPairPem][] => {
    const fleet = metadata.labels?.[labels.identity];
    const isNamedSo = fleet !== undefined && metadata.name === identitySecretName(fleet);
    if (!isNamedSo || certificate === undefined || key === undefined) return [];
    return [[fleet, { certificatePem: certificate, keyPem: key }]];
  });
}

/** When the authority's Secret reached its present phase, in milliseconds since 1970; undefined if it doesn't say. */
export function phaseSinceMs({ metadata }: IdentitySecret): number | undefined {
  const since = Date.parse(metadata.annotations?.[annotations.authoritySince] ?? "");
  return Number.isNaN(since) ? undefined : since;
}

const withNewline = (pem: string): string => (pem.endsWith("\n") ? pem : `${pem}\n`);

/** Base64 under a key, as text. */
function decoded(data: unknown, key: string): string | undefined {
  const value = isRecord(data) ? data[key] : undefined;
  return typeof value === "string" && value !== ""
    ? Buffer.from(value, "base64").toString("utf8")
    : undefined;
}
