/**
 * What a Gateway says of TLS, with the certificates and authorities that stand behind it: per listener, and for its
 * connections to backends.
 *
 * Source: Gateway API, ListenerTLSConfig, GatewayTLSConfig (frontend, backend).
 */
import { reasons } from "../api/conditions.ts";
import type { ServedGateway } from "../model/desired.ts";
import { keyOf } from "../model/kube-object.ts";
import type { ObjectMeta } from "../model/kube-object.ts";
import { KeyedMemo } from "../model/memo.ts";
import type { Problem } from "../model/problem.ts";
import type { Authorities, Certificates, Material } from "./certificates.ts";
import type { GatewayTrust } from "./gateway-trust.ts";
import type { GatewayListener } from "./gateway-api.ts";
import { listenerKey, parentKey } from "./parents.ts";

/** TLS at one listener that terminates it. */
export interface ListenerTls {
  /** Certificates that can be used, in the listener's order. */
  readonly certificates: readonly Material[];
  /** By which clients are checked. */
  readonly clients?: { readonly authorities: Material; readonly isRequired: boolean };
  /** References that lead nowhere, and certificates that have ended: none closes the listener by itself. */
  readonly problems: readonly Problem[];
  /** Clients can't be checked as asked for: the listener is refused. */
  readonly refusal?: Problem;
}

/** TLS of a whole Gateway. */
export interface GatewayTls {
  /** By {@link listenerKey}; listeners that terminate no TLS are not in it. */
  readonly listeners: ReadonlyMap<string, ListenerTls>;
  /** What the Gateway shows to backends that speak TLS. */
  readonly client?: Material | Problem;
  /** Some listener lets clients in that show no valid certificate. */
  readonly isInsecure: boolean;
}

/** A Gateway without any. */
const none: GatewayTls = { listeners: new Map(), isInsecure: false };

/** Looks at Gateways; the same answer is the same object in every pass. */
export class GatewaysTls {
  readonly #memo = new KeyedMemo<GatewayTls>();
  readonly #certificates: Certificates;
  readonly #trust: GatewayTrust;

  constructor(certificates: Certificates, trust: GatewayTrust) {
    this.#certificates = certificates;
    this.#trust = trust;
  }

  /** Starts a pass, after that of the certificates. */
  startPass(): void {
    this.#memo.endPass();
  }

  of(served: ServedGateway): GatewayTls {
    const { gateway, pooled, listenerSets = [] } = served;
    if (pooled !== undefined) return this.#ofPool(served);
    const sets = listenerSets.filter(({ isAllowed }) => isAllowed).map(({ set }) => set);
    const listeners = [
      ...owned("Gateway", gateway.metadata, gateway.spec.listeners),
      ...sets.flatMap(({ metadata, spec }) => owned("ListenerSet", metadata, spec.listeners)),
    ];
    const client = gateway.spec.tls?.backend?.clientCertificateRef;
    if (listeners.length === 0 && client === undefined) return none;
    const key = keyOf(gateway.metadata);
    const from = { fromKind: "Gateway", fromNamespace: gateway.metadata.namespace ?? "" };
    const looked = listeners.map(({ listener, id, from: owner }) => {
      const pairs = (listener.tls?.certificateRefs ?? []).map((ref) =>
        this.#certificates.keyPair(ref, owner, reasons.InvalidCertificateRef),
      );
      const expired = pairs.filter((pair) => !("reason" in pair) && this.#certificates.isExpired(pair));
      return { id, listener, pairs, expired, validation: this.#validation(gateway, listener.port) };
    });
    const shown = client && this.#certificates.keyPair(client, from, reasons.InvalidClientCertificateRef);
    const dependencies: unknown[] = [gateway.metadata.uid ?? gateway, gateway.metadata.generation, shown];
    for (const { metadata } of sets) dependencies.push(metadata.uid ?? metadata, metadata.generation);
    for (const { pairs, expired, validation } of looked) {
      dependencies.push(...pairs, expired.length, ...expired, validation?.found);
    }
    return this.#memo.get(key, dependencies, () => {
      const ofListeners = looked.map((one): [string, ListenerTls] => [one.id, listenerTls(one)]);
      return {
        listeners: new Map(ofListeners),
        ...(shown && { client: shown }),
        isInsecure: looked.some(({ validation }) => validation?.isInsecure === true),
      };
    });
  }

