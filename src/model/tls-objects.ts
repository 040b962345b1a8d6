/**
 * What is kept of Secrets and ConfigMaps that hold certificates, out of what the API gives. Never keeps anything else of
 * them, and never shows a key.
 */
import { X509Certificate } from "node:crypto";
import type { KubeObject, ObjectMeta } from "./kube-object.ts";
import { isRecord } from "./record.ts";
import { Redacted } from "./redacted.ts";

/** The type of Secrets that hold a certificate with its key; also a field selector. */
export const tlsSecretType = "kubernetes.io/tls";

/** A Secret of type kubernetes.io/tls. */
export type TlsSecret = Readonly<{
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  /** The PEM text under `tls.crt`, leaf first; undefined if there is none. */
  readonly certificate?: string;
  /** The PEM text under `tls.key`. */
  readonly key?: Redacted<string>;
}>;

/** A ConfigMap, as far as it holds authorities. */
export type AuthorityConfigMap = Readonly<{
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  /** The PEM text under `ca.crt`; undefined if there is none. */
  readonly authorities?: string;
}>;

/** Keeps certificate and key of a Secret. Its version stays: a change of the key alone shows nowhere else. */
export function tlsSecretOf({ apiVersion, kind, metadata, ...rest }: KubeObject): TlsSecret {
  const { resourceVersion } = metadata;
  const certificate = decoded(rest["data"], "tls.crt");
  const key = decoded(rest["data"], "tls.key");
  return {
    apiVersion,
    kind,
    metadata: { ...identityOf(metadata), ...(resourceVersion !== undefined && { resourceVersion }) },
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key: new Redacted(key) }),
  };
}

/** Keeps the authorities of a ConfigMap; without its version, so that no other change of it is one. */
export function authorityConfigMapOf({
  apiVersion,
  kind,
  metadata,
  ...rest
}: KubeObject): AuthorityConfigMap {
  const data = isRecord(rest["data"]) ? rest["data"]["ca.crt"] : undefined;
  const binary = decoded(rest["binaryData"], "ca.crt");
  const authorities = typeof data === "string" ? data : binary;
  return {
    apiVersion,
    kind,
    metadata: identityOf(metadata),
    ...(authorities !== undefined && { authorities }),
  };
}

/** What tells an object from all others, and nothing that changes with it. */
function identityOf({ name, namespace, uid }: ObjectMeta): ObjectMeta {
  return { name, ...(namespace !== undefined && { namespace }), ...(uid !== undefined && { uid }) };
}

/** When the (first) certificate of a Secret ends, in milliseconds since 1970; undefined if there is none that can be read. */
export function endOfCertificate({ certificate }: TlsSecret): number | undefined {
  if (certificate === undefined) return undefined;
  try {
    return new X509Certificate(certificate).validToDate.getTime();
  } catch {
    return undefined;
  }
}

/** Base64 under a key, as text. */
function decoded(data: unknown, key: string): string | undefined {
  const value = isRecord(data) ? data[key] : undefined;
  return typeof value === "string" ? Buffer.from(value, "base64").toString("utf8") : undefined;
}
