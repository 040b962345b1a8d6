/**
 * Certificates with their keys, and authorities, out of PEM text: checked as Envoy would, so that a user hears of a mistake
 * at the Gateway and no Envoy has to refuse anything. Whatever stands around the PEM blocks, line endings and byte order
 * marks are left behind. Never puts a key, or any part of one, into a message.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";

/** A certificate chain and its key, as PEM that Envoy takes. */
export interface KeyPair {
  readonly chain: string;
  readonly key: string;
}

/** What is wrong, for a person. */
export interface Fault {
  readonly fault: string;
}

const certificateLabel = "CERTIFICATE";
const keyLabels = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] as const;
/** Clients take no longer chain: OpenSSL and BoringSSL refuse more than this. */
const longestChain = 100 * 1024;
const smallestRsaKey = 2048;
const curves: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"]);

/** Reads the two texts of a Secret of type kubernetes.io/tls. */
export function readKeyPair(certificate: string | undefined, key: string | undefined): KeyPair | Fault {
  if (certificate === undefined) return { fault: "it has no tls.crt" };
  if (key === undefined) return { fault: "it has no tls.key" };
  const chain = readCertificates(certificate);
  if ("fault" in chain) return { fault: `tls.crt ${chain.fault}` };
  const privateKey = readKey(key);
  if ("fault" in privateKey) return { fault: `tls.key ${privateKey.fault}` };
  const [leaf] = chain;
  if (leaf?.checkPrivateKey(privateKey) !== true) {
    const isReversed = chain.some((one) => one.checkPrivateKey(privateKey));
    return {
      fault: isReversed
        ? "the certificate of tls.key is not the first in tls.crt: put it before those that signed it"
        : "tls.key is not the key of the certificate in tls.crt",
    };
  }
  if (chain.reduce((sum, { raw }) => sum + raw.length, 0) > longestChain)
    return { fault: "the chain in tls.crt is longer than the 100 KiB that clients take" };
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { chain: chain.map(String).join(""), key: pem };
}

/** Reads a bundle of authorities. */
export function readAuthorities(text: string | undefined): { readonly bundle: string } | Fault {
  if (text === undefined) return { fault: "it has no ca.crt" };
  const found = readCertificates(text);
  return "fault" in found ? { fault: `ca.crt ${found.fault}` } : { bundle: found.map(String).join("") };
}

function readCertificates(text: string): X509Certificate[] | Fault {
  const blocks = [...blocksOf(text, certificateLabel)].map(({ block }) => block);
  if (blocks.length === 0) return { fault: "holds no certificate in PEM" };
  const found: X509Certificate[] = [];
  for (const [index, block] of blocks.entries()) {
    try {
      found.push(new X509Certificate(block));
    } catch {
      return { fault: `holds a certificate (number ${index + 1}) that can't be read` };
    }
  }
  return found;
}

function readKey(text: string): KeyObject | Fault {
  const found = keyLabels.flatMap((label) => blocksOf(text, label).take(1).toArray());
  const block = found.sort((one, other) => one.from - other.from)[0]?.block;
  if (block === undefined) return { fault: "holds no private key in PEM" };
  if (block.includes("ENCRYPTED")) return { fault: "is encrypted: put the key there in the clear" };
  let key: KeyObject;
  try {
    key = createPrivateKey(block);
  } catch {
    // What the library says may hold parts of the text.
    return { fault: "holds a private key that can't be read" };
  }
  const { modulusLength = 0, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  const type = key.asymmetricKeyType ?? "unknown";
  if (type === "rsa") {
    return modulusLength >= smallestRsaKey
      ? key
      : { fault: `is an RSA key of ${modulusLength} bits: it takes at least ${smallestRsaKey}` };
  }
  if (type !== "ec") return { fault: `is of type ${type}: use RSA or ECDSA` };
  return curves.has(namedCurve) ? key : { fault: `is on the curve ${namedCurve}: use P-256, P-384 or P-521` };
}

/** PEM blocks with a label, and where they begin. Looks at each character once: anybody may write a Secret full of beginnings. */
function* blocksOf(
  text: string,
  label: string,
): Generator<{ readonly from: number; readonly block: string }> {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  let from = text.indexOf(begin);
  while (from !== -1) {
    const endsAt = text.indexOf(end, from + begin.length);
    if (endsAt === -1) return;
    yield { from, block: text.slice(from, endsAt + end.length) };
    from = text.indexOf(begin, endsAt + end.length);
  }
}
