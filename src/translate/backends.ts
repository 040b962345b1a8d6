/**
 * A backendRef → the Envoy cluster it means, or the reason why it is closed.
 *
 *     mc-wan/<dummy>    → wan/<dummy>, or wan/<dummy>/<port>: home's pods first;
 *                         where peers differ in their ports wan/<dummy>/exporting/<port>: those that have the port;
 *                         of a TCPRoute wan/<dummy>/tcp/<port>;
 *                         where gateways speak mutual TLS wan-tls/… for wan/…
 *     <namespace>/<svc> → service/<namespace>/<svc>/<port>
 *
 * Never falls back to another target. A ClusterSpec depends on what the cluster is, not on its endpoints: they come and
 * go without touching a route.
 */
import { reasons } from "../api/conditions.ts";
import { speaksHttp2 } from "../model/app-protocol.ts";
import type { Desired, ServiceRef, WanBackend } from "../model/desired.ts";
import type { AnyRouteKind, ObjectTypes, StreamRouteKind } from "../model/kinds.ts";
import { KeyedMemo, MapMemo } from "../model/memo.ts";
import { annotations, clusterHostname, dummyNamespace } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import type { BackendPolicies, BackendTls } from "./backend-tls.ts";
import { serverNameOf } from "../model/server-names.ts";
import type { ClusterId, World } from "../model/world.ts";
import type { StreamTarget } from "./stream-preface.ts";
import { ReferenceGrants } from "./reference-grants.ts";

/** A Service of the home cluster. */
export interface ServiceClusterSpec {
  readonly form: "Service";
  readonly name: string;
  readonly service: ServiceRef;
  /** `namespace/name` of the Service. */
  readonly serviceKey: string;
  readonly port: number;
  /** Speaks HTTP/2 without TLS (h2c) instead of HTTP/1.1. */
  readonly isHttp2: boolean;
  /** Endpoints that are not ready are listed as UNHEALTHY, so that traffic spills over by their share. */
  readonly listsNotReady: boolean;
  /** By a BackendTLSPolicy. */
  readonly tls?: BackendTls;
  /** The Service keeps a client with one Pod, by its address. */
  readonly hasAffinity: boolean;
  /** A dummy of the import of which these Pods are a part: it says when requests spill over. */
  readonly importedAs?: string;
  /** A cluster's retries would hide those of a rule that says its own. */
  readonly leavesRetriesToRules: boolean;
}

/** A service over a policy: the gateways of the clusters that export it. */
export interface WanClusterSpec {
  readonly form: "Wan";
  readonly name: string;
  readonly dummy: string;
  /** The name of the service behind it: the far end chooses by Host, so no route may send another one there. */
  readonly host: string;
  /** Only peers that export this port of the service; undefined: all. */
  readonly port?: number;
  /** Connections to a TCP port, with a word before them that says so. */
  readonly stream?: StreamTarget;
  /** A client stays with one cluster and gateway, by its address. */
  readonly hasAffinity: boolean;
  /** Set where gateways speak mutual TLS. */
  readonly mutualTls?: MutualTls;
}

/** How a service's gateways are spoken to, and told from all others. */
export interface MutualTls {
  /** What is asked for by SNI. */
  readonly serverName: string;
  /** Clusters whose ingress gateways may answer, sorted. */
  readonly exporters: readonly ClusterId[];
}

/** The same where home exports it too: its own pods, then the rest. */
export interface HomeFirstClusterSpec {
  readonly form: "HomeFirst";
  readonly name: string;
  readonly home: ServiceClusterSpec;
  readonly remote: WanClusterSpec;
}

/** What names of clusters over the WAN begin with: in plain text, and in mutual TLS. */
const wanPrefix = (exporters: WanBackend["exporters"]): string =>
  exporters === undefined ? "wan" : "wan-tls";

/** Whether a cluster's requests to other clusters go over mutual TLS. */
export const isMutualTlsCluster = (name: string): boolean => name.startsWith("wan-tls/");

export type ClusterSpec = ServiceClusterSpec | WanClusterSpec | HomeFirstClusterSpec;

