/**
 * All that stands in an importing cluster's namespace for one service: MCS ServiceImport, shadow Service with its slices,
 * MCS slices, and the egress Gateway with its routes where traffic goes through it.
 */
import type { ServiceImport } from "../api/service-import.ts";
import { reasons } from "../api/conditions.ts";
import type { McsServiceImport } from "../api/multicluster.ts";
import type { AdvertisedPort } from "../api/service-advertisement.ts";
import type { DesiredObject, ServedGateway, ServiceRef } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { labels, shadowName } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import type { ClusterId } from "../model/world.ts";
import type { ReferableServices } from "./backend-refs.ts";
import type { EgressPlace } from "./egress-place.ts";
import type { NamedDummies } from "./dummy-services.ts";
import { egressSide } from "./egress-routes.ts";
import type { GatewayDirectory, Home } from "./gateway-directory.ts";
import { mcsSpec, readyCount, type Merged } from "./imports.ts";
import { mcsSlices, unusableEndpoints } from "./mcs-slices.ts";
import type { OwnRanges } from "./own-ranges.ts";
import { desired, isOurs, metadataOf, ownerReference, typeOf } from "./owners.ts";
import { proxySlices, type PortTargets, type Target } from "./proxy-slices.ts";
import type { FindTargets } from "./spread-backends.ts";
import { clusterIPsOf, shadowService, isPlain, standingContainerPort, type Path } from "./shadow-services.ts";
import type { PolicyChoice, PolicySet } from "./wan-policies.ts";

/** A service as this cluster imports it. */
export interface Import {
  /** `namespace/name` of the service. */
  readonly key: string;
  readonly service: ServiceRef;
  readonly merged: Merged;
  /** The L7 ServiceImport, if there is one. */
  readonly rules: ServiceImport | undefined;
  /** The policy that holds where no rule says so, if this cluster has accepted it. */
  readonly choice: PolicyChoice;
  readonly dummies: NamedDummies;
  readonly path: Path;
  /** Ports that are carried as HTTP. */
  readonly httpPorts: readonly AdvertisedPort[];
  /** Ports that are carried as TCP. */
  readonly tcpPorts: readonly AdvertisedPort[];
  /** `namespace/name` of the shadow Service and of the egress Gateway. */
  readonly shadowKey: string;
  /** `namespace/name` of the ReferenceGrant that notes its container ports. */
  readonly grantKey: string;
}

/** What an import meets in this cluster. */
export interface ImportSurroundings {
  readonly homeId: ClusterId | undefined;
  readonly policies: PolicySet;
  readonly directory: GatewayDirectory;
  readonly referable: ReferableServices;
  readonly owner: OwnerReference | undefined;
  readonly legacyEndpoints: boolean;
  /** What stands under the shadow's name, whosever it is. */
  readonly shadow: ObjectTypes["Service"] | undefined;
  /** The MCS ServiceImport that stands. */
  readonly mcs: McsServiceImport | undefined;
  /** Whether an IP is that of another Service. */
  readonly isTaken: (ip: string) => boolean;
  /** This cluster's pod and service ranges. */
  readonly ranges: OwnRanges;
  /** Of Gateways; undefined: none may be written. */
  readonly gatewayClassName: string | undefined;
  readonly egress: EgressPlace;
  /** Whether the cluster has TCPRoutes. */
  readonly hasTcpRoutes: boolean;
  readonly stale: StaleGateways;
  /** Set where the routes have to say which cluster gets how much. */
  readonly findTargets: FindTargets | undefined;
}

/** An import's gateways in stale clusters, for the policy that holds. */
export type StaleGateways = ReadonlyMap<ClusterId | Home, readonly Target[]>;

/** What stands for one import. */
export interface ImportSide {
  readonly objects: readonly DesiredObject[];
  readonly gateway?: ServedGateway;
  readonly routes: readonly ObjectTypes["HTTPRoute"][];
  readonly tcpRoutes?: readonly ObjectTypes["TCPRoute"][];
  /** Rules of the L7 ServiceImport that are not applied. */
  readonly refusals: readonly Problem[];
  /** References that lead nowhere. */
  readonly unresolved: readonly Problem[];
  /** Rules that are followed, though not to the letter. */
  readonly lapses?: readonly Problem[];
  /** Dummies whose requests the routes spread over clusters. */
  readonly dummies?: readonly string[];
  /** Set if the IP that the import held belongs to another Service now. */
  readonly ipChanged?: Problem;
  /** What is wrong with Pods that other clusters give for a headless service. */
  readonly unusable?: readonly Problem[];
  /** Gateways of stale clusters that the shadow leads to past any Envoy. */
  readonly probes: readonly Target[];
}

