/**
 * Random worlds: small, and nasty where clusters are. What the home cluster's API server would refuse is in none of them;
 * a peer may say whatever its objects can hold.
 */
import fc from "fast-check";
import type { KubeObject } from "../../src/model/kube-object.ts";
import { keyOf } from "../../src/model/kube-object.ts";
import { kindOf } from "../../src/reconcile/world-from-yaml.ts";
import type { WorldFile } from "../../src/reconcile/world-from-yaml.ts";
import { accessPolicy, askedClients, clientPod } from "./clients.ts";
import { backendTlsPolicy, configMap } from "./backend-tls.ts";
import {
  gateway,
  grpcRoute,
  httpRoute,
  listenerSet,
  referenceGrant,
  secret,
  serviceImport,
  tlsRoute,
} from "./gateways.ts";
import { dense, maybe, namespaceName, objectOf, policyName, portNumber, serviceName } from "./names.ts";
import { soundHome, soundPeer } from "./sound-world.ts";
import { endpointSlice, service, serviceExport, wanPolicy } from "./services.ts";

const ours = "mc-wan.l7mp.io/v1alpha1";
const uniqueObjects = { selector: (object: KubeObject) => `${kindOf(object)} ${keyOf(object.metadata)}` };

const pod = fc
  .record({
    fleet: fc.constantFrom("mc-wan-ingress", "mc-wan-egress", "c.web"),
    number: fc.integer({ min: 1, max: 2 }),
    hasAddress: fc.constantFrom(true, true, true, false),
    ready: fc.constantFrom("True", "True", "True", "False"),
  })
  .map(({ fleet, number, hasAddress, ready }) =>
    objectOf(
      ["v1", "Pod"],
      { namespace: "mc-wan-system", name: `${fleet}-${number}`, labels: { "mc-wan.l7mp.io/fleet": fleet } },
      {
        status: {
          ...(hasAddress && { podIP: `198.18.${fleet.length}.${number}` }),
          conditions: [{ type: "Ready", status: ready }],
        },
      },
    ),
  );

/** At most so many of a kind. */
const several = (object: fc.Arbitrary<KubeObject>, maxLength: number) =>
  fc.uniqueArray(object, { ...uniqueObjects, maxLength, size: "medium" });

/** Most objects of a sound list, and random ones, which stand where a sound one has their name. */
const mixed = (sound: readonly KubeObject[], random: readonly fc.Arbitrary<readonly KubeObject[]>[]) =>
  fc
    .tuple(
      fc.tuple(...sound.map((object) => fc.option(fc.constant(object), { nil: undefined, freq: 9 }))),
      fc.tuple(...random),
    )
    .map(([left, lists]) => {
      const all = [...left.filter((object) => object !== undefined), ...lists.flat()];
      return [...new Map(all.map((object) => [uniqueObjects.selector(object), object])).values()];
    });

const home = mixed(soundHome, [
  several(wanPolicy, 2),
  several(service, 3),
  several(endpointSlice, 3),
  several(serviceExport, 2),
  several(serviceImport, 3),
  several(pod, 1),
  several(clientPod, 6),
  several(accessPolicy, 2),
  several(gateway, 1),
  several(listenerSet, 1),
  several(secret, 1),
  several(httpRoute, 3),
  several(grpcRoute, 1),
  several(tlsRoute, 1),
  several(referenceGrant, 3),
  several(backendTlsPolicy, 2),
  several(configMap, 1),
]);

const gatewayAddress = fc.constantFrom(
  "198.18.2.2",
  "198.18.2.2",
  "198.18.3.3",
  "198.18.1.2",
  "127.0.0.1",
  "169.254.169.254",
  "10.96.0.10",
  "fd00::1",
  "0.0.0.0",
);

const advertisedPort = fc
  .record({
    name: maybe(fc.constantFrom("http", "grpc", "", "Not A Name")),
    protocol: fc.constantFrom("TCP", "TCP", "UDP", "SCTP"),
    port: portNumber,
    appProtocol: maybe(fc.constantFrom("http", "kubernetes.io/h2c", "mysql")),
  })
  .map(dense);

