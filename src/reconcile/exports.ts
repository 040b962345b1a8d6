/**
 * The home cluster's exports: which ServiceExports are valid, what peers are told of them, and what stands beside them.
 *
 *     ServiceExport + Service + EndpointSlices → ServiceAdvertisement, ingress Gateway, ingress HTTPRoute
 */
import { reasons } from "../api/conditions.ts";
import { modeOf } from "../api/wan-policy.ts";
import type { ServiceExport } from "../api/multicluster.ts";
import type { AdvertisedPort, ServiceAdvertisementSpec } from "../api/service-advertisement.ts";
import type { DesiredObject, ServedGateway, ServiceAccess, ServiceRef } from "../model/desired.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import {
  clusterHostname,
  derivedName,
  annotations,
  gatewayClassName as ownGatewayClassName,
  ingressName,
  ingressPool,
  portHeader,
} from "../model/names.ts";
import { compare } from "../model/order.ts";
import { firstOf, type Problem } from "../model/problem.ts";
import { isReserved } from "../model/reserved-services.ts";
import type { Settings } from "../model/world.ts";
import { accessOf, clientsToTell } from "./access.ts";
import { clientsOfSet, mutualTlsListener } from "./mutual-tls.ts";
import { poolOf } from "./ingress-pool.ts";
import { endpointsOf, readyByZone, unreachableOf } from "./endpoints-of-services.ts";
import { toldEndpoints } from "./headless-endpoints.ts";
import { ingressHostnames } from "./hostnames.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import { desired, metadataOf, ownerReference, typeOf } from "./owners.ts";
import { advertisable, carriedPorts, maxRules, unadvertisedProblems } from "./port-limits.ts";
import { carriageOf } from "./protocols.ts";
import { defaultPolicy, type PolicyChoice, type PolicySet } from "./wan-policies.ts";

/** What an export is judged by. */
export interface ExportInput {
  readonly serviceExport: ServiceExport;
  readonly service: ObjectTypes["Service"] | undefined;
  readonly slices: readonly ObjectTypes["EndpointSlice"][];
  readonly policies: PolicySet;
  /** Those that are for it, the oldest first. */
  readonly accessPolicies: readonly ObjectTypes["AccessPolicy"][];
  readonly settings: Settings;
}

/** A ServiceExport of the home cluster, judged. */
export interface HomeExport {
  readonly ref: ServiceRef;
  readonly serviceExport: ServiceExport;
  /** Why it can't be exported; then nothing stands for it. */
  readonly invalid?: Problem;
  /** What peers are told; undefined if `invalid`. */
  readonly advertisement?: ServiceAdvertisementSpec;
  /** The policy that holds where no rule says so, or why none does. */
  readonly choice: PolicyChoice;
  /** Who of other clusters may call it; left out: every one of the set. */
  readonly access?: ServiceAccess;
  /** Annotations that mean nothing. */
  readonly problems: readonly Problem[];
  /** Ports that peers can't be told of. */
  readonly unadvertised: readonly Problem[];
  /** Endpoints, and clients of AccessPolicies, that are left out. */
  readonly unheeded: readonly Problem[];
}

