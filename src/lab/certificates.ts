/**
 * Certificates of one lab cluster: a CA of its own, so that one cluster's kubeconfig can't reach another, and what the CA signs.
 * Keys are P-256 and live as long as the lab; nothing is ever written here.
 */
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { randomBytes, type webcrypto } from "node:crypto";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const lifetimeMs = 365 * 24 * 3600 * 1000;

/** A PEM certificate with its PEM (PKCS #8) key. */
interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate says. */
interface LeafRequest {
  readonly commonName: string;
  readonly organization?: string;
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
  readonly uris?: readonly string[];
  /** It ended that long ago. */
  readonly endedMsAgo?: number;
}

/** A certificate authority in memory. */
export interface CertificateAuthority {
  readonly certificate: string;
  /** Signs a certificate that is good for both ends of TLS. */
  issue(request: LeafRequest): Promise<KeyPair>;
}

/** A new authority named `commonName`. */
export async function createAuthority(commonName: string): Promise<CertificateAuthority> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(),
    name: `CN=${commonName}`,
    serialNumber: serialNumber(),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificate: pem(authority.toString("pem")),
    issue: (request) => issue({ authority, signingKey: keys.privateKey }, request),
  };
}

/** A PEM P-256 key, as kube-apiserver signs ServiceAccount tokens with: the public half, and the private half. */
export async function createSigningKey(): Promise<{ publicKey: string; privateKey: string }> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const [publicKey, privateKey] = await Promise.all([
    crypto.subtle.exportKey("spki", keys.publicKey),
    crypto.subtle.exportKey("pkcs8", keys.privateKey),
  ]);
  return {
    publicKey: pem(x509.PemConverter.encode(publicKey, "PUBLIC KEY")),
    privateKey: pem(x509.PemConverter.encode(privateKey, "PRIVATE KEY")),
  };
}

interface Signer {
  readonly authority: x509.X509Certificate;
  readonly signingKey: webcrypto.CryptoKey;
}

async function issue(signer: Signer, request: LeafRequest): Promise<KeyPair> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const names: x509.JsonGeneralName[] = [
    ...(request.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(request.addresses ?? []).map((value) => ({ type: "ip" as const, value })),
    ...(request.uris ?? []).map((value) => ({ type: "url" as const, value })),
  ];
  const leaf = await x509.X509CertificateGenerator.create({
    ...validity(request.endedMsAgo),
    subject: [
      { CN: [request.commonName] },
      ...(request.organization === undefined ? [] : [{ O: [request.organization] }]),
    ],
    issuer: signer.authority.subject,
    serialNumber: serialNumber(),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: signer.signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(signer.authority),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
    ],
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { certificate: pem(leaf.toString("pem")), key: pem(x509.PemConverter.encode(key, "PRIVATE KEY")) };
}

/** From an hour ago: clocks of containers and of their host differ. */
function validity(endedMsAgo?: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  const notAfter = new Date(endedMsAgo === undefined ? now + lifetimeMs : now - endedMsAgo);
  return { notBefore: new Date(now - 3600_000), notAfter };
}

function pem(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}

/** A positive number: the highest bit is off. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0);
  return bytes.toString("hex");
}
