/**
 * References to certificates and authorities → what Envoys are served by the name of a secret, or why the reference can't be
 * used. Permission is asked for before anything is looked up: a forbidden reference says the same whether or not its target
 * exists. The same content is the same object in every pass.
 *
 * Source: Gateway API, SecretObjectReference, ObjectReference, ReferenceGrant; Envoy,
 * extensions.transport_sockets.tls.v3.Secret.
 */
import { create } from "@bufbuild/protobuf";
import { reasons } from "../api/conditions.ts";
import {
  CertificateValidationContext_TrustChainVerification,
  SubjectAltNameMatcher_SanType,
} from "../envoy/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import { SecretSchema } from "../envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type { Secret } from "../envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type { Desired } from "../model/desired.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { KeyedMemo, MapMemo } from "../model/memo.ts";
import type { Problem } from "../model/problem.ts";
import { Redacted } from "../model/redacted.ts";
import type { Store, World } from "../model/world.ts";
import { readAuthorities, readKeyPair } from "./key-pairs.ts";
import { ReferenceGrants } from "./reference-grants.ts";
import type { CrossReference } from "./reference-grants.ts";

/** What is not there may be kept from the controller: it can't tell the two apart. */
const orNotReadable = ", or the controller may not read it: apply deploy/components/https-gateways.";

/** A secret that Envoys can be served. */
export interface Material {
  /** By which listeners and clusters name it. */
  readonly name: string;
  readonly secret: Redacted<Secret>;
}

/** A reference as it stands in an object. */
export interface ObjectRef {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
}

/** Who refers. */
export type Referrer = Pick<CrossReference, "fromKind" | "fromNamespace">;

/** What authorities are for. */
export interface AuthoritiesUse {
  /** Name of the secret; the same name always means the same references and the same use. */
  readonly name: string;
  /** Certificates that no authority has signed are taken all the same. */
  readonly acceptsUntrusted?: boolean;
  /** Names of which a certificate must have one. */
  readonly names?: readonly { readonly type: string; readonly hostname?: string; readonly uri?: string }[];
}

/** Authorities of several references: those that can be used, together, and what is wrong with the others. */
export interface Authorities {
  readonly material: Material | undefined;
  readonly problems: readonly Problem[];
}

/** Looks up certificates and authorities. */
export class Certificates {
  readonly #sameGrants = new MapMemo<ObjectTypes["ReferenceGrant"]>();
  readonly #grants = new KeyedMemo<ReferenceGrants>();
  readonly #pairs = new KeyedMemo<Material | Problem>();
  readonly #bundles = new KeyedMemo<{ readonly bundle: string } | Problem>();
  readonly #authorities = new KeyedMemo<Authorities>();
  #granted = new ReferenceGrants(new Map());
  #secrets: Store<ObjectTypes["TlsSecret"]> = new Map();
  #configMaps: Store<ObjectTypes["ConfigMap"]> = new Map();
  #expired: ReadonlySet<string> = new Set();