/** Judges one ServiceExport. */
export function judgeExport({
  serviceExport,
  service,
  slices,
  policies,
  accessPolicies,
  settings,
}: ExportInput): HomeExport {
  const ref = { namespace: serviceExport.metadata.namespace ?? "", name: serviceExport.metadata.name };
  const exportAnnotations = serviceExport.metadata.annotations ?? {};
  const choice = defaultPolicy(policies, exportAnnotations, service?.metadata.annotations ?? {});
  const path = exportAnnotations[annotations.path];
  const { access, problems: accessProblems } = accessOf(serviceExport, accessPolicies);
  const { clients, problems: clientProblems } = clientsToTell(access ?? {});
  const pathProblems: Problem[] =
    path === undefined || path === "Direct" || path === "Gateway"
      ? []
      : [
          {
            reason: reasons.InvalidAnnotation,
            message: `The annotation ${annotations.path} must be Direct or Gateway, and is not heeded. Correct it, or take it off.`,
          },
        ];
  const ports = service === undefined ? [] : portsOf(service);
  const base = {
    ref,
    serviceExport,
    choice,
    ...(access === undefined ? {} : { access }),
    problems: [...pathProblems, ...accessProblems],
    unadvertised: unadvertisedProblems(ports),
    unheeded: [],
  };
  const invalid = invalidity(ref, service);
  if (service === undefined || invalid !== undefined) return { ...base, invalid: invalid ?? noService(ref) };
  const headless = service.spec?.clusterIP === "None";
  const endpoints = endpointsOf(slices);
  const told = headless ? toldEndpoints(endpoints, exportAnnotations, { choice, policies }) : undefined;
  const { exportedLabels = {}, exportedAnnotations = {} } = serviceExport.spec ?? {};
  const spec = service.spec ?? {};
  const advertisement: ServiceAdvertisementSpec = {
    formatVersion: 1,
    type: headless ? "Headless" : "ClusterSetIP",
    exportTime: serviceExport.metadata.creationTimestamp ?? "",
    ports: advertisable(ports),
    ...(spec.sessionAffinity === undefined ? {} : { sessionAffinity: spec.sessionAffinity }),
    ...(spec.sessionAffinityConfig?.clientIP?.timeoutSeconds === undefined
      ? {}
      : {
          sessionAffinityConfig: {
            clientIP: { timeoutSeconds: spec.sessionAffinityConfig.clientIP.timeoutSeconds },
          },
        }),
    ...(spec.internalTrafficPolicy === undefined
      ? {}
      : { internalTrafficPolicy: spec.internalTrafficPolicy }),
    ...(spec.trafficDistribution === undefined ? {} : { trafficDistribution: spec.trafficDistribution }),
    ipFamilies: (spec.ipFamilies ?? ["IPv4"]).filter((family) => family === "IPv4" || family === "IPv6"),
    ...(Object.keys(exportedLabels).length === 0 ? {} : { labels: exportedLabels }),
    ...(Object.keys(exportedAnnotations).length === 0 ? {} : { annotations: exportedAnnotations }),
    ...("policy" in choice ? { wanPolicy: choice.policy } : {}),
    ...(path === "Direct" || path === "Gateway" ? { path } : {}),
    ...(access?.clusters === undefined ? {} : { clusters: [...access.clusters] }),
    ...(clients.length === 0 ? {} : { clients }),
    pool: poolOf(ref, settings),
    readyBackends: readyByZone(endpoints),
    ...(told === undefined ? {} : { endpoints: told.endpoints }),
  };
  return {
    ...base,
    advertisement,
    unheeded: [...(told?.problems ?? []), ...unusable(unreachableOf(slices)), ...clientProblems],
  };
}

/** Of an export's endpoints those that can't be a host's. */
function unusable(unreachable: readonly string[]): Problem[] {
  if (unreachable.length === 0) return [];
  const shown = firstOf(unreachable.map((address) => JSON.stringify(address.slice(0, 45))));
  const message = `No requests are sent to ${shown}: no IPv4 address of a host. Correct the EndpointSlices of the Service.`;
  return [{ reason: reasons.UnusableAddress, message }];
}

const noService = (ref: ServiceRef): Problem => ({
  reason: reasons.NoService,
  message: `There is no Service "${ref.name}" in namespace "${ref.namespace}". Create it, or delete the ServiceExport.`,
});

function invalidity(ref: ServiceRef, service: ObjectTypes["Service"] | undefined): Problem | undefined {
  if (isReserved(ref)) {
    return {
      reason: reasons.InvalidServiceType,
      message: `Services of the control plane and of mc-wan itself can't be exported: "${ref.namespace}/${ref.name}" stays in this cluster. Delete the ServiceExport.`,
    };
  }
  if (service === undefined || service.metadata.deletionTimestamp !== undefined) return noService(ref);
  if (service.spec?.type === "ExternalName") {
    return {
      reason: reasons.InvalidServiceType,
      message:
        "A Service of type ExternalName can't be exported (KEP-1645). Give it a selector, or export another one.",
    };
  }
  return undefined;
}

function portsOf(service: ObjectTypes["Service"]): AdvertisedPort[] {
  return (service.spec?.ports ?? [])
    .map((port) => ({
      ...(port.name === undefined || port.name === "" ? {} : { name: port.name }),
      protocol: port.protocol ?? "TCP",
      port: port.port,
      ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    }))
    .sort((a, b) => a.port - b.port || compare(a.protocol, b.protocol));
}

/** Said of TCP ports of an export that does not let everybody in. */
export function closedTcpProblems({ access, advertisement }: HomeExport): Problem[] {
  const { tcp } = carriedPorts(advertisement?.ports ?? [], true);
  if (access === undefined || tcp.length === 0) return [];
  const numbers = tcp.map(({ port }) => port).join(", ");
  const message = `Connections to TCP ports (${numbers}) are closed: who may open them can't be limited, and an AccessPolicy or the annotation ${annotations.clusters} limits the service. Export TCP ports under a Service of their own, or take the limit off.`;
  return [{ reason: reasons.UnsupportedProtocol, message }];
}

/** What stands for a valid export in its own cluster. */
export interface IngressSide {
  readonly objects: readonly DesiredObject[];
  readonly gateway?: ServedGateway;
  readonly routes?: readonly ObjectTypes["HTTPRoute"][];
}

