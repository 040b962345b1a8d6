/**
 * What a backendRef of an L7 ServiceImport leads to: a WANPolicy (this service over it), a dummy Service of a service of
 * the same namespace, an MCS ServiceImport or a Service of the same namespace. Anything else closes.
 */
import { reasons } from "../api/conditions.ts";
import type { HTTPBackendRef } from "../api/service-import.ts";
import type { ServiceRef } from "../model/desired.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { dummyNamespace, group as ourGroup, labels } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import type { DummyNames } from "./dummy-services.ts";
import type { Carriage } from "./protocols.ts";
import { policyByName, type PolicyChoice, type PolicySet } from "./wan-policies.ts";

/** A reference as an HTTPRoute says it. */
export interface RouteRef {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly port?: number;
}

/** Where a backendRef leads. */
export type Resolution =
  | {
      readonly ref: RouteRef;
      /** The service behind, whose name its backends expect. */
      readonly service: ServiceRef;
      /** For a dummy: the service's port, for the port header. */
      readonly servicePort?: number;
    }
  | { readonly ref: RouteRef; readonly problem: Problem };

/** How connections to a port are carried. */
type CarriedAs = Exclude<Carriage, "None">;

/** An imported service of the namespace, as references see it. */
export interface ImportedService {
  readonly service: ServiceRef;
  readonly dummies: DummyNames;
  /** Names of its dummies that somebody else holds. */
  readonly taken: readonly string[];
  readonly choice: PolicyChoice;
  /** Numbers of its ports that are carried, by how. */
  readonly ports: Readonly<Record<CarriedAs, readonly number[]>>;
}

/** What references of one namespace may lead to. */
export interface ReferableServices {
  readonly policies: PolicySet;
  /** Imported services of the namespace, by name. */
  readonly imports: ReadonlyMap<string, ImportedService>;
  /** Their dummies, by the dummy's name. */
  readonly dummies: ReadonlyMap<string, { readonly imported: ImportedService; readonly policy: string }>;
  /** A Service of the namespace. */
  readonly localService: (name: string) => ObjectTypes["Service"] | undefined;
}

/** The reference whose rule is being translated: which service's, on which of its ports. */
export interface RefContext {
  readonly service: ServiceRef;
  readonly port: number;
  readonly carriage: CarriedAs;
  readonly referable: ReferableServices;
}

/** A reference that no implementation can resolve: Gateway API answers 500 for its share of the requests. */
export const unresolvable = (name: string): RouteRef => ({ group: ourGroup, kind: "Unresolved", name });

/** Resolves one backendRef. */
export function resolveBackendRef(
  ref: Omit<HTTPBackendRef, "weight" | "filters">,
  context: RefContext,
): Resolution {
  const kind = `${ref.group ?? ""}/${ref.kind ?? "Service"}`;
  const { service } = context;
  const outside = ref.namespace !== undefined && ref.namespace !== service.namespace;
  if (kind === `${ourGroup}/WANPolicy`) return overPolicy(ref, context);
  if (kind === "/Service" && ref.namespace === dummyNamespace) return dummy(ref, context);
  if (outside) {
    return refused(ref, {
      reason: reasons.RefNotPermitted,
      message: `backendRef "${ref.name}" is in namespace "${ref.namespace ?? ""}". Only Services and imports of namespace "${service.namespace}", and dummies in "${dummyNamespace}", can be named.`,
    });
  }
  if (kind === "multicluster.x-k8s.io/ServiceImport") return otherImport(ref, context);
  if (kind === "/Service") return localService(ref, context);
  return refused(ref, {
    reason: reasons.InvalidKind,
    message: `backendRef "${ref.name}" is of kind ${ref.kind ?? "Service"} in group "${ref.group ?? ""}", which can't be named here. Name a WANPolicy, a dummy Service, an MCS ServiceImport or a Service.`,
  });
}

const refused = (ref: { readonly name: string }, problem: Problem): Resolution => ({
  ref: unresolvable(ref.name),
  problem,
});

function overPolicy(ref: HTTPBackendRef, context: RefContext): Resolution {
  const choice = policyByName(context.referable.policies, ref.name);
  const imported = context.referable.imports.get(context.service.name);
  if ("problem" in choice) return refused(ref, choice.problem);
  if (imported === undefined) return refused(ref, notFound(ref.name, context));
  return overWan(ref, { imported, policy: choice.policy, port: ref.port }, context);
}