  /** Starts a pass over one World. */
  startPass(world: World, desired: Desired): void {
    for (const memo of [this.#grants, this.#pairs, this.#bundles, this.#authorities]) memo.endPass();
    const grants = this.#sameGrants.same(desired.referenceGrants);
    this.#granted = this.#grants.get("", [grants], () => new ReferenceGrants(grants));
    this.#secrets = world.home.TlsSecret;
    this.#configMaps = world.home.ConfigMap;
    this.#expired = world.expired;
  }

  /** A certificate with its key. Of a wrong one `invalid` is the reason. */
  keyPair(ref: ObjectRef, from: Referrer, invalid: string): Material | Problem {
    const { group = "", kind = "Secret", namespace = from.fromNamespace, name } = ref;
    const key = `${namespace}/${name}`;
    const isAllowed = this.#granted.allows({ ...from, namespace, name, toKind: "Secret" });
    const secret = isAllowed ? this.#secrets.get(key) : undefined;
    return this.#pairs.get(
      [from.fromKind, from.fromNamespace, group, kind, key, invalid].join(" "),
      [isAllowed, secret],
      () => {
        if (group !== "" || kind !== "Secret")
          return { reason: invalid, message: `${kind} "${name}" of group "${group}" is no Secret.` };
        if (!isAllowed) return notPermitted(from, "Secret", key);
        if (secret === undefined)
          return {
            reason: invalid,
            message: `There is no Secret ${key} of type kubernetes.io/tls${orNotReadable}`,
          };
        const pair = readKeyPair(secret.certificate, secret.key?.reveal());
        if ("fault" in pair)
          return { reason: invalid, message: `Secret ${key} can't be used: ${pair.fault}.` };
        return { name: `certificate/${key}`, secret: keyPairSecret(`certificate/${key}`, pair) };
      },
    );
  }

  /** Whether the certificate of a Secret has ended. */
  isExpired(material: Material): boolean {
    return this.#expired.has(material.name.slice("certificate/".length));
  }

  /** Authorities to check certificates by. `reasonsOf` names what a wrong reference and one to a wrong kind are called. */
  authorities(
    refs: readonly ObjectRef[],
    from: Referrer,
    { use, invalid, invalidKind }: { use: AuthoritiesUse; invalid: string; invalidKind: string },
  ): Authorities {
    const found = refs.map((ref) => this.#bundle(ref, from, { invalid, invalidKind }));
    const { name, acceptsUntrusted = false, names = [] } = use;
    return this.#authorities.get(name, [acceptsUntrusted, JSON.stringify(names), ...found], () => {
      const problems = found.filter((one): one is Problem => "reason" in one);
      const bundles = found.flatMap((one) => ("bundle" in one ? one.bundle : []));
      const material =
        bundles.length === 0 ? undefined : { name, secret: authoritiesSecret(use, bundles.join("")) };
      return { material, problems };
    });
  }

  #bundle(
    ref: ObjectRef,
    from: Referrer,
    { invalid, invalidKind }: { invalid: string; invalidKind: string },
  ): { readonly bundle: string } | Problem {
    const { group = "", kind = "ConfigMap", namespace = from.fromNamespace, name } = ref;
    const key = `${namespace}/${name}`;
    const isAllowed = this.#granted.allows({ ...from, namespace, name, toKind: "ConfigMap" });
    const configMap = isAllowed ? this.#configMaps.get(key) : undefined;
    return this.#bundles.get(
      [from.fromKind, from.fromNamespace, group, kind, key, invalid].join(" "),
      [isAllowed, configMap],
      () => {
        if (group !== "" || kind !== "ConfigMap")
          return { reason: invalidKind, message: `${kind} "${name}" of group "${group}" is no ConfigMap.` };
        if (!isAllowed) return notPermitted(from, "ConfigMap", key);
        if (configMap === undefined)
          return { reason: invalid, message: `There is no ConfigMap ${key}${orNotReadable}` };
        const read = readAuthorities(configMap.authorities);
        return "fault" in read
          ? { reason: invalid, message: `ConfigMap ${key} can't be used: ${read.fault}.` }
          : read;
      },
    );
  }
}

function notPermitted({ fromKind, fromNamespace }: Referrer, kind: string, key: string): Problem {
  return {
    reason: reasons.RefNotPermitted,
    message: `No ReferenceGrant lets ${fromKind}s of namespace ${fromNamespace} name ${kind} ${key}.`,
  };
}

/** A certificate with its key under a name. */
export function keyPairSecret(
  name: string,
  { chain, key }: { chain: string; key: string },
): Redacted<Secret> {
  const value = {
    certificateChain: { specifier: { case: "inlineString" as const, value: chain } },
    privateKey: { specifier: { case: "inlineString" as const, value: key } },
  };
  return new Redacted(create(SecretSchema, { name, type: { case: "tlsCertificate", value } }));
}

function authoritiesSecret(
  { name, acceptsUntrusted = false, names = [] }: AuthoritiesUse,
  bundle: string,
): Redacted<Secret> {
  const value = {
    trustedCa: { specifier: { case: "inlineString" as const, value: bundle } },
    matchTypedSubjectAltNames: names.map(({ type, hostname = "", uri = "" }) => ({
      sanType: type === "URI" ? SubjectAltNameMatcher_SanType.URI : SubjectAltNameMatcher_SanType.DNS,
      matcher: { matchPattern: { case: "exact" as const, value: type === "URI" ? uri : hostname } },
    })),
    ...(acceptsUntrusted && {
      trustChainVerification: CertificateValidationContext_TrustChainVerification.ACCEPT_UNTRUSTED,
    }),
  };
  return new Redacted(create(SecretSchema, { name, type: { case: "validationContext", value } }));
}