/** Whether requests, or connections where TCP is carried, can arrive for the service from other clusters at all. */
export function needsIngress(
  { type, ports }: ServiceAdvertisementSpec,
  policies: PolicySet,
  carriesTcp = false,
): boolean {
  const { http, tcp } = carriedPorts(ports, carriesTcp);
  return type !== "Headless" && policies.accepted.size > 0 && http.length + tcp.length > 0;
}

/** The ServiceAdvertisement and, if requests can arrive for it, the ingress Gateway and its HTTPRoutes. */
export function ingressSide(
  { ref, serviceExport, advertisement, access }: HomeExport,
  policies: PolicySet,
  around: {
    /** Of Gateways; undefined: none may be written. */
    readonly gatewayClassName: string | undefined;
    /** Of the shared ingress gateways. */
    readonly addresses: readonly string[];
    readonly carriesTcp: boolean;
    /** The CRD: a ServiceExport outlives the installation, and what we made for it must not. */
    readonly owner: OwnerReference | undefined;
  },
): IngressSide {
  if (advertisement === undefined) return { objects: [] };
  const { gatewayClassName, addresses, carriesTcp, owner } = around;
  const identity = { namespace: ref.namespace, cause: ref, owner };
  const advertised = desired("ServiceAdvertisement", {
    ...typeOf("ServiceAdvertisement"),
    metadata: metadataOf({ ...identity, name: ref.name, owner: ownerReference(serviceExport) }),
    spec: advertisement,
  });
  const httpPorts = advertisement.ports.filter((port) => carriageOf(port) === "HTTP");
  // Another implementation can't tell clients of other clusters apart: who may not let all of them in lets none.
  const isOpen = access === undefined || gatewayClassName === ownGatewayClassName;
  // A connection says nothing that an AccessPolicy could look at: where some are kept out, none comes in.
  const isTcpOpen = carriesTcp && access === undefined;
  if (!needsIngress(advertisement, policies, isTcpOpen) || gatewayClassName === undefined || !isOpen)
    return { objects: [advertised] };
  const tcpPorts = carriedPorts(advertisement.ports, isTcpOpen).tcp.map(({ port }) => port);
  const name = ingressName(ref.name);
  const listeners = [...policies.accepted.values()].map((policy) => ({
    name: policy.metadata.name,
    port: policy.spec.port,
    ...(modeOf(policy) === "MutualTLS" ? mutualTlsListener : { protocol: "HTTP" }),
    allowedRoutes: { namespaces: { from: "Same" as const } },
  }));
  const isSecured = listeners.some(({ protocol }) => protocol === "HTTPS");
  const gateway: ObjectTypes["Gateway"] = {
    ...typeOf("Gateway"),
    metadata: metadataOf({ ...identity, name, annotations: { [annotations.serviceType]: "ClusterIP" } }),
    spec: { gatewayClassName, listeners, ...(isSecured && { tls: { frontend: clientsOfSet } }) },
  };
  const routes = Array.from(
    { length: Math.ceil(httpPorts.length / maxRules) },
    (_, index): ObjectTypes["HTTPRoute"] => ({
      ...typeOf("HTTPRoute"),
      metadata: metadataOf({
        ...identity,
        name: index === 0 ? name : derivedName(ref.name, "ingress", String(index + 1)),
      }),
      spec: {
        parentRefs: [{ group: "gateway.networking.k8s.io", kind: "Gateway", name }],
        hostnames: ingressHostnames(ref),
        rules: httpPorts.slice(index * maxRules, (index + 1) * maxRules).map((port) => ({
          matches: [
            {
              path: { type: "PathPrefix" as const, value: "/" },
              // One port alone needs no telling apart: clients of Direct shadows can't name it.
              ...(httpPorts.length === 1
                ? {}
                : { headers: [{ type: "Exact" as const, name: portHeader, value: String(port.port) }] }),
            },
          ],
          filters: [{ type: "URLRewrite" as const, urlRewrite: { hostname: clusterHostname(ref) } }],
          backendRefs: [{ group: "", kind: "Service", name: ref.name, port: port.port, weight: 1 }],
        })),
      },
    }),
  );
  return {
    objects: [advertised, desired("Gateway", gateway), ...routes.map((route) => desired("HTTPRoute", route))],
    gateway: {
      gateway,
      fleet: ingressPool,
      addresses,
      pooled: {
        role: "Ingress",
        service: ref,
        hostnames: ingressHostnames(ref),
        ...(tcpPorts.length > 0 && {
          tcp: { ports: tcpPorts, hasAffinity: advertisement.sessionAffinity === "ClientIP" },
        }),
        containerPorts: Object.fromEntries(listeners.map((listener) => [listener.name, listener.port])),
        ...(access === undefined ? {} : { access }),
      },
    },
    routes,
  };
}
