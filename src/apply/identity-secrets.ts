/**
 * The Secrets of the authority and of identities as they are written: what each step changes in them. Pure; the one place
 * beside model/identity.ts that knows what they look like.
 */
import { RefusedError } from "../model/errors.ts";
import { authorityKeys, identitySecretName } from "../model/identity.ts";
import type { IdentitySecret, KeyPairPem } from "../model/identity.ts";
import type { KubeObject, OwnerReference } from "../model/kube-object.ts";
import { annotations, authoritySecret, labels, systemNamespace } from "../model/names.ts";
import { isRecord } from "../model/record.ts";
import { Redacted } from "../model/redacted.ts";
import { tlsSecretType } from "../model/tls-objects.ts";

const { current, next, previous } = authorityKeys;

/** The Secret of a first authority. */
export function authoritySecretOf(
  pair: KeyPairPem,
  { owner, nowIso }: { readonly owner: OwnerReference | undefined; readonly nowIso: string },
): KubeObject {
  const metadata = metadataOf(authoritySecret, labels.identityOfAuthority, owner);
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { ...metadata, annotations: { [annotations.authoritySince]: nowIso } },
    type: "Opaque",
    data: pairData(current, pair),
  };
}

/** With the authority that will sign; what asked for it is answered. */
export function announced(standing: KubeObject, pair: KeyPairPem, nowIso: string): KubeObject {
  const others = Object.entries(standing.metadata.annotations ?? {}).filter(
    ([name]) => name !== annotations.rotateAuthority,
  );
  const notes = { ...Object.fromEntries(others), [annotations.authoritySince]: nowIso };
  const metadata = { ...standing.metadata, annotations: notes };
  return { ...standing, metadata, data: { ...signing(standing), ...pairData(next, pair) } };
}

/** The next authority signs; the one before is still trusted, and its key is gone. */
export function switched(standing: KubeObject, nowIso: string): KubeObject {
  const before = dataOf(standing);
  return sinceNow(standing, nowIso, {
    [current.certificate]: before[next.certificate],
    [current.key]: before[next.key],
    [previous.certificate]: before[current.certificate],
  });
}

/** Without the authority before. */
export const retired = (standing: KubeObject, nowIso: string): KubeObject =>
  sinceNow(standing, nowIso, signing(standing));

/** The Secret of an identity; of what stands only its place is kept. */
export function identityObject(
  fleet: string,
  pair: KeyPairPem,
  {
    owner,
    standing,
  }: { readonly owner: OwnerReference | undefined; readonly standing: IdentitySecret | undefined },
): KubeObject {
  const { uid, resourceVersion } = standing?.metadata ?? {};
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      ...metadataOf(identitySecretName(fleet), fleet, owner),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
    },
    type: tlsSecretType,
    data: pairData({ certificate: "tls.crt", key: "tls.key" }, pair),
  };
}

/** The authority that signs. Throws where the Secret doesn't hold it. */
export function signerOf(standing: KubeObject): KeyPairPem {
  return {
    certificatePem: textOf(standing, current.certificate),
    keyPem: new Redacted(textOf(standing, current.key)),
  };
}

function sinceNow(standing: KubeObject, nowIso: string, data: Readonly<Record<string, unknown>>): KubeObject {
  const notes = { ...standing.metadata.annotations, [annotations.authoritySince]: nowIso };
  return { ...standing, metadata: { ...standing.metadata, annotations: notes }, data };
}

function signing(standing: KubeObject): Record<string, unknown> {
  const before = dataOf(standing);
  return { [current.certificate]: before[current.certificate], [current.key]: before[current.key] };
}

function metadataOf(name: string, label: string, owner: OwnerReference | undefined): KubeObject["metadata"] {
  return {
    name,
    namespace: systemNamespace,
    labels: { [labels.managedBy]: labels.managedByValue, [labels.identity]: label },
    ...(owner && { ownerReferences: [owner] }),
  };
}

function pairData(
  keys: { readonly certificate: string; readonly key: string },
  { certificatePem, keyPem }: KeyPairPem,
): Record<string, string> {
  return { [keys.certificate]: encoded(certificatePem), [keys.key]: encoded(keyPem.reveal()) };
}

const encoded = (text: string): string => Buffer.from(text).toString("base64");

function dataOf(secret: KubeObject): Readonly<Record<string, unknown>> {
  return isRecord(secret["data"]) ? secret["data"] : {};
}

function textOf(secret: KubeObject, key: string): string {
  const value = dataOf(secret)[key];
  if (typeof value !== "string")
    throw new RefusedError(`Secret ${systemNamespace}/${authoritySecret} has no ${key}`);
  return Buffer.from(value, "base64").toString("utf8");
}
