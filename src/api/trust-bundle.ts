/** Bundles of authorities that clusters tell each other: public certificates in PEM, and nothing else. */
import { X509Certificate } from "node:crypto";
import { reasons } from "./conditions.ts";
import type { Problem } from "../model/problem.ts";

/** The authority that signs, and the next or the one before while it is replaced. */
const mostAuthorities = 2;
const smallestRsaKey = 2048;
const curves: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"]);
const onlyCertificates = /^(?:-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n)+$/;
const certificate = /-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n/g;

/** What is wrong with a bundle. */
export function bundleProblems(bundle: string): readonly Problem[] {
  const problem = (what: string): readonly Problem[] => [
    { reason: reasons.InvalidTrustBundle, message: `spec.identity.bundle ${what}.` },
  ];
  if (!onlyCertificates.test(bundle)) return problem("is not PEM of certificates alone");
  const found = bundle.match(certificate) ?? [];
  if (found.length > mostAuthorities)
    return problem(`holds ${found.length} certificates: at most ${mostAuthorities}`);
  for (const [index, pem] of found.entries()) {
    const fault = faultOf(pem);
    if (fault !== undefined) return problem(`holds a certificate (number ${index + 1}) that ${fault}`);
  }
  return [];
}

function faultOf(pem: string): string | undefined {
  try {
    const { ca, publicKey } = new X509Certificate(pem);
    const { modulusLength = 0, namedCurve = "" } = publicKey.asymmetricKeyDetails ?? {};
    const isStrong =
      publicKey.asymmetricKeyType === "rsa" ? modulusLength >= smallestRsaKey : curves.has(namedCurve);
    if (!ca) return "is no authority's";
    return isStrong ? undefined : "has a key that is not RSA of 2048 bits or ECDSA on a NIST curve";
  } catch {
    return "can't be read";
  }
}