/** A backendRef (or the target of a mirror) with everything that decides where it leads. */
export interface BackendQuery {
  /** Another query with the same key is the same query. */
  readonly key: string;
  /** `namespace/name` of the target. */
  readonly targetKey: string;
  /** Of the route. Backends of GRPCRoutes are spoken to in HTTP/2, whatever their Service says. */
  readonly fromKind: AnyRouteKind;
  /** The rule says when to try again. */
  readonly hasRetry: boolean;
  /** Of a TCPRoute or TLSRoute: TLS, if any, is the client's and the backend's own, and passes through. */
  readonly isPassed?: true;
  readonly fromNamespace: string;
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly port: number | undefined;
  /** The service's port that the rule's port header chooses; only for dummies. */
  readonly wanPort: string | undefined;
}

/** Resolves backendRefs against one World. The same answer is the same object in every pass. */
export type ResolveBackend = (query: BackendQuery) => ClusterSpec | Problem;

/** Starts a pass: gives the resolver for one World; the same resolver while its answers can't have changed. */
export type StartBackends = (world: World, desired: Desired, policies: BackendPolicies) => ResolveBackend;

/** A backend that is closed by what another object says of it, and where that is told: the reference is in order. */
interface ToldProblem extends Problem {
  readonly toldAt: string;
}

type ServicePort = NonNullable<NonNullable<ObjectTypes["Service"]["spec"]>["ports"]>[number];

