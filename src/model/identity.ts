/**
 * Who the gateways of a cluster are: their certificates (X.509-SVIDs) and the authorities that vouch for them.
 *
 * Source: SPIFFE, "X.509-SVID" and "SPIFFE trust domain and bundle".
 */
import type { FleetName } from "./desired.ts";
import type { Redacted } from "./redacted.ts";
import type { ClusterId } from "./world.ts";

/** A certificate with its key, as PEM. */
export interface KeyPairPem {
  readonly certificatePem: string;
  readonly keyPem: Redacted<string>;
}

/** The identities of the home cluster. */
export interface ClusterIdentity {
  /** `<cluster id>.<--trust-domain>`. */
  readonly trustDomain: string;
  /** PEM of the authorities that vouch for its gateways. */
  readonly bundle: string;
  /** What the Envoys of each fleet show. */
  readonly gateways: ReadonlyMap<FleetName, KeyPairPem>;
}

/** An authority whose word is taken: of the home cluster, or of a peer. */
export interface TrustedAuthority {
  readonly cluster: ClusterId;
  readonly trustDomain: string;
  /** PEM. */
  readonly bundle: string;
}

/** The trust domain of a cluster: one of its own, so that no cluster's authority can vouch for another's gateways. */
export const trustDomainOf = (
  cluster: ClusterId,
  { trustDomain }: { readonly trustDomain: string },
): string => `${cluster}.${trustDomain}`;

/** The SPIFFE id of a gateway; `gateway` is `ingress`, `egress` or `<namespace>/<name>`. */
export const spiffeIdOf = (trustDomain: string, cluster: ClusterId, gateway: string): string =>
  `spiffe://${trustDomain}/cluster/${cluster}/gateway/${gateway}`;
