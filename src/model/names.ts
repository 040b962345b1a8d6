/**
 * Every name, label and annotation that mc-wan gives to an object. See docs/reference.md.
 *
 * A derived name is readable; over 63 characters (a DNS label) it becomes its first 54, `-`, and 8 hex of the hash of
 * its parts. Two derived names can still meet (`a-b` in `c`, `a` in `b-c`): who holds the plain form is decided in
 * reconcile; the other takes {@link hashedName}.
 */
import { createHash } from "node:crypto";

/** Our API group, and the prefix of our labels and annotations. */
export const group = "mc-wan.l7mp.io";
/** Dummy Services, their slices and grants: nothing else. */
export const dummyNamespace = "mc-wan";
/** Controller, gateways, peers' Secrets, pools' advertisements. */
export const systemNamespace = "mc-wan-system";
/** The GatewayClass that mc-wan serves, and its controllerName. */
export const gatewayClassName = "mc-wan";
export const controllerName = "mc-wan.l7mp.io/gateway-controller";
/** Field manager of every server-side apply. */
export const fieldManager = "mc-wan";
/** The CRD that owns what has no cause in its own namespace: its deletion ends the installation. */
export const ownerCrd = "wanpolicies.mc-wan.l7mp.io";
/** The ClusterProperty that holds a cluster's id (KEP-2149). */
export const clusterIdProperty = "cluster.clusterset.k8s.io";
/** Domain of a cluster's own services, and of the cluster set's. */
export const clusterDomain = "cluster.local";
export const clustersetDomain = "clusterset.local";

/** The Secret of this cluster's certificate authority. */
export const authoritySecret = "mc-wan-ca";
/** In place of a fleet's name: the identity that controllers show to Envoys. No fleet is called so. */
export const controllerIdentity = "mc-wan-controller";
/** The ServiceAccount of controllers. */
export const controllerAccount = "mc-wan-controller";
/** For whom tokens are made that gateways and controllers show to a controller. */
export const tokenAudience = "mc-wan";
/** Where Pods of gateways and of the controller have their token, and gateways by what they check the controller. */
export const doorFolder = "/var/run/mc-wan";
/** The name that the controller's certificate carries, whatever address Envoys reach it at. */
export const controllerServerName = `mc-wan-xds.${systemNamespace}.svc`;

/** The shared pools: node.cluster of their Envoys, names of their Deployments and of the ingress advertisement. */
export const ingressPool = "mc-wan-ingress";
export const egressPool = "mc-wan-egress";

/** Name of the Secret that holds what a peer last said. */
export const peerCopyName = (cluster: string): string => `mc-wan-peer-copy-${cluster}`;

export const labels = {
  managedBy: "app.kubernetes.io/managed-by",
  /** Value of managed-by on everything we write. EndpointSlices carry their own label as well. */
  managedByValue: "mc-wan",
  /** The cause of an object: the namespace and name of the exported service. */
  serviceNamespace: `${group}/service-namespace`,
  serviceName: `${group}/service-name`,
  wanPolicy: `${group}/wan-policy`,
  /** On dummy Services of one cluster: its id. */
  cluster: `${group}/cluster`,
  /** On gateway Pods, their Deployments and Services: the fleet (pool, or `<namespace>.<gateway>`). */
  fleet: `${group}/fleet`,
  /** On what stands for a user's Gateway (Gateway API, GEP-1762): the Gateway's name. */
  gatewayName: "gateway.networking.k8s.io/gateway-name",
  /** On a peer's Secret: the peer's cluster id. */
  peer: `${group}/peer`,
  /** On Secrets of identities: the fleet that shows it; on that of the authority: `authority`. */
  identity: `${group}/identity`,
  /** Value of the label {@link labels.identity} on the authority's Secret. */
  identityOfAuthority: "authority",
  /** On the copy of what a peer last said: its cluster id. */
  peerCopy: `${group}/peer-copy`,
  kubeServiceName: "kubernetes.io/service-name",
  sliceManagedBy: "endpointslice.kubernetes.io/managed-by",
  skipMirror: "endpointslice.kubernetes.io/skip-mirror",
  /** kube-proxy skips a Service that names another proxy. */
  serviceProxyName: "service.kubernetes.io/service-proxy-name",
  mcsServiceName: "multicluster.kubernetes.io/service-name",
  mcsSourceCluster: "multicluster.kubernetes.io/source-cluster",
} as const;