export function createBackends(): StartBackends {
  const sameGrants = new MapMemo<ObjectTypes["ReferenceGrant"]>();
  const sameWanBackends = new MapMemo<WanBackend>();
  const resolvers = new KeyedMemo<ResolveBackend>();
  const grants = new KeyedMemo<ReferenceGrants>();
  const answers = new KeyedMemo<ClusterSpec | Problem>();

  const createResolver = ({
    referenceGrants,
    wanBackends,
    services,
    policies,
  }: ResolverInput): ResolveBackend => {
    // Whoever asked the resolver before asks this one too: what nobody asked for is forgotten.
    grants.endPass();
    answers.endPass();
    const granted = grants.get("", [referenceGrants], () => new ReferenceGrants(referenceGrants));

    const serviceSpec = (
      service: ServiceRef,
      port: ServicePort,
      { role, hasRetry, ...query }: { role: "service" | "home" } & Protocol,
    ): ServiceClusterSpec | ToldProblem => {
      const protocol = protocolSuffix(port, query);
      const isHttp2 = !isStream(query.fromKind) && (speaksHttp2(port) || protocol !== "");
      const leavesRetriesToRules = role === "service" && hasRetry;
      const suffix = `${protocol}${leavesRetriesToRules ? "/rule-retries" : ""}`;
      const name = `${role}/${service.namespace}/${service.name}/${port.port}${suffix}`;
      const serviceKey = `${service.namespace}/${service.name}`;
      const listsNotReady = role === "home";
      const policy = query.isPassed ? undefined : policies.at(serviceKey, port.name);
      if (policy?.refusal !== undefined) return { ...policy.refusal, toldAt: policy.key };
      const hasAffinity = !listsNotReady && services.get(serviceKey)?.spec?.sessionAffinity === "ClientIP";
      const kind = {
        isHttp2,
        listsNotReady,
        leavesRetriesToRules,
        hasAffinity,
        ...(policy?.tls && { tls: policy.tls }),
      };
      return { form: "Service", name, service, serviceKey, port: port.port, ...kind };
    };

    const resolveDummy = (
      name: string,
      backend: WanBackend,
      { wanPort, fromKind, hasRetry }: Pick<BackendQuery, "wanPort" | "fromKind" | "hasRetry">,
    ): ClusterSpec | Problem => {
      const host = clusterHostname(backend.service);
      const hasAffinity = backend.hasAffinity ?? false;
      const isOfPort = backend.differsByPort === true && /^[0-9]{1,5}$/.test(wanPort ?? "");
      const { service, exporters } = backend;
      // Of another name, so that no cluster ever has the addresses of one mode while it still speaks the other.
      const ofDummy = `${wanPrefix(exporters)}/${name}`;
      const mutualTls = exporters && { mutualTls: { serverName: serverNameOf(service), exporters } };
      const common = { form: "Wan" as const, dummy: name, host, hasAffinity, ...mutualTls };
      const remote: WanClusterSpec =
        isOfPort && wanPort !== undefined
          ? { ...common, name: `${ofDummy}/exporting/${wanPort}`, port: Number(wanPort) }
          : { ...common, name: ofDummy };
      if (backend.home === undefined) return remote;
      const { home } = backend;
      const ports = services.get(`${home.namespace}/${home.name}`)?.spec?.ports ?? [];
      const port =
        wanPort === undefined && ports.length === 1
          ? ports[0]
          : ports.find((one) => String(one.port) === wanPort);
      // Without its port the home cluster can't take part; its peers still know what the header means.
      if (port === undefined) return remote;
      const ownPods = serviceSpec(home, port, { role: "home", fromKind, hasRetry });
      if ("reason" in ownPods) return ownPods;
      return {
        form: "HomeFirst",
        name: `${remote.name}/${port.port}${protocolSuffix(port, { fromKind })}`,
        home: { ...ownPods, importedAs: name },
        remote,
      };
    };

    /** A TCP port of the service behind a dummy: the one that is asked for, else its only one. */
    const resolveStream = (
      name: string,
      backend: WanBackend,
      asked: string | undefined,
    ): ClusterSpec | Problem => {
      const { service, home, tcpPorts = [], hasAffinity = false, exporters } = backend;
      const [only] = tcpPorts.length === 1 ? tcpPorts : [];
      const port = asked === undefined ? only : tcpPorts.find((one) => String(one) === asked);
      if (port === undefined) return closed(reasons.BackendNotFound, streamPortMissing(name, backend, asked));
      const remote: WanClusterSpec = {
        form: "Wan",
        name: `${wanPrefix(exporters)}/${name}/tcp/${port}`,
        dummy: name,
        ...(exporters && { mutualTls: { serverName: serverNameOf(service), exporters } }),
        host: clusterHostname(service),
        stream: { service, port },
        hasAffinity,
      };
      const ports = (home && services.get(`${home.namespace}/${home.name}`)?.spec?.ports) ?? [];
      const own = ports.find((one) => one.port === port && (one.protocol ?? "TCP") === "TCP");
      if (home === undefined || own === undefined) return remote;
      const query = { fromKind: "TCPRoute", isPassed: true, hasRetry: false } as const;
      const ownPods = serviceSpec(home, own, { role: "home", ...query });
      if ("reason" in ownPods) return ownPods;
      const ofHome = { ...ownPods, importedAs: name };
      return { form: "HomeFirst", name: `${remote.name}/home-first`, home: ofHome, remote };
    };

    const resolveService = (query: BackendQuery): ClusterSpec | Problem => {
      const { namespace, name, port } = query;
      const service = services.get(`${namespace}/${name}`);
      if (service === undefined)
        return closed(
          reasons.BackendNotFound,
          `There is no Service ${namespace}/${name}. Create it, or name another.`,
        );
      if (service.spec?.type === "ExternalName") {
        return closed(
          reasons.InvalidKind,
          `Service ${namespace}/${name} is of type ExternalName, which is not allowed here. Name one with Pods of its own.`,
        );
      }
      const found = (service.spec?.ports ?? []).filter((one) => one.port === port);
      const [carried] = found.filter((one) => (one.protocol ?? "TCP") === "TCP");
      if (carried !== undefined)
        return serviceSpec({ namespace, name }, carried, { role: "service", ...protocolOf(query) });
      if (found.length > 0) {
        return closed(
          reasons.UnsupportedProtocol,
          `Port ${port} of Service ${namespace}/${name} is not TCP. Name a TCP port.`,
        );
      }
      const wanted = port === undefined ? "The reference names no port of" : `There is no port ${port} at`;
      return closed(reasons.BackendNotFound, `${wanted} Service ${namespace}/${name}. Name one that it has.`);
    };

    const answer = (query: BackendQuery): ClusterSpec | Problem => {
      const { group, kind, namespace, name } = query;
      if (group !== "" || kind !== "Service") {
        return closed(
          reasons.InvalidKind,
          `Backends of kind ${kind} in group "${group}" are not supported: name a Service.`,
        );
      }
      if (!granted.allows(query)) {
        return closed(
          reasons.RefNotPermitted,
          `No ReferenceGrant lets ${query.fromKind}s of namespace ${query.fromNamespace} name Service ${namespace}/${name}. Create one in namespace ${namespace}.`,
        );
      }
      if (namespace !== dummyNamespace) return resolveService(query);
      const backend = wanBackends.get(name);
      if (backend !== undefined && query.fromKind === "TLSRoute") {
        const message = `A TLSRoute can't name ${namespace}/${name}: only a TCPRoute leads connections over the WAN.`;
        return closed(reasons.UnsupportedProtocol, message);
      }
      if (backend !== undefined && query.fromKind === "TCPRoute")
        return resolveStream(name, backend, query.wanPort);
      if (backend !== undefined) return resolveDummy(name, backend, query);
      return closed(
        reasons.BackendNotFound,
        `There is no Service ${namespace}/${name}. Create it, or name another.`,
      );
    };

    return (query) => {
      const isDummy = query.namespace === dummyNamespace;
      const backend = isDummy ? wanBackends.get(query.name) : undefined;
      const home = backend?.home;
      const service = services.get(home === undefined ? query.targetKey : `${home.namespace}/${home.name}`);
      return answers.get(query.key, [granted, backend, service, policies], (previous) => {
        const found = answer(query);
        return previous !== undefined && isSameAnswer(previous, found) ? previous : found;
      });
    };
  };

  return (world, desired, policies) => {
    const referenceGrants = sameGrants.same(desired.referenceGrants);
    const wanBackends = sameWanBackends.same(desired.wanBackends);
    const services = world.home.Service;
    return resolvers.get("", [referenceGrants, wanBackends, services, policies], () =>
      createResolver({ referenceGrants, wanBackends, services, policies }),
    );
  };
}

