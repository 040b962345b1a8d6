/**
 * Reads the input of a golden case (`testdata/*.in.yaml`) and writes its output. For tests only: pure, but never part of
 * mc-wan.
 */
import { create, toJson } from "@bufbuild/protobuf";
import type { DescMessage, JsonValue, MessageShape } from "@bufbuild/protobuf";
import { parse, stringify } from "yaml";
import { ClusterSchema } from "../envoy/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import { VirtualHostSchema } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { RouteConfigurationSchema } from "../envoy/envoy/config/route/v3/route_pb.ts";
import { SecretSchema } from "../envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type { Secret } from "../envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { envoyRegistry } from "../envoy/registry.ts";
import type { Desired, PooledGateway, ServedGateway, VouchedClients, WanBackend } from "../model/desired.ts";
import type { FleetConfig, ListenerVerdict, Translation } from "../model/envoy-config.ts";
import { kinds } from "../model/kinds.ts";
import type { KindName } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { authorityConfigMapOf, tlsSecretOf } from "../model/tls-objects.ts";
import { homeKinds } from "../model/world.ts";
import type { Problem } from "../model/problem.ts";
import { Redacted } from "../model/redacted.ts";
import type { World } from "../model/world.ts";

/** A case: objects of the home cluster, which of its Gateways are served, and WAN backends by the name of the dummy. */
export interface CaseFile {
  readonly objects: readonly KubeObject[];
  readonly gateways: readonly {
    readonly gateway: string;
    readonly fleet: string;
    readonly pooled?: PooledGateway;
    readonly refusal?: Problem;
    /** By `namespace/name`, in the order of precedence. */
    readonly listenerSets?: readonly { readonly set: string; readonly isAllowed: boolean }[];
  }[];
  /** Keys of Secrets whose certificates have ended. */
  readonly expired?: readonly string[];
  readonly wanBackends?: Readonly<Record<string, WanBackend>>;
  /** By `namespace/name` of an imported service. */
  readonly clients?: Readonly<Record<string, VouchedClients>>;
  readonly draining?: Desired["draining"];
  /** What fleets of the home cluster show. */
  readonly identities?: Readonly<Record<string, { readonly certificate: string; readonly key: string }>>;
  /** Whose word is taken. */
  readonly trust?: Desired["trust"];
  /** Gateways that were probed, by `address:port`. */
  readonly answering?: Readonly<Record<string, boolean>>;
}

export interface Case {
  readonly world: World;
  readonly desired: Desired;
}

export function parseCase(yaml: string): CaseFile {
  return parse(yaml) as CaseFile;
}

/** The same objects in another order. */
export function reversed(file: CaseFile): CaseFile {
  return {
    objects: file.objects.toReversed(),
    gateways: file.gateways.toReversed(),
    ...(file.expired && { expired: file.expired.toReversed() }),
    ...(file.answering && { answering: file.answering }),
    wanBackends: Object.fromEntries(Object.entries(file.wanBackends ?? {}).reverse()),
    ...(file.clients && { clients: file.clients }),
    ...(file.identities && { identities: file.identities }),
    ...(file.trust && { trust: file.trust }),
  };
}

export function buildCase(file: CaseFile): Case {
  const stores = new Map<KindName, Map<string, KubeObject>>(homeKinds.map((kind) => [kind, new Map()]));
  for (const object of file.objects) {
    const kind = (Object.keys(kinds) as KindName[]).find(
      (name) =>
        stores.has(name) && kinds[name].kind === object.kind && kinds[name].apiVersion === object.apiVersion,
    );
    const store = kind === undefined ? undefined : stores.get(kind);
    if (store === undefined)
      throw new Error(`${object.apiVersion} ${object.kind} is not a kind of the home cluster`);
    store.set(keyOf(object.metadata), keptOf(object));
  }
  const home = Object.fromEntries(stores) as unknown as World["home"];
  const gateways = file.gateways.map(({ gateway, listenerSets = [], ...rest }): ServedGateway => {
    const sets = listenerSets.map(({ set, isAllowed }) => ({
      set: named(home.ListenerSet, set),
      isAllowed,
    }));
    const object = named(home.Gateway, gateway);
    return { gateway: object, addresses: [], ...rest, ...(sets.length === 0 ? {} : { listenerSets: sets }) };
  });
  const settings = {
    envoyImage: "envoy",
    xdsAddress: { host: "xds", port: 1 },
    dummyEndpoints: "All",
    legacyEndpoints: false,
    poolReplicas: 1,
    dataPlane: { name: "envoy" },
    trustDomain: "mc-wan.l7mp.io",
    ingress: { mode: "PodIP", addresses: [] },
  } as const;
  return {
    world: {
      homeId: "home",
      home,
      peers: [],
      absentKinds: new Set(),
      expired: new Set(file.expired),
      listening: new Map(),
      sending: new Map(),
      overdue: new Set(),
      identity: {
        trustDomain: "home.mc-wan.l7mp.io",
        bundle: "",
        gateways: new Map(
          Object.entries(file.identities ?? {}).map(([fleet, { certificate, key }]) => [
            fleet,
            { certificatePem: certificate, keyPem: new Redacted(key) },
          ]),
        ),
      },

      controllerIdentity: undefined,
      answering: new Map(Object.entries(file.answering ?? {})),
      settings,
    },
    desired: {
      objects: new Map(),
      statuses: new Map(),
      gateways,
      httpRoutes: home.HTTPRoute,
      grpcRoutes: home.GRPCRoute,
      tcpRoutes: home.TCPRoute,
      referenceGrants: home.ReferenceGrant,
      wanBackends: new Map(Object.entries(file.wanBackends ?? {})),
      clients: new Map(Object.entries(file.clients ?? {})),
      probes: [],
      draining: file.draining ?? [],
      sendsTo: {},
      accounts: new Map(),
      identities: [],
      trust: file.trust ?? [],
      unaware: [],
    },
  };
}