export const annotations = {
  /** On a ServiceExport: the policy that holds where no rule says so. */
  wanPolicy: `${group}/wan-policy`,
  /** The same, as older documents spell it. */
  wanPolicyAlias: "mcw.l7mp.io/mc-wan-policy",
  /** On a Service: the name of a tunnel. */
  tunnel: "policy.sdwan.cisco.com/tunnel",
  /** On a WANPolicy: "true" makes it the default. */
  defaultPolicy: `${group}/default`,
  /** On a ServiceExport: Direct or Gateway. */
  path: `${group}/path`,
  /** On a ServiceExport: ids of the clusters that may import it, with commas. */
  clusters: `${group}/clusters`,
  /** On a ServiceExport: `allow` tells peers of the Pods of a headless service though its policy asks for mutual TLS. */
  unclassified: `${group}/unclassified`,
  /**
   * On TCPRoutes: the ports of the services behind the dummies that it names, in the order of its backendRefs, or one for
   * all: `5432,6432`.
   */
  servicePorts: `${group}/service-ports`,
  /** On gateway Pods: a file beside their token, by its name. */
  doorFile: (name: string): string => `${group}/${name}`,
  /** On our ReferenceGrants: container ports of the egress pool by port of the service, `8080:20123,9090:24321`. */
  egressPorts: `${group}/egress-ports`,
  /** On the authority's Secret: somebody asks for a new one. Taken away when it is begun. */
  rotateAuthority: `${group}/rotate`,
  /** On the authority's Secret: since when it holds the certificates that it holds. */
  authoritySince: `${group}/since`,
  /** On the copy of what a peer last said: hash of it. */
  contentHash: `${group}/content-hash`,
  /** On Gateways: keeps implementations from making them reachable from outside. */
  serviceType: "networking.istio.io/service-type",
} as const;

/** Chooses a port of a service with several; set by the egress, stripped from clients' requests on both sides. */
export const portHeader = "x-mc-wan-port";
/**
 * Says from whom a request comes: `<namespace>/<service account>` of the home Pod that has its source address. Set by the egress,
 * believed by the ingress where the egress has shown who it is, stripped from clients' requests.
 */
export const clientHeader = "x-mc-wan-client";
/** Counts WAN crossings; one is allowed. */
export const hopHeader = "x-mc-wan-hop";

/** A kind of route whose rules become Envoy routes. */
type RoutedKind = "HTTPRoute" | "GRPCRoute";

/** The name of the Envoy routes of one match: tells from which object they come. Ends in `/…` for parts of the match. */
export function envoyRouteName(
  kind: RoutedKind,
  route: { readonly namespace?: string; readonly name: string },
  { rule, match }: { readonly rule: number; readonly match: number },
): string {
  const prefix = kind === "GRPCRoute" ? "grpc/" : "";
  return `${prefix}${route.namespace ?? ""}/${route.name}/rule/${rule}/match/${match}`;
}

/** The object of which {@link envoyRouteName} made this name; undefined for other names. */
export function routeOfEnvoyRoute(
  name: string,
): { readonly kind: RoutedKind; readonly key: string } | undefined {
  const [, prefix, key] = /^(grpc\/)?([^/]*\/[^/]+)\/rule\/[0-9]+\/match\/[0-9]+/.exec(name) ?? [];
  if (key === undefined) return undefined;
  return { kind: prefix === undefined ? "HTTPRoute" : "GRPCRoute", key };
}

const maxName = 63;

function hash8(parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 8);
}

/** The parts joined by `-`, shortened with a hash of the parts where that is over 63 characters. */
export function derivedName(...parts: readonly string[]): string {
  const plain = parts.join("-");
  return plain.length <= maxName ? plain : hashedName(...parts);
}

/** The form with a hash, for names that are too long and for the one who lost a collision. */
export function hashedName(...parts: readonly string[]): string {
  return `${parts.join("-").slice(0, maxName - 9)}-${hash8(parts)}`;
}

/**
 * A derived name that is a Service's (a DNS label that begins with a letter), of parts that may be names of any kind: a
 * Gateway's may hold dots and begin with a digit. Where the parts are no such name as they are, what is left of them gets
 * their hash.
 */
export function derivedLabel(...parts: readonly string[]): string {
  const plain = parts.join("-");
  if (/^[a-z][-a-z0-9]*$/.test(plain)) return derivedName(...parts);
  const legible = plain.replaceAll(".", "-");
  const label = /^[a-z]/.test(legible) ? legible : `gw-${legible}`;
  return `${label.slice(0, maxName - 9)}-${hash8(parts)}`;
}

/** Gateway, HTTPRoute of the exporting cluster. */
export const ingressName = (service: string): string => derivedName(service, "ingress");
/** Shadow Service, egress Gateway and its first HTTPRoute. */
export const shadowName = (service: string): string => derivedName(service, "clusterset");
/** Dummy Service in {@link dummyNamespace}: this service over this policy. */
export const dummyName = (service: string, namespace: string, policy: string): string =>
  derivedName(service, namespace, policy);
/** Dummy Service in {@link dummyNamespace}: this service over this policy in one cluster. */
export const clusterDummyParts = (
  service: { readonly namespace: string; readonly name: string },
  policy: string,
  cluster: string,
): readonly string[] => [service.name, service.namespace, policy, cluster];
/**
 * GatewayAdvertisement of a service that has ingress gateways of its own. Unlike a derived name it can't meet another's:
 * no namespace holds a dot, and neither does the name of the shared pool.
 */
export const servicePool = (service: { readonly namespace: string; readonly name: string }): string =>
  `${service.namespace}.${service.name}`;
/** The name that backends see, and by which an ingress gateway tells services apart: `<svc>.<ns>.svc.cluster.local`. */
export const clusterHostname = (service: { readonly namespace: string; readonly name: string }): string =>
  `${service.name}.${service.namespace}.svc.${clusterDomain}`;
/** Never the name of an Envoy cluster (ours hold a slash): what leads there is closed. */
export const closedCluster = "closed";
