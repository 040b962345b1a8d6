/**
 * BackendTLSPolicies: which Services are spoken to in TLS, and how their certificates are checked. A policy that can't be
 * carried out closes its target: nothing ever goes there in plain text instead.
 *
 * Source: Gateway API, BackendTLSPolicy, GEP-713 (the oldest of two policies for one target holds).
 */
import { reasons } from "../api/conditions.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import { KeyedMemo } from "../model/memo.ts";
import { dummyNamespace } from "../model/names.ts";
import { byAge } from "../model/order.ts";
import { messageOf } from "../model/problem.ts";
import type { Problem } from "../model/problem.ts";
import type { World } from "../model/world.ts";
import type { AuthoritiesUse, Certificates, Material } from "./certificates.ts";

type BackendTLSPolicy = ObjectTypes["BackendTLSPolicy"];

/** How a backend is spoken to. */
export interface BackendTls {
  /** What is asked for by SNI. */
  readonly serverName: string;
  /** By which the backend's certificate is checked, with the names of which it must have one. */
  readonly authorities: Material;
}

/** A policy with what was found out about it. */
export interface JudgedPolicy {
  readonly key: string;
  readonly policy: BackendTLSPolicy;
  /** Why it can't be carried out: its targets are closed. */
  readonly refusal?: Problem;
  /** References that lead nowhere. */
  readonly unresolved?: Problem;
  readonly tls?: BackendTls;
}

/** A policy at one of its targets. */
interface Target {
  readonly judged: JudgedPolicy;
  /** The port's name; undefined: all ports. */
  readonly section: string | undefined;
}

/** All policies of a World; another object only where a policy, or what it refers to, is another. */
export class BackendPolicies {
  /** By `namespace/name` of the Service, the oldest first. */
  readonly #byService = new Map<string, Target[]>();
  readonly #judged: readonly JudgedPolicy[];

  constructor(judged: readonly JudgedPolicy[]) {
    this.#judged = judged;
    for (const one of judged) {
      for (const { group, kind, name, sectionName } of one.policy.spec.targetRefs) {
        if (group !== "" || kind !== "Service") continue;
        const key = keyOf({ namespace: one.policy.metadata.namespace, name });
        const targets = this.#byService.get(key) ?? [];
        targets.push({ judged: one, section: sectionName });
        this.#byService.set(key, targets);
      }
    }
  }

  get all(): readonly JudgedPolicy[] {
    return this.#judged;
  }

  /** The policy that holds for a port of a Service, if any: one for the port's name before one for the whole Service. */
  at(serviceKey: string, portName: string | undefined): JudgedPolicy | undefined {
    const targets = this.#byService.get(serviceKey) ?? [];
    const ofPort = targets.find(({ section }) => section !== undefined && section === portName);
    return (ofPort ?? targets.find(({ section }) => section === undefined))?.judged;
  }

  /** Targets of a policy at which an older one holds. */
  lost({ key, policy }: JudgedPolicy): readonly string[] {
    return policy.spec.targetRefs.flatMap(({ name, sectionName }) => {
      const service = keyOf({ namespace: policy.metadata.namespace, name });
      const same = (this.#byService.get(service) ?? []).filter(({ section }) => section === sectionName);
      return same[0] !== undefined && same[0].judged.key !== key ? [service] : [];
    });
  }
}

/** Makes a function that judges the policies of a World and remembers its last pass. */
export function createBackendPolicies(certificates: Certificates): (world: World) => BackendPolicies {
  const judgedMemo = new KeyedMemo<JudgedPolicy>();
  const whole = new KeyedMemo<BackendPolicies>();
  return (world) => {
    judgedMemo.endPass();
    whole.endPass();
    const judged = [...world.home.BackendTLSPolicy]
      // Those of dummies are mc-wan's own: what they say is done for every cluster of gateways, see upstream-tls.ts.
      .filter(([, { metadata }]) => metadata.namespace !== dummyNamespace)
      .sort(([, a], [, b]) => byAge(a, b))
      .map(([key, policy]) => {
        const { caCertificateRefs = [] } = policy.spec.validation;
        const found = certificates.authorities(
          caCertificateRefs.map(({ group, kind, name }) => ({ group, kind, name })),
          { fromKind: "BackendTLSPolicy", fromNamespace: policy.metadata.namespace ?? "" },
          {
            use: { name: `backends/${key}`, names: namesOf(policy) },
            invalid: reasons.InvalidCACertificateRef,
            invalidKind: reasons.InvalidKind,
          },
        );
        const { uid, generation } = policy.metadata;
        return judgedMemo.get(key, [uid ?? policy, generation, found], () => {
          const [first] = found.problems;
          const unresolved = first && { reason: first.reason, message: messageOf(found.problems) };
          const { material } = found;
          if (material === undefined)
            return { key, policy, ...(unresolved && { unresolved }), refusal: refusalOf(policy) };
          const tls = { serverName: policy.spec.validation.hostname, authorities: material };
          return { key, policy, ...(unresolved && { unresolved }), tls };
        });
      });
    return whole.get("", judged, () => new BackendPolicies(judged));
  };
}

function refusalOf({ spec }: BackendTLSPolicy): Problem {
  if ((spec.validation.caCertificateRefs ?? []).length > 0) {
    const message = "None of the authorities can be used: see ResolvedRefs. Requests get 500 until one can.";
    return { reason: reasons.NoValidCACertificate, message };
  }
  const message = `Well-known authorities ("${spec.validation.wellKnownCACertificates ?? ""}") are not supported in this version: put the authorities into a ConfigMap and name it in caCertificateRefs. Requests get 500.`;
  return { reason: reasons.Invalid, message };
}

function namesOf({ spec }: BackendTLSPolicy): NonNullable<AuthoritiesUse["names"]> {
  const { hostname, subjectAltNames = [] } = spec.validation;
  return subjectAltNames.length > 0 ? subjectAltNames : [{ type: "Hostname", hostname }];
}