function dummy(ref: HTTPBackendRef, context: RefContext): Resolution {
  // Names of other namespaces' dummies are not even looked at: absent and forbidden answer alike.
  const found = context.referable.dummies.get(ref.name);
  if (found === undefined) return refused(ref, missingDummy(ref.name, context));
  const policyPort = context.referable.policies.accepted.get(found.policy)?.spec.port;
  if (ref.port !== undefined && ref.port !== policyPort) {
    return refused(ref, {
      reason: reasons.BackendNotFound,
      message: `Dummy Service "${ref.name}" has port ${policyPort ?? 0}, not ${ref.port}. Leave the port out.`,
    });
  }
  return overWan(ref, { imported: found.imported, policy: found.policy, port: undefined }, context);
}

/** Why a name is no dummy of this namespace: its policy is gone, its name is held by others, or it never was one. */
function missingDummy(name: string, context: RefContext): Problem {
  for (const { service, taken } of context.referable.imports.values()) {
    const prefix = `${service.name}-${service.namespace}-`;
    if (taken.includes(name)) return heldByOthers(name);
    if (!name.startsWith(prefix)) continue;
    const choice = policyByName(context.referable.policies, name.slice(prefix.length));
    if ("problem" in choice) return choice.problem;
  }
  return notFound(`${dummyNamespace}/${name}`, context);
}

const heldByOthers = (name: string): Problem => ({
  reason: reasons.NotOurs,
  message: `Service "${name}" in namespace "${dummyNamespace}" is not mc-wan's, and left alone. Remove it, so that the dummy Service can stand.`,
});

function otherImport(ref: HTTPBackendRef, context: RefContext): Resolution {
  const imported = context.referable.imports.get(ref.name);
  if (imported === undefined) return refused(ref, notFound(`ServiceImport ${ref.name}`, context));
  if ("problem" in imported.choice) return refused(ref, imported.choice.problem);
  return overWan(ref, { imported, policy: imported.choice.policy, port: ref.port }, context);
}

function overWan(
  ref: HTTPBackendRef,
  target: { readonly imported: ImportedService; readonly policy: string; readonly port: number | undefined },
  context: RefContext,
): Resolution {
  const { imported, policy } = target;
  const name = imported.dummies.get(policy);
  const port = context.referable.policies.accepted.get(policy)?.spec.port;
  if (name === undefined || port === undefined) {
    return refused(ref, heldByOthers(imported.taken.join(", ")));
  }
  const ports = imported.ports[context.carriage];
  const servicePort = chosenPort(target.port, ports, context.port);
  if (servicePort === undefined) return refused(ref, portNotFound(ref, ports, context));
  return {
    ref: { group: "", kind: "Service", name, namespace: dummyNamespace, port },
    service: imported.service,
    servicePort,
  };
}

function localService(ref: HTTPBackendRef, context: RefContext): Resolution {
  const found = context.referable.localService(ref.name);
  if (found === undefined || found.spec?.type === "ExternalName")
    return refused(ref, notFound(ref.name, context));
  const shadowOf = found.metadata.labels?.[labels.managedBy] === labels.managedByValue;
  if (shadowOf) {
    return refused(ref, {
      reason: reasons.RefNotPermitted,
      message: `Service "${ref.name}" is mc-wan's own and would lead back to the gateway. Name a WANPolicy or the MCS ServiceImport instead.`,
    });
  }
  const ports = (found.spec?.ports ?? [])
    .filter((port) => (port.protocol ?? "TCP") === "TCP")
    .map((port) => port.port);
  const port = chosenPort(ref.port, ports, context.port);
  if (port === undefined) return refused(ref, portNotFound(ref, ports, context));
  return {
    ref: { group: "", kind: "Service", name: ref.name, port },
    service: { namespace: context.service.namespace, name: ref.name },
  };
}

/** The port that is asked for, else the one at which the request came, else the only one. */
function chosenPort(asked: number | undefined, ports: readonly number[], came: number): number | undefined {
  if (asked !== undefined) return ports.includes(asked) ? asked : undefined;
  if (ports.includes(came)) return came;
  return ports.length === 1 ? ports[0] : undefined;
}

/** What happens to the share of a reference that leads nowhere. */
const closedWords = {
  HTTP: "Requests for it are answered with 500.",
  TCP: "Its connections are closed.",
} as const satisfies Record<CarriedAs, string>;

const notFound = (name: string, { service, carriage }: RefContext): Problem => ({
  reason: reasons.BackendNotFound,
  message: `backendRef "${name}" leads to nothing that namespace "${service.namespace}" may name. ${closedWords[carriage]} Create it, or name another.`,
});

const portNotFound = (ref: HTTPBackendRef, ports: readonly number[], { carriage }: RefContext): Problem => ({
  reason: reasons.BackendNotFound,
  message:
    ref.port === undefined
      ? `backendRef "${ref.name}" has several ports or none (${ports.join(", ")}). Name one.`
      : `backendRef "${ref.name}" has no ${carriage} port ${ref.port}. Name one of these: ${ports.join(", ")}.`,
});