/** All that answers depend on. */
interface ResolverInput {
  readonly referenceGrants: Desired["referenceGrants"];
  readonly wanBackends: Desired["wanBackends"];
  readonly services: World["home"]["Service"];
  readonly policies: BackendPolicies;
}

/** Endpoints, labels and the like of a target change without changing the answer: routes then stay as they are. */
function isSameAnswer(a: ClusterSpec | Problem, b: ClusterSpec | Problem): boolean {
  if ("reason" in a || "reason" in b) {
    return "reason" in a && "reason" in b && a.reason === b.reason && a.message === b.message;
  }
  const own = (spec: ClusterSpec): ServiceClusterSpec | undefined =>
    spec.form === "HomeFirst" ? spec.home : spec.form === "Service" ? spec : undefined;
  const exporters = (spec: ClusterSpec): string | undefined =>
    (spec.form === "HomeFirst"
      ? spec.remote
      : spec.form === "Wan"
        ? spec
        : undefined
    )?.mutualTls?.exporters.join();
  const [one, other] = [own(a), own(b)];
  return (
    a.name === b.name &&
    one?.isHttp2 === other?.isHttp2 &&
    one?.tls === other?.tls &&
    hasAffinity(a) === hasAffinity(b) &&
    exporters(a) === exporters(b)
  );
}

/** Whether a client stays with one of the endpoints. Home's Pods before others are shared by all requests alike. */
export const hasAffinity = (spec: ClusterSpec): boolean => spec.form !== "HomeFirst" && spec.hasAffinity;

/** Whether a route of a kind leads connections as they are. */
const isStream = (kind: AnyRouteKind): kind is StreamRouteKind => kind === "TCPRoute" || kind === "TLSRoute";

function streamPortMissing(
  name: string,
  { service, tcpPorts = [] }: WanBackend,
  asked: string | undefined,
): string {
  const what = `Service ${dummyNamespace}/${name}`;
  const { namespace, name: serviceName } = service;
  if (tcpPorts.length === 0)
    return `${what} stands for ${namespace}/${serviceName}, which has no TCP port. Name it in an HTTPRoute, or correct the appProtocol of the Service in the exporting clusters.`;
  const has = tcpPorts.join(", ");
  return asked === undefined
    ? `${what} stands for ${namespace}/${serviceName}, which has several TCP ports (${has}). Say which one by the annotation ${annotations.servicePorts}.`
    : `${what} stands for ${namespace}/${serviceName}, which has no TCP port ${JSON.stringify(asked.slice(0, 16))}. Say one of these by the annotation ${annotations.servicePorts}: ${has}.`;
}

/** A reference that leads nowhere. */
function closed(reason: string, message: string): Problem {
  return { reason, message };
}

type Protocol = Pick<BackendQuery, "fromKind" | "isPassed" | "hasRetry">;

const protocolOf = ({ fromKind, isPassed, hasRetry }: BackendQuery): Protocol => ({
  fromKind,
  hasRetry,
  ...(isPassed && { isPassed }),
});

/** Ends the name of a cluster that speaks HTTP/2 only because a GRPCRoute asks for it, or no HTTP at all. */
function protocolSuffix(port: ServicePort, { fromKind, isPassed }: Omit<Protocol, "hasRetry">): string {
  if (isStream(fromKind)) return isPassed ? "/passed" : "/stream";
  return fromKind === "GRPCRoute" && !speaksHttp2(port) ? "/grpc" : "";
}
