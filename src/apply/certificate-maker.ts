/**
 * What the issuer of identities needs of cryptography: new keys and signed certificates. The implementation, which has the
 * randomness, is in `drivers/x509`.
 */
import type { KeyPairPem } from "../model/identity.ts";

/** From when to when a certificate holds, in milliseconds since 1970. */
export interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What a certificate says of whoever shows it. */
export interface Leaf extends Validity {
  /** A SPIFFE id, or none. */
  readonly spiffeId?: string;
  readonly dnsNames?: readonly string[];
}

export interface CertificateMaker {
  /** A new key, and a certificate by which it vouches for others. */
  authority(validity: Validity): Promise<KeyPairPem>;
  /** A new key, and a certificate for it, good for both ends of TLS, that the authority signs. */
  issue(authority: KeyPairPem, leaf: Leaf): Promise<KeyPairPem>;
}