  /** A generated Gateway: its listeners with TLS are for gateways of the cluster set, and show its fleet's identity. */
  #ofPool({ gateway, fleet }: ServedGateway): GatewayTls {
    const terminating = gateway.spec.listeners.filter(terminates);
    if (terminating.length === 0) return none;
    const [identity, authorities] = [this.#trust.identityOf(fleet), this.#trust.clusterset];
    const names = terminating.map(({ name }) => name).join();
    const owner = keyOf(gateway.metadata);
    return this.#memo.get(owner, [names, identity, authorities], () => {
      const tls: ListenerTls =
        identity === undefined || authorities === undefined
          ? { certificates: [], problems: [noIdentity(fleet)] }
          : { certificates: [identity], clients: { authorities, isRequired: true }, problems: [] };
      const parent = parentKey("Gateway", owner);
      const listeners = terminating.map(({ name }) => [listenerKey(parent, name), tls] as const);
      return { listeners: new Map(listeners), isInsecure: false };
    });
  }

  /** How clients of HTTPS listeners at a port are checked, if they are. */
  #validation(gateway: ServedGateway["gateway"], port: number): Validation | undefined {
    const { frontend } = gateway.spec.tls ?? {};
    const perPort = (frontend?.perPort ?? []).find((one) => one.port === port);
    const { validation } = (perPort === undefined ? frontend?.default : perPort.tls) ?? {};
    if (validation === undefined) return undefined;
    const isInsecure = validation.mode === "AllowInsecureFallback";
    const key = keyOf(gateway.metadata);
    const found = this.#certificates.authorities(
      validation.caCertificateRefs,
      { fromKind: "Gateway", fromNamespace: gateway.metadata.namespace ?? "" },
      {
        use: {
          name: `clients/${key}/${perPort === undefined ? "default" : port}`,
          acceptsUntrusted: isInsecure,
        },
        invalid: reasons.InvalidCACertificateRef,
        invalidKind: reasons.InvalidCACertificateKind,
      },
    );
    return { found, isInsecure };
  }
}

const noIdentity = (fleet: string): Problem => ({
  reason: reasons.InvalidCertificateRef,
  message: `The Envoys of ${fleet} have no certificate yet, or there is no authority to check others by: the port stays closed. If that lasts, see Secret mc-wan-ca in mc-wan-system, and the controller's log.`,
});

/** All that a listener shows and checks by. */
export function materialsOf({ certificates, clients }: ListenerTls): readonly Material[] {
  return clients === undefined ? certificates : [...certificates, clients.authorities];
}

interface Validation {
  readonly found: Authorities;
  readonly isInsecure: boolean;
}

/** A listener that ends TLS here, and who names its certificates. */
interface OwnedListener {
  readonly listener: GatewayListener;
  /** As {@link listenerKey} gives it. */
  readonly id: string;
  readonly from: { readonly fromKind: string; readonly fromNamespace: string };
}

function owned(
  kind: "Gateway" | "ListenerSet",
  metadata: ObjectMeta,
  listeners: readonly GatewayListener[],
): OwnedListener[] {
  const parent = parentKey(kind, keyOf(metadata));
  const from = { fromKind: kind, fromNamespace: metadata.namespace ?? "" };
  return listeners
    .filter(terminates)
    .map((listener) => ({ listener, id: listenerKey(parent, listener.name), from }));
}

/** Whether a listener ends TLS here, by its protocol. */
function terminates({ protocol, tls }: GatewayListener): boolean {
  return protocol === "HTTPS" || (protocol === "TLS" && (tls?.mode ?? "Terminate") === "Terminate");
}

function listenerTls({
  listener,
  pairs,
  expired,
  validation,
}: {
  readonly listener: GatewayListener;
  readonly pairs: readonly (Material | Problem)[];
  readonly expired: readonly (Material | Problem)[];
  readonly validation: Validation | undefined;
}): ListenerTls {
  const certificates = pairs.filter((pair): pair is Material => !("reason" in pair));
  const problems = pairs.filter((pair): pair is Problem => "reason" in pair);
  if (pairs.length === 0) {
    const message = `Listener ${listener.name} names no certificate: put one into tls.certificateRefs.`;
    problems.push({ reason: reasons.InvalidCertificateRef, message });
  }
  for (const pair of expired) {
    if ("reason" in pair) continue;
    const secret = pair.name.slice("certificate/".length);
    const message = `The certificate in Secret ${secret} has ended. It is served until there is a new one.`;
    problems.push({ reason: reasons.InvalidCertificateRef, message });
  }
  // Clients' certificates are asked for where HTTP is spoken, as Gateway API says.
  if (validation === undefined || listener.protocol !== "HTTPS") return { certificates, problems };
  const { found, isInsecure } = validation;
  problems.push(...found.problems);
  if (found.material !== undefined)
    return { certificates, problems, clients: { authorities: found.material, isRequired: !isInsecure } };
  const message = "None of the authorities that clients are to be checked by can be used: see ResolvedRefs.";
  return { certificates, problems, refusal: { reason: reasons.NoValidCACertificate, message } };
}
