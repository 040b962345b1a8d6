/**
 * The door of an ADS server in tests, with the same locks as in a cluster: an authority, a certificate for the controller, and
 * tokens as an API server signs them.
 */
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { ClientOptions } from "@grpc/grpc-js";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { CryptoKey } from "jose";
import { mkdir, mkdtemp, rename, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { createIdentifyPod } from "../../src/drivers/grpc/pod-token.ts";
import type { IdentifyPod, TokenKeys } from "../../src/drivers/grpc/pod-token.ts";
import { certificateMaker } from "../../src/drivers/x509/certificate-maker.ts";
import type { ControllerIdentity, KeyPairPem } from "../../src/model/identity.ts";
import { controllerAccount, controllerServerName, systemNamespace } from "../../src/model/names.ts";
import type { Admission } from "../../src/model/served.ts";
import { doorFiles } from "../../src/reconcile/envoy-bootstrap.ts";

const issuer = "https://kubernetes.default.svc.cluster.local";

/** What a token says; each can be wrong. */
export interface TokenClaims {
  readonly namespace?: string;
  readonly account: string;
  readonly pod: string;
  readonly audience?: string;
  readonly issuer?: string;
  /** Seconds from now. */
  readonly expiresIn?: number;
  readonly kid?: string;
}

/** Locks and keys. */
export class TestDoor {
  readonly identifyPod: IdentifyPod;
  /** How often the keys were asked for. */
  fetches = 0;
  /** Set while the API server is away. */
  isAway = false;
  readonly #authority: KeyPairPem;
  #identity: ControllerIdentity;
  #signing: { readonly key: CryptoKey; readonly kid: string };
  #keys: TokenKeys;

  private constructor(parts: {
    authority: KeyPairPem;
    identity: ControllerIdentity;
    signing: { key: CryptoKey; kid: string };
    keys: TokenKeys;
  }) {
    this.#authority = parts.authority;
    this.#identity = parts.identity;
    this.#signing = parts.signing;
    this.#keys = parts.keys;
    this.identifyPod = createIdentifyPod(
      () => {
        this.fetches += 1;
        return this.isAway ? Promise.reject(new Error("nobody there")) : Promise.resolve(this.#keys);
      },
      () => performance.now(),
    );
  }

  static async create(): Promise<TestDoor> {
    const authority = await certificateMaker.authority(today());
    const identity = await identityOf(authority);
    const { signing, keys } = await newSigning("one");
    return new TestDoor({ authority, identity, signing, keys });
  }

  /** Lets the Pods of these fleets in; each fleet's account has its name. */
  admission(...fleets: string[]): Admission {
    return {
      identity: this.#identity,
      accounts: new Map(fleets.map((fleet) => [`${systemNamespace}/${fleet}`, fleet])),
    };
  }

  /** A new certificate of the controller, by the same authority. */
  async renew(): Promise<void> {
    this.#identity = await identityOf(this.#authority);
  }

  /** The API server signs with another key from now on. */
  async changeKeys(kid: string): Promise<void> {
    const { signing, keys } = await newSigning(kid);
    this.#signing = signing;
    this.#keys = keys;
  }

  get bundle(): string {
    return this.#identity.bundle;
  }

  async token(claims: TokenClaims): Promise<string> {
    const { namespace = systemNamespace, account, pod, audience = "mc-wan", expiresIn = 600 } = claims;
    const now = Math.floor(Date.now() / 1000);
    const bound = {
      "kubernetes.io": {
        namespace,
        serviceaccount: { name: account, uid: "u1" },
        pod: { name: pod, uid: "u2" },
      },
    };
    return await new SignJWT(bound)
      .setProtectedHeader({ alg: "ES256", kid: claims.kid ?? this.#signing.kid })
      .setIssuer(claims.issuer ?? issuer)
      .setSubject(`system:serviceaccount:${namespace}:${account}`)
      .setAudience(audience)
      .setIssuedAt(now)
      .setNotBefore(now - 5)
      .setExpirationTime(now + expiresIn)
      .sign(this.#signing.key);
  }

  /** The token of a replica of the controller. */
  async replicaToken(pod: string): Promise<string> {
    return await this.token({ account: controllerAccount, pod });
  }

  /** A client that trusts the authority. */
  client(port: number, options: ClientOptions = {}): Client {
    const context = createSecureContext({ ca: this.bundle, minVersion: "TLSv1.3" });
    return new Client(`127.0.0.1:${port}`, credentials.createFromSecureContext(context), {
      "grpc.ssl_target_name_override": controllerServerName,
      ...options,
    });
  }

  /** A folder such as the kubelet makes, with token and authorities; gives what replaces the token in it. */
  async folder(claims: TokenClaims): Promise<{ readonly path: string; readonly write: () => Promise<void> }> {
    const path = await mkdtemp(join(tmpdir(), "mcwan-door-"));
    let version = 0;
    const write = async (): Promise<void> => {
      version += 1;
      const data = `..${version}`;
      const files = { ...doorFiles(path, this.bundle), token: await this.token(claims) };
      await mkdir(join(path, data));
      for (const [name, text] of Object.entries(files)) await writeFile(join(path, data, name), text);
      await symlink(data, join(path, "..next"));
      await rename(join(path, "..next"), join(path, "..data"));
      if (version > 1) return;
      for (const name of Object.keys(files)) await symlink(`..data/${name}`, join(path, name));
    };
    await write();
    return { path, write };
  }
}

/** What a call carries. */
export function bearer(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

const today = (): { fromMs: number; untilMs: number } => ({
  fromMs: Date.now() - 60_000,
  untilMs: Date.now() + 3_600_000,
});

async function identityOf(authority: KeyPairPem): Promise<ControllerIdentity> {
  const pair = await certificateMaker.issue(authority, { ...today(), dnsNames: [controllerServerName] });
  return { ...pair, bundle: authority.certificatePem };
}

async function newSigning(kid: string): Promise<{
  readonly signing: { readonly key: CryptoKey; readonly kid: string };
  readonly keys: TokenKeys;
}> {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" };
  return { signing: { key: privateKey, kid }, keys: { issuer, keys: { keys: [jwk] } } };
}
