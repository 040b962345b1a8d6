/** Worlds of a given size for benchmarks of single stages, with every object as an API server would give it. Pure. */
import { keyOf } from "../src/model/kube-object.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { gatewayClassName, ingressPool, labels, systemNamespace } from "../src/model/names.ts";
import { homeKinds, peerKinds } from "../src/model/world.ts";
import type { HomeObjects, Peer, PeerObjects, World } from "../src/model/world.ts";
import { createReconcile } from "../src/reconcile/reconcile.ts";
import { kindOf, storesOf } from "./kind-of.ts";

export const namespace = "bench";
/** The fleet of the user's Gateway in {@link routesWorld}. */
export const fleet = `${namespace}.bench`;
const policies = ["high", "low", "bulk", "voice", "backup"];
const created = "2026-01-01T00:00:00Z";
let versions = 0;

function object(
  apiVersion: string,
  kind: string,
  rest: { readonly metadata: { name: string; namespace?: string }; readonly [field: string]: unknown },
): KubeObject {
  versions += 1;
  const given = {
    uid: `uid-${versions}`,
    resourceVersion: String(versions),
    generation: 1,
    creationTimestamp: created,
  };
  return { ...rest, apiVersion, kind, metadata: { ...given, ...rest.metadata } };
}

interface WorldParts {
  readonly homeId: string;
  readonly home: readonly KubeObject[];
  /** What the one peer says. */
  readonly peer?: readonly KubeObject[];
  readonly listening?: readonly (readonly [string, readonly number[]])[];
}

function worldOf({ homeId, home, peer, listening = [] }: WorldParts): World {
  const peers =
    peer === undefined
      ? []
      : [
          {
            id: "peer",
            secret: "peer",
            state: "Synced",
            objects: storesOf(peerKinds, peer) as unknown as PeerObjects,
            refused: [],
          } as const,
        ];
  return {
    homeId,
    home: storesOf(homeKinds, home) as unknown as HomeObjects,
    peers,
    answering: new Map(),
    identity: undefined,
    controllerIdentity: undefined,
    absentKinds: new Set(),
    expired: new Set(),
    sending: new Map(),
    overdue: new Set(),
    listening: new Map(listening.map(([pod, ports]) => [pod, new Set(ports)])),
    settings: {
      envoyImage: "envoy",
      xdsAddress: { host: "xds", port: 18_000 },
      dummyEndpoints: "All",
      legacyEndpoints: true,
      poolReplicas: 2,
      dataPlane: { name: "envoy" },
      trustDomain: "mc-wan.l7mp.io",
      ingress: { mode: "PodIP", addresses: [] },
    },
  };
}

/** A Service with one ready endpoint at `address:port`. */
function service(name: string, address: string, port: number): KubeObject[] {
  const ports = [{ name: "http", protocol: "TCP", port }];
  return [
    object("v1", "Service", {
      metadata: { name, namespace },
      spec: {
        type: "ClusterIP",
        clusterIP: "198.19.0.10",
        clusterIPs: ["198.19.0.10"],
        ipFamilies: ["IPv4"],
        ports: ports.map((each) => ({ ...each, targetPort: port })),
      },
    }),
    {
      ...object("discovery.k8s.io/v1", "EndpointSlice", { metadata: { name: `${name}-slice`, namespace } }),
      metadata: {
        name: `${name}-slice`,
        namespace,
        uid: `uid-slice-${name}`,
        resourceVersion: "1",
        labels: { "kubernetes.io/service-name": name },
      },
      addressType: "IPv4",
      ports,
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
    },
  ];
}

/** The HTTPRoute number `index`: a host of its own, to Service `service-<index>`. */
export function route(index: number, port: number): KubeObject {
  return object("gateway.networking.k8s.io/v1", "HTTPRoute", {
    metadata: { name: `route-${index}`, namespace },
    spec: {
      parentRefs: [{ group: "gateway.networking.k8s.io", kind: "Gateway", name: "bench" }],
      hostnames: [hostOf(index)],
      rules: [
        {
          matches: [{ path: { type: "PathPrefix", value: "/" } }],
          backendRefs: [{ group: "", kind: "Service", name: `service-${index}`, port, weight: 1 }],
        },
      ],
    },
  });
}