const advertisedService = fc
  .record({
    namespace: fc.oneof(
      { weight: 8, arbitrary: namespaceName },
      { weight: 1, arbitrary: fc.constant("mc-wan-system") },
    ),
    name: fc.oneof(
      { weight: 8, arbitrary: serviceName },
      { weight: 1, arbitrary: fc.constantFrom("a..b", "A B", "a.b") },
    ),
    type: fc.constantFrom("ClusterSetIP", "ClusterSetIP", "ClusterSetIP", "Headless"),
    exportTime: fc.constantFrom(
      "2026-01-01T00:00:00Z",
      "2026-01-01T00:00:01Z",
      "2026-01-01T00:00:00.5+01:00",
    ),
    ports: fc.array(advertisedPort, { maxLength: 4 }),
    ipFamilies: fc.constantFrom(["IPv4"], ["IPv4"], ["IPv6"], ["IPv4", "IPv6"], []),
    pool: fc.constantFrom("mc-wan-ingress", "mc-wan-ingress", "c.a", "nowhere"),
    readyBackends: fc.array(
      fc.record({ zone: fc.constantFrom("", "z1"), count: fc.constantFrom(0, 1, 2, 4_294_967_296) }),
      { maxLength: 2 },
    ),
    wanPolicy: maybe(policyName),
    clients: maybe(askedClients),
    path: maybe(fc.constantFrom("Direct", "Gateway")),
    labels: maybe(fc.constantFrom({ app: "x" }, { "app.kubernetes.io/managed-by": "somebody" })),
    sessionAffinity: maybe(fc.constantFrom("None", "ClientIP")),
    endpoints: maybe(
      fc.array(
        fc.record({
          addresses: fc.array(gatewayAddress, { minLength: 1, maxLength: 2 }),
          ready: fc.boolean(),
        }),
        {
          maxLength: 2,
        },
      ),
    ),
  })
  .map(({ namespace, name, ...spec }) =>
    objectOf(
      [ours, "ServiceAdvertisement"],
      { namespace, name },
      { spec: dense({ formatVersion: 1, ...spec }) },
    ),
  );

const advertisedGateways = fc
  .record({
    namespace: fc.constantFrom("mc-wan-system", "mc-wan-system", "mc-wan-system", "c"),
    name: fc.constantFrom("mc-wan-ingress", "mc-wan-ingress", "c.a"),
    mode: fc.constantFrom("PodIP", "NodePort", "LoadBalancer", "Static"),
    endpoints: fc.array(
      fc.record({
        address: gatewayAddress,
        ports: fc.dictionary(
          fc.oneof(policyName, fc.constant("constructor")),
          fc.constantFrom(31111, 31112, 1, 30001),
          { maxKeys: 3 },
        ),
      }),
      { maxLength: 3 },
    ),
  })
  .map(({ namespace, name, ...spec }) =>
    objectOf([ours, "GatewayAdvertisement"], { namespace, name }, { spec: { formatVersion: 1, ...spec } }),
  );

const peer = fc
  .record({
    id: fc.constantFrom("east", "north", "e".repeat(63)),
    state: fc.constantFrom("Synced", "Synced", "Synced", "Stale", "Unsynced", "Refused"),
    objects: fc
      .constantFrom("198.18.2.2", "198.18.3.3")
      .chain((address) =>
        mixed(soundPeer(address), [
          several(wanPolicy, 1),
          several(advertisedService, 2),
          several(advertisedGateways, 1),
        ]),
      ),
  })
  .map(({ id, state, objects }) => ({
    id,
    state,
    ...(state === "Stale" && { staleSince: "2026-03-01T00:00:00Z" }),
    ...(state === "Refused" && { problem: { reason: "Invalid", message: "Not a kubeconfig." } }),
    objects: state === "Unsynced" || state === "Refused" ? [] : objects,
  }));

/** Mostly mc-wan's own Envoys; else an implementation that is there, or isn't. */
const dataPlane = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ name: "envoy" as const }) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom("istio", "istio", "mc-wan", "nowhere")
      .map((gatewayClassName) => ({ name: "gateway-api" as const, gatewayClassName })),
  },
);

/** The form that tests of reconcile are written in, too: what a failure prints can become one. */
export const worldFile: fc.Arbitrary<WorldFile> = fc
  .record({
    homeId: fc.constantFrom("west", "west", "west", "west", undefined),
    settings: fc.record({
      dummyEndpoints: fc.constantFrom("All", "Referenced"),
      legacyEndpoints: fc.boolean(),
      dataPlane,
      ingress: fc.constantFrom(
        { mode: "PodIP", addresses: [] },
        { mode: "PodIP", addresses: [] },
        { mode: "NodePort", addresses: [] },
        { mode: "LoadBalancer", addresses: [] },
        { mode: "Static", addresses: ["198.18.7.7"] },
      ),
    }),
    home,
    peers: fc.uniqueArray(peer, { maxLength: 2, selector: ({ id }) => id, size: "medium" }),
    listening: fc
      .record({
        "mc-wan-ingress-1": maybe(fc.subarray([31111, 31112])),
        "mc-wan-ingress-2": maybe(fc.constant([31111])),
        "mc-wan-egress-1": maybe(fc.subarray([20000, 20001, 20002])),
      })
      .map(dense),
  })
  .map((file) => dense(file) as WorldFile);