/** Everything in the service's namespace. */
export function importSide(imported: Import, around: ImportSurroundings): ImportSide {
  const { service, merged } = imported;
  const { shadow: standing, owner } = around;
  const shadow = standing !== undefined && isOurs(standing) ? standing : undefined;
  const held = around.mcs !== undefined && isOurs(around.mcs) ? (around.mcs.spec.ips ?? []) : [];
  const ips = shadow === undefined ? held : clusterIPsOf(shadow);
  const [wanted] = shadow === undefined && merged.type !== "Headless" ? held : [];
  const lost = wanted !== undefined && around.isTaken(wanted);
  const objects: DesiredObject[] = [mcsImport(imported, lost ? [] : ips, owner)];
  const mcsOwner = around.mcs === undefined || !isOurs(around.mcs) ? undefined : ownerReference(around.mcs);
  const policy = "policy" in imported.choice ? imported.choice.policy : undefined;
  if (mcsOwner !== undefined) {
    objects.push(
      ...mcsSlices({
        service,
        merged,
        httpPorts: imported.httpPorts,
        tcpPorts: imported.tcpPorts,
        policy,
        directory: around.directory,
        homeId: around.homeId,
        ranges: around.ranges,
        owner: mcsOwner,
      }),
    );
  }
  if (merged.type === "Headless") {
    const unusable = unusableEndpoints(merged, around.ranges);
    return { objects, routes: [], refusals: [], unresolved: [], probes: [], unusable };
  }

  const direct = goesDirect(imported, around, shadow);
  const targetPorts = new Map(around.egress.containerPorts);
  if (direct && policy !== undefined) {
    const port = around.policies.accepted.get(policy)?.spec.port;
    for (const { port: number } of imported.httpPorts) if (port !== undefined) targetPorts.set(number, port);
  }
  objects.push(
    desired(
      "Service",
      shadowService({ service, merged, targetPorts, clusterIP: lost ? undefined : wanted, owner }),
    ),
    ...proxySlices(
      { namespace: service.namespace, name: shadowName(service.name), cause: service, owner },
      [...imported.httpPorts, ...imported.tcpPorts].map((port) =>
        targetsOf(port, direct ? policy : undefined, { imported, around }),
      ),
      around.legacyEndpoints,
    ),
  );
  const probes = direct ? [...around.stale.values()].flat() : [];
  const ipChanged = lost
    ? {
        ipChanged: {
          reason: reasons.IPChanged,
          message: `The IP ${wanted} that the import held belongs to another Service now: clients that keep it must look the name up again.`,
        },
      }
    : {};
  const { gatewayClassName } = around;
  if (
    imported.httpPorts.length + imported.tcpPorts.length === 0 ||
    around.egress.containerPorts.size === 0 ||
    gatewayClassName === undefined
  ) {
    return { objects, routes: [], refusals: [], unresolved: [], probes, ...ipChanged };
  }
  const egress = egressSide({
    service,
    gatewayClassName,
    ports: imported.httpPorts,
    tcpPorts: imported.tcpPorts,
    containerPorts: around.egress.containerPorts,
    rules: imported.rules,
    choice: imported.choice,
    dummies: imported.dummies.names,
    policies: around.policies,
    referable: around.referable,
    addresses: lost ? [] : ips,
    findTargets: around.findTargets,
    owner,
  });
  objects.push(
    desired("Gateway", egress.gateway.gateway),
    ...egress.routes.map((route) => desired("HTTPRoute", route)),
    // Without the kind the gateway follows them all the same.
    ...(around.hasTcpRoutes ? egress.tcpRoutes.map((route) => desired("TCPRoute", route)) : []),
  );
  const { gateway, routes, tcpRoutes, refusals, unresolved, lapses, dummies } = egress;
  return { objects, gateway, routes, tcpRoutes, refusals, unresolved, lapses, dummies, probes, ...ipChanged };
}

/**
 * Whether traffic goes past the egress gateway now. On the way from Direct to Gateway it does until an Envoy listens at
 * the new container port, unless none could: a client's request must not meet a port without a listener.
 */
function goesDirect(
  imported: Import,
  around: ImportSurroundings,
  shadow: ObjectTypes["Service"] | undefined,
): boolean {
  if (imported.path === "Direct") return true;
  const [port, second] = imported.httpPorts;
  if (
    shadow === undefined ||
    port === undefined ||
    second !== undefined ||
    "problem" in imported.choice ||
    // No client speaks what the far end does.
    !isPlain(imported.choice.policy, around.policies) ||
    !around.egress.mayListen
  )
    return false;
  const wasDirect =
    (shadow.spec?.ports ?? []).length === 1 &&
    shadow.spec?.ports?.[0]?.port === port.port &&
    standingContainerPort(shadow, port.port) === undefined;
  return wasDirect && (around.egress.listening.get(port.port) ?? []).length === 0;
}

function targetsOf(
  port: AdvertisedPort,
  directPolicy: string | undefined,
  { imported, around }: { readonly imported: Import; readonly around: ImportSurroundings },
): PortTargets {
  const words = { portName: port.name, appProtocol: port.appProtocol };
  if (directPolicy === undefined) {
    const target = around.egress.containerPorts.get(port.port);
    const pods = around.egress.listening.get(port.port) ?? [];
    return {
      ...words,
      targets: target === undefined ? [] : pods.map(({ address }) => ({ address, port: target })),
    };
  }
  const targets = imported.merged.members.flatMap((member): readonly Target[] => {
    if (readyCount(member) === 0) return [];
    return (
      around.stale.get(member.cluster) ??
      around.directory.find(member.cluster, member.spec.pool, directPolicy)
    );
  });
  return { ...words, targets };
}

function mcsImport(
  { service, merged }: Import,
  ips: readonly string[],
  owner: OwnerReference | undefined,
): DesiredObject {
  const { labels: exportedLabels = {}, annotations = {} } = merged.oldest;
  // An exporter must not be able to make our object look like somebody else's, or like another service's.
  const foreign = Object.entries(exportedLabels).filter(
    ([key, value]) => !Object.values<string>(labels).includes(key) && isLabel(key, value),
  );
  return desired("McsServiceImport", {
    ...typeOf("McsServiceImport"),
    metadata: metadataOf({
      namespace: service.namespace,
      name: service.name,
      cause: service,
      owner,
      labels: Object.fromEntries(foreign),
      annotations: Object.fromEntries(Object.entries(annotations).filter(([key]) => qualifiedName.test(key))),
    }),
    spec: mcsSpec(merged, ips),
  });
}

const qualifiedName =
  /^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Whether the API server takes a label. A peer's word is not enough: one that it refuses would cost the whole import. */
function isLabel(key: string, value: string): boolean {
  return qualifiedName.test(key) && (value === "" || (!value.includes("/") && qualifiedName.test(value)));
}
