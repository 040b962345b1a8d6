/**
 * Makes the authority and the certificates of a cluster's gateways: ECDSA on P-256, by WebCrypto. Keeps nothing: keys are in
 * what it gives, and nowhere else.
 *
 * Source: SPIFFE, "X.509-SVID" (key usages, one URI as name, an empty subject allowed).
 */
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { randomBytes, type webcrypto } from "node:crypto";
import type { CertificateMaker, Leaf, Validity } from "../../apply/certificate-maker.ts";
import type { KeyPairPem } from "../../model/identity.ts";
import { Redacted } from "../../model/redacted.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** By the machine's randomness. */
export const certificateMaker: CertificateMaker = {
  authority: async (validity) => {
    const keys = await newKeys();
    const serial = serialNumber();
    const made = await x509.X509CertificateGenerator.createSelfSigned({
      ...datesOf(validity),
      // Two authorities of one cluster, one after the other, are told apart by name too.
      name: [{ CN: [`mc-wan ${serial.slice(0, 8)}`] }],
      serialNumber: serial,
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return await keyPair(made, keys.privateKey);
  },
  issue: async (authority, leaf) => {
    const issuer = new x509.X509Certificate(authority.certificatePem);
    const [keys, signingKey] = await Promise.all([newKeys(), privateKeyOf(authority)]);
    const made = await x509.X509CertificateGenerator.create({
      ...datesOf(leaf),
      subject: [{ O: ["mc-wan"] }],
      issuer: issuer.subject,
      serialNumber: serialNumber(),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        await x509.AuthorityKeyIdentifierExtension.create(issuer),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        new x509.SubjectAlternativeNameExtension(namesOf(leaf)),
      ],
    });
    return await keyPair(made, keys.privateKey);
  },
};

function namesOf({ spiffeId, dnsNames = [] }: Leaf): x509.JsonGeneralName[] {
  return [
    ...(spiffeId === undefined ? [] : [{ type: "url" as const, value: spiffeId }]),
    ...dnsNames.map((value) => ({ type: "dns" as const, value })),
  ];
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function privateKeyOf({ keyPem }: KeyPairPem): Promise<webcrypto.CryptoKey> {
  const [bytes] = x509.PemConverter.decode(keyPem.reveal());
  if (bytes === undefined) throw new Error("there is no private key in the PEM");
  return await crypto.subtle.importKey("pkcs8", bytes, algorithm, false, ["sign"]);
}

async function keyPair(certificate: x509.X509Certificate, key: webcrypto.CryptoKey): Promise<KeyPairPem> {
  const bytes = await crypto.subtle.exportKey("pkcs8", key);
  return {
    certificatePem: pem(certificate.toString("pem")),
    keyPem: new Redacted(pem(x509.PemConverter.encode(bytes, "PRIVATE KEY"))),
  };
}

const datesOf = ({ fromMs, untilMs }: Validity): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date(fromMs),
  notAfter: new Date(untilMs),
});

const pem = (text: string): string => (text.endsWith("\n") ? text : `${text}\n`);

/** 127 random bits: positive, and never again. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0);
  return bytes.toString("hex");
}
