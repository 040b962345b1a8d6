/**
 * Other implementations of Gateway API that can carry mc-wan's Gateways: how each is told to keep a Gateway internal, and
 * which Service it makes for one. A GatewayClass of which that is not known gets no Gateway: it could open every exported
 * service to the Internet.
 *
 * Sources: Istio, "Kubernetes Gateway API", automated deployment; Envoy Gateway 1.9, EnvoyProxy API and
 * internal/gatewayapi (labels of what it makes); Cilium, "GatewayClass Parameters Support".
 */
import { reasons } from "../api/conditions.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import { controllerName as ownControllerName } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import { isRecord } from "../model/record.ts";
import type { HomeObjects } from "../model/world.ts";

type Service = ObjectTypes["Service"];

/** An implementation that carries the Gateways of a class, and keeps them internal. */
export interface Implementation {
  /** For a person. */
  readonly name: string;
  /** In statuses of routes. */
  readonly controllerName: string;
  /** `namespace/name` of the Gateway that a Service was made for; undefined if it is no such Service. */
  readonly gatewayOf: (service: Service, gateways: HomeObjects["Gateway"]) => string | undefined;
}

/** What is known of a GatewayClass: who carries its Gateways, or why none may be written. */
export type JudgedClass = { readonly implementation: Implementation } | { readonly problem: Problem };

/** controllerNames by which implementations are known. */
const controllers = {
  istio: "istio.io/gateway-controller",
  envoyGateway: "gateway.envoyproxy.io/gatewayclass-controller",
  cilium: "io.cilium/gateway-controller",
} as const;

/** Judges the GatewayClass by its name. */
export function judgeClass(
  name: string,
  home: Pick<HomeObjects, "GatewayClass" | "EnvoyProxy">,
): JudgedClass {
  const gatewayClass = home.GatewayClass.get(name);
  const closed = (reason: string, message: string): JudgedClass => ({
    problem: { reason, message: `${message} No Gateway is written.` },
  });
  if (gatewayClass === undefined) {
    return closed(
      reasons.NoGatewayClass,
      `There is no GatewayClass "${name}", which the controller was told to use (--gateway-class). Install its implementation, or correct the name.`,
    );
  }
  const { controllerName } = gatewayClass.spec;
  switch (controllerName) {
    case controllers.istio:
      return { implementation: istio };
    case controllers.envoyGateway: {
      const parameters = internalEnvoyProxy(gatewayClass, home.EnvoyProxy);
      return "problem" in parameters
        ? closed(reasons.NotInternal, parameters.problem)
        : { implementation: envoyGateway(parameters.namespace) };
    }
    case controllers.cilium:
      return closed(
        reasons.UnknownImplementation,
        `GatewayClass "${name}" is Cilium's, whose Gateways have no Pods of their own: kept internal (CiliumGatewayClassConfig, service type ClusterIP), they have no address that another cluster can reach. Use Istio, Envoy Gateway or --data-plane envoy.`,
      );
    case ownControllerName:
      return closed(
        reasons.UnknownImplementation,
        `GatewayClass "${name}" is mc-wan's own: run the controller with --data-plane envoy, or name another class.`,
      );
    default:
      return closed(
        reasons.UnknownImplementation,
        `GatewayClass "${name}" is of ${JSON.stringify(controllerName)}: it isn't known how that keeps a Gateway from being reached from outside. Use Istio (${controllers.istio}), Envoy Gateway (${controllers.envoyGateway}) or --data-plane envoy.`,
      );
  }
}

/** Istio makes a Service beside the Gateway, which owns it; the annotation on generated Gateways makes that a ClusterIP. */
const istio: Implementation = {
  name: "Istio",
  controllerName: controllers.istio,
  gatewayOf: ({ metadata }, gateways) => {
    const gateway = metadata.labels?.["gateway.networking.k8s.io/gateway-name"];
    if (gateway === undefined) return undefined;
    const key = keyOf({ namespace: metadata.namespace, name: gateway });
    const uid = gateways.get(key)?.metadata.uid;
    const isOwned = (metadata.ownerReferences ?? []).some(
      (owner) => owner.kind === "Gateway" && owner.uid === uid,
    );
    return isOwned ? key : undefined;
  },
};

/**
 * Envoy Gateway makes the Service in its own namespace, or in the Gateway's. Elsewhere anybody who may create Services
 * could put the labels on one of theirs, and take another tenant's traffic.
 */
const envoyGateway = (itsNamespace: string): Implementation => ({
  name: "Envoy Gateway",
  controllerName: controllers.envoyGateway,
  gatewayOf: ({ metadata }) => {
    const name = metadata.labels?.["gateway.envoyproxy.io/owning-gateway-name"];
    const namespace = metadata.labels?.["gateway.envoyproxy.io/owning-gateway-namespace"];
    if (name === undefined || namespace === undefined) return undefined;
    return metadata.namespace === itsNamespace || metadata.namespace === namespace
      ? keyOf({ namespace, name })
      : undefined;
  },
});

/** Namespace of the EnvoyProxy that keeps a class of Envoy Gateway internal; or why it is not kept so, and what to do. */
function internalEnvoyProxy(
  { metadata, spec }: ObjectTypes["GatewayClass"],
  envoyProxies: HomeObjects["EnvoyProxy"],
): { readonly namespace: string } | { readonly problem: string } {
  const { parametersRef } = spec;
  const remedy = `Give GatewayClass "${metadata.name}" a parametersRef to an EnvoyProxy in Envoy Gateway's own namespace with spec.provider.kubernetes.envoyService.type ClusterIP.`;
  const isEnvoyProxy =
    parametersRef?.group === "gateway.envoyproxy.io" && parametersRef.kind === "EnvoyProxy";
  if (!isEnvoyProxy || parametersRef.namespace === undefined)
    return { problem: `Envoy Gateway makes Services of type LoadBalancer unless told otherwise. ${remedy}` };
  const key = `${parametersRef.namespace}/${parametersRef.name}`;
  const envoyProxy = envoyProxies.get(key);
  if (envoyProxy === undefined)
    return { problem: `There is no EnvoyProxy ${key}, to which the class refers. ${remedy}` };
  const service = at(envoyProxy.spec, "provider", "kubernetes", "envoyService");
  if (at(service, "type") !== "ClusterIP")
    return { problem: `EnvoyProxy ${key} doesn't make Services of type ClusterIP. ${remedy}` };
  if (at(service, "patch") !== undefined)
    return {
      problem: `EnvoyProxy ${key} patches its Services, and what comes of that isn't known. ${remedy}`,
    };
  if (at(envoyProxy.spec, "mergeGateways") === true)
    return {
      problem: `EnvoyProxy ${key} merges Gateways, and Gateways of several services can't share the ports of WANPolicies. Set mergeGateways to false.`,
    };
  return { namespace: parametersRef.namespace };
}

/** What is under a path of field names; undefined where there is none. */
function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((found, field) => (isRecord(found) ? found[field] : undefined), value);
}
