/**
 * Dummy Services per cluster, `<svc>-<ns>-<policy>-<cluster>`: "this service over this policy, in that cluster". Only
 * where another implementation carries the traffic, which can split requests among clusters by weights of Services alone.
 *
 *     route names a service over a policy → a dummy per exporting peer, its slices, grants → weights in the route
 */
import { speaksHttp2 } from "../model/app-protocol.ts";
import type { DesiredObject, WanBackend } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { KeyedMemo } from "../model/memo.ts";
import { clusterDummyParts, derivedName, dummyNamespace, hashedName, labels } from "../model/names.ts";
import { compare } from "../model/order.ts";
import type { ClusterId, World } from "../model/world.ts";
import type { Contribution } from "./assemble.ts";
import { dummyPortName } from "./dummy-services.ts";
import { home, type GatewayDirectory } from "./gateway-directory.ts";
import type { Import } from "./import-side.ts";
import { isOurs, metadataOf, typeOf } from "./owners.ts";
import { proxySlices } from "./proxy-slices.ts";
import { referenceGrants } from "./reference-grants.ts";
import type { BackendTarget } from "./spread-backends.ts";
import type { PolicySet } from "./wan-policies.ts";

/** Name of a dummy by cluster. A cluster whose dummy's name is somebody else's is left out. */
export type ClusterDummies = ReadonlyMap<ClusterId, string>;

/** Names of all services' dummies per cluster, by the name of the dummy for all clusters. */
export type AllClusterDummies = ReadonlyMap<string, ClusterDummies>;

/** Remembers names: they only change when services, policies or clusters come or go. */
export class ClusterDummyNames {
  readonly #memo = new KeyedMemo<AllClusterDummies>();

  /** Names for all imports. Dummies for all clusters hold theirs; of two per cluster the older export's. */
  of(world: World, imports: readonly Import[]): AllClusterDummies {
    const foreign = [...world.home.Service]
      .filter(([, service]) => service.metadata.namespace === dummyNamespace && !isOurs(service))
      .map(([, { metadata }]) => metadata.name)
      .sort(compare);
    const dependencies = imports.flatMap(({ key, dummies, merged }) => [
      key,
      dummies,
      merged.exportedAtMs,
      peersOf(merged).join(),
    ]);
    const result = this.#memo.get("", [foreign.join(), ...dependencies], () => nameAll(imports, foreign));
    this.#memo.endPass();
    return result;
  }
}

const peersOf = ({ members }: Import["merged"]): ClusterId[] =>
  members.flatMap(({ cluster }) => (cluster === home ? [] : [cluster])).sort(compare);

function nameAll(imports: readonly Import[], foreign: readonly string[]): AllClusterDummies {
  const held = new Set([...foreign, ...imports.flatMap(({ dummies }) => [...dummies.names.values()])]);
  const result = new Map<string, ClusterDummies>();
  const byAge = [...imports].sort(
    (a, b) => a.merged.exportedAtMs - b.merged.exportedAtMs || compare(a.key, b.key),
  );
  for (const { service, dummies, merged } of byAge) {
    for (const [policy, dummy] of dummies.names) {
      const names = new Map<ClusterId, string>();
      for (const cluster of peersOf(merged)) {
        const parts = clusterDummyParts(service, policy, cluster);
        const plain = derivedName(...parts);
        const name = held.has(plain) ? hashedName(...parts) : plain;
        // Two long names can share a hash: with the other's it would have the other's backends.
        if (!held.has(name)) names.set(cluster, name);
        held.add(name);
      }
      result.set(dummy, names);
    }
  }
  return result;
}

/** What the dummies of one service per cluster are made of. */
export interface ClusterDummyInput {
  readonly imported: Import;
  /** Its dummies for all clusters that its namespace's routes name. */
  readonly named: ReadonlySet<string>;
  readonly names: AllClusterDummies;
  readonly policies: PolicySet;
  readonly directory: GatewayDirectory;
  readonly owner: OwnerReference | undefined;
  readonly legacyEndpoints: boolean;
}