/** What observe keeps of objects that it doesn't keep as a whole. */
function keptOf(object: KubeObject): KubeObject {
  if (object.kind === "Secret") return tlsSecretOf(object);
  return object.kind === "ConfigMap" ? authorityConfigMapOf(object) : object;
}

function shownListener({ isServed, ...listener }: ListenerVerdict): object {
  // Said only where the conditions don't.
  return { ...listener, ...(!isServed && listener.conditions[0]?.status === "True" && { isServed }) };
}

function named<T>(store: ReadonlyMap<string, T>, key: string): T {
  const object = store.get(key);
  if (object === undefined) throw new Error(`there is no object ${key}`);
  return object;
}

/** The whole result as YAML; what is in an Any is shown, not its bytes. */
export function printTranslation({ config, verdicts }: Translation): string {
  const fleets = mapValues(config.fleets, fleetJson);
  const shown = {
    fleets,
    verdicts: {
      gateways: mapValues(verdicts.gateways, ({ listeners, ...verdict }) => ({
        ...verdict,
        listeners: listeners.map(shownListener),
      })),
      ...(verdicts.listenerSets.size === 0
        ? {}
        : {
            listenerSets: mapValues(verdicts.listenerSets, ({ listeners, ...verdict }) => ({
              ...verdict,
              listeners: listeners.map(shownListener),
            })),
          }),
      httpRoutes: mapValues(verdicts.httpRoutes, same),
      ...(verdicts.backendTlsPolicies.size > 0 && {
        backendTlsPolicies: mapValues(verdicts.backendTlsPolicies, same),
      }),
      ...(verdicts.tcpRoutes.size === 0 ? {} : { tcpRoutes: mapValues(verdicts.tcpRoutes, same) }),
      ...(verdicts.tlsRoutes.size === 0 ? {} : { tlsRoutes: mapValues(verdicts.tlsRoutes, same) }),
      ...(verdicts.grpcRoutes.size === 0 ? {} : { grpcRoutes: mapValues(verdicts.grpcRoutes, same) }),
    },
  };
  return stringify(shown, { sortMapEntries: true, aliasDuplicateObjects: false, lineWidth: 0 });
}

const same = <T>(value: T): T => value;

function mapValues<T, U>(map: ReadonlyMap<string, T>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries([...map].map(([key, value]) => [key, change(value)]));
}

function fleetJson(fleet: FleetConfig): unknown {
  return {
    listeners: mapValues(fleet.listeners, (listener) => json(ListenerSchema, listener)),
    routes: mapValues(fleet.routes, ({ head, virtualHosts }) => ({
      head: json(RouteConfigurationSchema, head),
      virtualHosts: virtualHosts.map((host) => json(VirtualHostSchema, host)),
    })),
    clusters: mapValues(fleet.clusters, (cluster) => json(ClusterSchema, cluster)),
    endpoints: mapValues(fleet.endpoints, (assignment) => json(ClusterLoadAssignmentSchema, assignment)),
    tables: mapValues(fleet.tables, (tables) => tables.join(" ")),
    gateways: mapValues(fleet.gateways, ({ secrets, ...resources }) => ({
      ...resources,
      ...(secrets.length > 0 && { secrets }),
    })),
    ...(fleet.secrets.size > 0 && {
      secrets: mapValues(fleet.secrets, (secret) => secretJson(secret.reveal())),
    }),
    ...(fleet.clusterSecrets.size > 0 && { clusterSecrets: mapValues(fleet.clusterSecrets, same) }),
  };
}

/** Without keys: they are new in no case, and nobody reads them. */
function secretJson(secret: Secret): unknown {
  const { type } = secret;
  if (type.case !== "tlsCertificate") return json(SecretSchema, secret);
  const { privateKey: _key, ...shown } = type.value;
  return json(
    SecretSchema,
    create(SecretSchema, { ...secret, type: { case: "tlsCertificate", value: shown } }),
  );
}

function json<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): JsonValue {
  return toJson(schema, message, { registry: envoyRegistry });
}
