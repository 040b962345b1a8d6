/**
 * The door of the port that serves Envoys: TLS 1.3 with a certificate that is replaced while connections stand, and no call
 * of any method without the token of a Pod.
 *
 *     connection → TLS → method → token → Pod → fleet, or the controller itself
 */
import { Metadata, ServerCredentials, status } from "@grpc/grpc-js";
import type { SecureContextOptions } from "node:tls";
import type { Log } from "../../model/log.ts";
import { controllerAccount, systemNamespace } from "../../model/names.ts";
import type { Admission } from "../../model/served.ts";
import type { IdentifyPod, PodIdentity } from "./pod-token.ts";

/** Why a call is not let in. */
export interface Denial {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Makes the error of a call that is not let in. */
export const denial = (code: status, details: string): Denial => ({
  code,
  details,
  metadata: new Metadata(),
});

const onlyNewest = { minVersion: "TLSv1.3", maxVersion: "TLSv1.3" } as const;

/** TLS 1.3 only; before the first certificate no handshake succeeds. */
class DoorCredentials extends ServerCredentials {
  constructor() {
    super({ requestCert: false, ...onlyNewest });
  }

  /** Handshakes from now on show this certificate; connections that stand go on. */
  show(context: SecureContextOptions): void {
    this.updateSecureContextOptions({ ...context, ...onlyNewest });
  }

  override _equals(other: ServerCredentials): boolean {
    return other === this;
  }
}

/** Who may call, and as whom. */
export class Door {
  readonly credentials = new DoorCredentials();
  readonly #identify: IdentifyPod;
  readonly #log: Log;
  #shown: string | undefined;
  #accounts: Admission["accounts"] = new Map();
  #bundle = "";

  constructor(identify: IdentifyPod, log: Log) {
    this.#identify = identify;
    this.#log = log;
  }

  /** What holds from now on. */
  admit({ identity, accounts }: Admission): void {
    this.#accounts = accounts;
    if (identity === undefined) return;
    this.#bundle = identity.bundle;
    if (identity.certificatePem === this.#shown) return;
    this.#shown = identity.certificatePem;
    this.credentials.show({ cert: identity.certificatePem, key: identity.keyPem.reveal() });
  }

  /** By what other replicas are checked. */
  get bundle(): string {
    return this.#bundle;
  }

  /** The Pod that calls. */
  async pod(metadata: Metadata): Promise<PodIdentity | Denial> {
    const [header] = metadata.get("authorization");
    const token = typeof header === "string" ? /^Bearer ([^ ]+)$/.exec(header)?.[1] : undefined;
    if (token === undefined) return denial(status.UNAUTHENTICATED, "The call carries no token.");
    try {
      const pod = await this.#identify(token);
      return pod ?? denial(status.UNAUTHENTICATED, "The token is not good.");
    } catch (error) {
      // The keys could not be had: nothing of the token is in this.
      this.#log.warn("tokens can't be checked", { error });
      return denial(status.UNAVAILABLE, "Tokens can't be checked yet.");
    }
  }

  /** The fleet whose configuration a Pod gets; undefined if none. */
  fleetOf({ namespace, account }: PodIdentity): string | undefined {
    return this.#accounts.get(`${namespace}/${account}`);
  }
}

/** Whether a Pod is one of this cluster's controllers. */
export const isController = ({ namespace, account }: PodIdentity): boolean =>
  namespace === systemNamespace && account === controllerAccount;
