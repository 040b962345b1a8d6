/**
 * Every kind of object that mc-wan reads or writes: its API coordinates and its TypeScript type.
 *
 * The key is unambiguous where two groups share a kind: `McsServiceImport` (multicluster.x-k8s.io) and
 * `ServiceImport` (ours, L7); and where one kind is read for several ends: `Secret` (a peer's kubeconfig), `TlsSecret` (a
 * user's certificate) and `IdentitySecret` (this cluster's authority, and its gateways' certificates); `Pod` (a gateway's) and
 * `ClientPod` (any, as a client).
 */
import type { IBackendTLSPolicy } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/BackendTLSPolicy";
import type { IGateway } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/Gateway";
import type { IGatewayClass } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/GatewayClass";
import type { IGRPCRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/GRPCRoute";
import type { IHTTPRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute";
// Its fields are those of v1, of which the package has no types yet.
import type { ITCPRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1alpha2/TCPRoute";
import type { ITLSRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/TLSRoute";
import type { IListenerSet } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/ListenerSet";
import type { IReferenceGrant } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1beta1/ReferenceGrant";
import type { IDeployment } from "kubernetes-models/apps/v1/Deployment";
import type { IEndpointSlice } from "kubernetes-models/discovery.k8s.io/v1/EndpointSlice";
import type { IServiceCIDR } from "kubernetes-models/networking.k8s.io/v1/ServiceCIDR";
import type { IPodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import type { IEndpoints } from "kubernetes-models/v1/Endpoints";
import type { INamespace } from "kubernetes-models/v1/Namespace";
import type { INode } from "kubernetes-models/v1/Node";
import type { IPod } from "kubernetes-models/v1/Pod";
import type { ISecret } from "kubernetes-models/v1/Secret";
import type { IService } from "kubernetes-models/v1/Service";
import type { IServiceAccount } from "kubernetes-models/v1/ServiceAccount";
import type { AccessPolicy } from "../api/access-policy.ts";
import type { GatewayAdvertisement } from "../api/gateway-advertisement.ts";
import type { ClusterProperty, McsServiceImport, ServiceExport } from "../api/multicluster.ts";
import type { ServiceAdvertisement } from "../api/service-advertisement.ts";
import type { ServiceImport } from "../api/service-import.ts";
import type { WANPolicy } from "../api/wan-policy.ts";
import type { ClientPod } from "./client-pod.ts";
import type { IdentitySecret } from "./identity.ts";
import type { Kube, ObjectMeta } from "./kube-object.ts";
import type { AuthorityConfigMap, TlsSecret } from "./tls-objects.ts";

/** Where a kind lives in the API. */
export interface KindInfo {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const of = (apiVersion: string, kind: string, scope: { plural: string; namespaced: boolean }): KindInfo => ({
  apiVersion,
  kind,
  ...scope,
});
const inNamespace = (plural: string): { plural: string; namespaced: boolean } => ({
  plural,
  namespaced: true,
});
const inCluster = (plural: string): { plural: string; namespaced: boolean } => ({
  plural,
  namespaced: false,
});

const gatewayApi = "gateway.networking.k8s.io/v1";
const ours = "mc-wan.l7mp.io/v1alpha1";

/** All kinds, by the key that code uses. */
export const kinds = {
  Namespace: of("v1", "Namespace", inCluster("namespaces")),
  Node: of("v1", "Node", inCluster("nodes")),
  ServiceCIDR: of("networking.k8s.io/v1", "ServiceCIDR", inCluster("servicecidrs")),
  Service: of("v1", "Service", inNamespace("services")),
  ServiceAccount: of("v1", "ServiceAccount", inNamespace("serviceaccounts")),
  Endpoints: of("v1", "Endpoints", inNamespace("endpoints")),
  Pod: of("v1", "Pod", inNamespace("pods")),
  ClientPod: of("v1", "Pod", inNamespace("pods")),
  Secret: of("v1", "Secret", inNamespace("secrets")),
  TlsSecret: of("v1", "Secret", inNamespace("secrets")),
  IdentitySecret: of("v1", "Secret", inNamespace("secrets")),
  ConfigMap: of("v1", "ConfigMap", inNamespace("configmaps")),
  EndpointSlice: of("discovery.k8s.io/v1", "EndpointSlice", inNamespace("endpointslices")),
  Deployment: of("apps/v1", "Deployment", inNamespace("deployments")),
  PodDisruptionBudget: of("policy/v1", "PodDisruptionBudget", inNamespace("poddisruptionbudgets")),
  CustomResourceDefinition: of(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    inCluster("customresourcedefinitions"),
  ),
  GatewayClass: of(gatewayApi, "GatewayClass", inCluster("gatewayclasses")),
  Gateway: of(gatewayApi, "Gateway", inNamespace("gateways")),
  ListenerSet: of(gatewayApi, "ListenerSet", inNamespace("listenersets")),
  HTTPRoute: of(gatewayApi, "HTTPRoute", inNamespace("httproutes")),
  GRPCRoute: of(gatewayApi, "GRPCRoute", inNamespace("grpcroutes")),
  TCPRoute: of(gatewayApi, "TCPRoute", inNamespace("tcproutes")),
  TLSRoute: of(gatewayApi, "TLSRoute", inNamespace("tlsroutes")),
  BackendTLSPolicy: of(gatewayApi, "BackendTLSPolicy", inNamespace("backendtlspolicies")),
  EnvoyProxy: of("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy", inNamespace("envoyproxies")),
  ReferenceGrant: of("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", inNamespace("referencegrants")),
  ServiceExport: of("multicluster.x-k8s.io/v1beta1", "ServiceExport", inNamespace("serviceexports")),
  McsServiceImport: of("multicluster.x-k8s.io/v1beta1", "ServiceImport", inNamespace("serviceimports")),
  ClusterProperty: of("about.k8s.io/v1alpha1", "ClusterProperty", inCluster("clusterproperties")),
  AccessPolicy: of(ours, "AccessPolicy", inNamespace("accesspolicies")),
  WANPolicy: of(ours, "WANPolicy", inCluster("wanpolicies")),
  ServiceImport: of(ours, "ServiceImport", inNamespace("serviceimports")),
  ServiceAdvertisement: of(ours, "ServiceAdvertisement", inNamespace("serviceadvertisements")),
  GatewayAdvertisement: of(ours, "GatewayAdvertisement", inNamespace("gatewayadvertisements")),
} as const satisfies Record<string, KindInfo>;

/** Kinds of routes whose rules choose by request. */
export const routeKinds = ["HTTPRoute", "GRPCRoute"] as const;
export type RouteKind = (typeof routeKinds)[number];

/** Kinds of routes that choose by connection. */
const streamRouteKinds = ["TCPRoute", "TLSRoute"] as const;
export type StreamRouteKind = (typeof streamRouteKinds)[number];

/** Routes of every kind that is carried: their status is a list with an entry for each parent. */
export const anyRouteKinds = [...routeKinds, ...streamRouteKinds] as const;
export type AnyRouteKind = (typeof anyRouteKinds)[number];

/** Whether objects of a kind are routes. */
export const isAnyRouteKind = (kind: string): kind is AnyRouteKind =>
  (anyRouteKinds as readonly string[]).includes(kind);

/** The key of a kind in {@link kinds}. */
export type KindName = keyof typeof kinds;

/** The TypeScript type of each kind. */
export interface ObjectTypes {
  Namespace: Kube<INamespace>;
  /** Only name, uid and pod ranges: a node's status changes all the time. */
  Node: Kube<INode>;
  ServiceCIDR: Kube<IServiceCIDR>;
  Service: Kube<IService>;
  ServiceAccount: Kube<IServiceAccount>;
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- Written on demand for consumers that read nothing newer (--legacy-endpoints).
  Endpoints: Kube<IEndpoints>;
  /** Only Pods of our gateways. */
  Pod: Kube<IPod>;
  /** Of all Pods: whose they are, and their addresses. */
  ClientPod: ClientPod;
  Secret: Kube<ISecret>;
  /** Of type kubernetes.io/tls: certificates of Gateways. */
  TlsSecret: TlsSecret;
  /** Of mc-wan itself, in mc-wan-system. */
  IdentitySecret: IdentitySecret;
  /** Only authorities. */
  ConfigMap: AuthorityConfigMap;
  /** Those that mc-wan writes. */
  EndpointSlice: Kube<IEndpointSlice>;
  Deployment: Kube<IDeployment>;
  PodDisruptionBudget: Kube<IPodDisruptionBudget>;
  CustomResourceDefinition: { apiVersion: string; kind: string; metadata: ObjectMeta };
  GatewayClass: Kube<IGatewayClass>;
  Gateway: Kube<IGateway>;
  ListenerSet: Kube<IListenerSet>;
  HTTPRoute: Kube<IHTTPRoute>;
  GRPCRoute: Kube<IGRPCRoute>;
  TCPRoute: Kube<ITCPRoute>;
  TLSRoute: Kube<ITLSRoute>;
  BackendTLSPolicy: Kube<IBackendTLSPolicy>;
  ReferenceGrant: Kube<IReferenceGrant>;
  /** Parameters of Envoy Gateway, which need not be there. */
  EnvoyProxy: { apiVersion: string; kind: string; metadata: ObjectMeta; spec?: unknown };
  ServiceExport: ServiceExport;
  McsServiceImport: McsServiceImport;
  ClusterProperty: ClusterProperty;
  AccessPolicy: AccessPolicy;
  WANPolicy: WANPolicy;
  ServiceImport: ServiceImport;
  ServiceAdvertisement: ServiceAdvertisement;
  GatewayAdvertisement: GatewayAdvertisement;
}
