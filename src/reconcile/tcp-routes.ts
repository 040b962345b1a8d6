/**
 * The TCPRoute of an imported TCP port: what `spec.tcp` of the L7 ServiceImport says, else one backend, the policy that
 * holds. A reference that leads nowhere keeps its weight: that share of connections is closed, and never goes to another.
 */
import type { AdvertisedPort } from "../api/service-advertisement.ts";
import type { ServiceImport } from "../api/service-import.ts";
import type { ServiceRef } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { annotations, derivedName, dummyNamespace, shadowName } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import { resolveBackendRef, unresolvable, type RefContext, type RouteRef } from "./backend-refs.ts";
import { metadataOf, typeOf } from "./owners.ts";

/** One TCP port of an import. */
export interface TcpRouteInput {
  readonly service: ServiceRef;
  readonly port: AdvertisedPort;
  /** Name of the port's listener. */
  readonly listener: string;
  readonly tcp: ServiceImport["spec"]["tcp"];
  /** The dummy of the policy that holds, or why there is none. */
  readonly fallback: { readonly ref: RouteRef } | { readonly problem: Problem };
  readonly referable: RefContext["referable"];
  readonly owner: OwnerReference | undefined;
}

/** A TCPRoute, and references in it that lead nowhere. */
export interface TcpRoute {
  readonly route: ObjectTypes["TCPRoute"];
  readonly unresolved: readonly Problem[];
}

interface Backend {
  readonly ref: RouteRef;
  readonly weight: number;
  /** The service's port behind a dummy. */
  readonly servicePort?: number;
}

/** The TCPRoute of a port. */
export function tcpRoute(input: TcpRouteInput): TcpRoute {
  const { service, port, listener, owner } = input;
  const { backends, unresolved } = backendsOf(input);
  const servicePorts = backends.map(({ servicePort }) => servicePort ?? port.port).join();
  const route: ObjectTypes["TCPRoute"] = {
    ...typeOf("TCPRoute"),
    metadata: metadataOf({
      namespace: service.namespace,
      name: derivedName(service.name, "clusterset", listener),
      cause: service,
      owner,
      annotations: { [annotations.servicePorts]: servicePorts },
    }),
    spec: {
      parentRefs: [
        {
          group: "gateway.networking.k8s.io",
          kind: "Gateway",
          name: shadowName(service.name),
          sectionName: listener,
        },
      ],
      rules: [{ backendRefs: backends.map(({ ref, weight }) => ({ ...ref, weight })) }],
    },
  };
  return { route, unresolved };
}

function backendsOf(input: TcpRouteInput): {
  readonly backends: readonly Backend[];
  readonly unresolved: readonly Problem[];
} {
  const { service, port, tcp, fallback, referable } = input;
  if (tcp === undefined) {
    if ("problem" in fallback) {
      return {
        backends: [{ ref: unresolvable(service.name), weight: 1 }],
        unresolved: [fallback.problem],
      };
    }
    return { backends: [{ ref: fallback.ref, weight: 1, servicePort: port.port }], unresolved: [] };
  }
  const context: RefContext = { service, port: port.port, carriage: "TCP", referable };
  const unresolved: Problem[] = [];
  const backends = tcp.backendRefs.map((ref): Backend => {
    const found = resolveBackendRef(ref, context);
    const weight = ref.weight ?? 1;
    if ("problem" in found) {
      unresolved.push({ ...found.problem, message: `Port ${port.port}: ${found.problem.message}` });
      return { ref: found.ref, weight };
    }
    const isDummy = found.ref.namespace === dummyNamespace;
    return isDummy && found.servicePort !== undefined
      ? { ref: found.ref, weight, servicePort: found.servicePort }
      : { ref: found.ref, weight };
  });
  return { backends, unresolved };
}