/** The host of {@link route}. */
export function hostOf(index: number): string {
  return `host-${index}.bench.test`;
}

function cluster(id: string): KubeObject[] {
  const gateway = {
    ...object("v1", "Pod", { metadata: { name: `${id}-ingress-1`, namespace: systemNamespace } }),
    status: { podIP: "198.18.1.2", conditions: [{ type: "Ready", status: "True" }] },
  };
  return [
    object("apiextensions.k8s.io/v1", "CustomResourceDefinition", {
      metadata: { name: "wanpolicies.mc-wan.l7mp.io" },
    }),
    ...[namespace, "mc-wan", systemNamespace].map((name) =>
      object("v1", "Namespace", { metadata: { name } }),
    ),
    ...policies.map((name, index) =>
      object("mc-wan.l7mp.io/v1alpha1", "WANPolicy", {
        metadata: { name },
        spec: { tunnel: name, port: 31_111 + index, mode: "Plain" },
      }),
    ),
    { ...gateway, metadata: { ...gateway.metadata, labels: { [labels.fleet]: ingressPool } } },
  ];
}

/** `count` Services, and as many HTTPRoutes at one Gateway of a user. */
export function routesWorld(
  count: number,
  backend = { address: "198.18.1.9", port: 8080, listenerPort: 80 },
): World {
  const numbers = Array.from({ length: count }, (_, index) => index);
  return worldOf({
    homeId: "home",
    home: [
      ...cluster("home"),
      object("gateway.networking.k8s.io/v1", "Gateway", {
        metadata: { name: "bench", namespace },
        spec: {
          gatewayClassName,
          listeners: [
            {
              name: "http",
              protocol: "HTTP",
              port: backend.listenerPort,
              allowedRoutes: { namespaces: { from: "Same" } },
            },
          ],
        },
      }),
      // One more than there are routes: the route that is added has a Service of its own too.
      ...[...numbers, count].flatMap((index) => service(`service-${index}`, backend.address, backend.port)),
      ...numbers.map((index) => route(index, backend.port)),
    ],
  });
}

/** `count` Services that home and one peer export, under five policies. */
export function exportsWorld(count: number): World {
  const objects = Array.from({ length: count }, (_, index) => index).flatMap((index) => [
    ...service(`service-${index}`, "198.18.1.9", 8080),
    object("multicluster.x-k8s.io/v1beta1", "ServiceExport", {
      metadata: { name: `service-${index}`, namespace },
    }),
  ]);
  const defaultPolicy = { "mc-wan.l7mp.io/default": "true" };
  const withDefault = (found: KubeObject): KubeObject =>
    found.kind === "WANPolicy" && found.metadata.name === "high"
      ? { ...found, metadata: { ...found.metadata, annotations: defaultPolicy } }
      : found;
  const home = [...cluster("home").map(withDefault), ...objects];
  const peerWorld = worldOf({
    homeId: "peer",
    home: [...cluster("peer").map(withDefault), ...objects],
    listening: [["peer-ingress-1", policies.map((_, index) => 31_111 + index)]],
  });
  const advertised = [...createReconcile()(peerWorld).objects.values()].map(({ object: wanted }) => wanted);
  return worldOf({ homeId: "home", home, peer: [...advertised, ...home] });
}

/** The World after a change of one object of the home cluster. */
export function withHome(world: World, changed: KubeObject): World {
  const kind = kindOf(changed) as keyof World["home"];
  const store = new Map<string, unknown>(world.home[kind]);
  store.set(keyOf(changed.metadata), changed);
  return { ...world, home: { ...world.home, [kind]: store } };
}

/** The World after one object of the first peer has changed. */
export function withPeer(world: World, changed: KubeObject): World {
  const kind = kindOf(changed) as keyof Peer["objects"];
  const peers = world.peers.map((peer, index): Peer => {
    if (index > 0) return peer;
    const store = new Map<string, unknown>(peer.objects[kind]);
    store.set(keyOf(changed.metadata), changed);
    return { ...peer, objects: { ...peer.objects, [kind]: store } };
  });
  return { ...world, peers };
}