/** Services, slices and grants. A cluster without ready backends keeps its Service: it has no weight in routes. */
export function clusterDummies(input: ClusterDummyInput): Contribution {
  const { imported, named, names, owner } = input;
  const objects: DesiredObject[] = [];
  const granted: string[] = [];
  for (const [policy, dummy] of imported.dummies.names) {
    if (!named.has(dummy)) continue;
    for (const [cluster, name] of names.get(dummy) ?? []) {
      granted.push(name);
      objects.push(...dummyOf(input, { policy, cluster, name }));
    }
  }
  const { grants, objects: ofGrants } = referenceGrants(imported.service, granted, {
    owner,
    part: "clusters",
  });
  return { objects: [...objects, ...ofGrants], grants };
}

/** An implementation speaks HTTP/2 to a Service only if told so: gRPC needs it, WebSockets must not have it. */
export const wanAppProtocol = ({ ports }: Import["merged"]): string | undefined =>
  ports.some(speaksHttp2) ? "kubernetes.io/h2c" : undefined;

function dummyOf(
  { imported, policies, directory, owner, legacyEndpoints }: ClusterDummyInput,
  { policy, cluster, name }: { readonly policy: string; readonly cluster: ClusterId; readonly name: string },
): DesiredObject[] {
  const port = policies.accepted.get(policy)?.spec.port;
  const member = imported.merged.members.find((known) => known.cluster === cluster);
  if (port === undefined || member === undefined) return [];
  const { service, merged } = imported;
  const appProtocol = wanAppProtocol(merged);
  const object: ObjectTypes["Service"] = {
    ...typeOf("Service"),
    metadata: metadataOf({
      namespace: dummyNamespace,
      name,
      cause: service,
      owner,
      labels: {
        [labels.wanPolicy]: policy,
        [labels.cluster]: cluster,
        [labels.serviceProxyName]: "mc-wan",
      },
    }),
    spec: {
      type: "ClusterIP",
      ports: [
        { name: dummyPortName, protocol: "TCP", port, targetPort: port, ...(appProtocol && { appProtocol }) },
      ],
    },
  };
  const targets = directory.find(cluster, member.spec.pool, policy);
  return [
    { kind: "Service", object },
    ...proxySlices(
      { namespace: dummyNamespace, name, cause: service, owner },
      [{ portName: dummyPortName, appProtocol, targets }],
      legacyEndpoints,
    ),
  ];
}

/** Envoy counts a priority as whole while so many of its endpoints are healthy (overprovisioning factor 1.4): so does home here. */
const overprovisioning = 1.4;

/**
 * Where requests to a port of a service over a policy go: home's own Service first, as much as its ready backends bear,
 * the rest to clusters by their ready backends. Undefined if some cluster has no dummy: then weights can't say it.
 */
export function targetsOf(
  { service, remote, home: isHere }: WanBackend,
  names: ClusterDummies,
  {
    servicePort,
    policyPort,
    homeBackends: { ready, total },
  }: {
    readonly servicePort: number;
    readonly policyPort: number;
    readonly homeBackends: { readonly ready: number; readonly total: number };
  },
): readonly BackendTarget[] | undefined {
  const taking = remote.filter(({ ports }) => ports?.includes(servicePort) ?? true);
  if (taking.some(({ cluster }) => !names.has(cluster))) return undefined;
  const bears = isHere === undefined || ready === 0 ? 0 : Math.min(1, (overprovisioning * ready) / total);
  const homeShare = bears > 0 && taking.length === 0 ? 1 : bears;
  const sum = taking.reduce((all, { weight }) => all + weight, 0);
  const here = { group: "", kind: "Service", name: service.name, port: servicePort };
  return [
    ...(homeShare === 0 ? [] : [{ ref: here, share: homeShare }]),
    ...(homeShare === 1
      ? []
      : taking.map(({ cluster, weight }) => ({
          ref: {
            group: "",
            kind: "Service",
            name: names.get(cluster) ?? "",
            namespace: dummyNamespace,
            port: policyPort,
          },
          share: ((1 - homeShare) * weight) / sum,
        }))),
  ];
}
