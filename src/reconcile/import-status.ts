/** Conditions of an import: of the MCS ServiceImport, and of the L7 ServiceImport whose rules hold for it. */
import { reasons, types } from "../api/conditions.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import type { Condition } from "../model/kube-object.ts";
import { shadowName } from "../model/names.ts";
import { messageOf, type Problem } from "../model/problem.ts";
import type { World } from "../model/world.ts";
import { condition, unless, type Finding } from "./conditions.ts";
import type { OtherCarrier } from "./data-plane.ts";
import type { Import, ImportSide } from "./import-side.ts";
import type { Merged } from "./imports.ts";
import { tierProblems } from "./placement.ts";
import { uncarriedProblems } from "./port-limits.ts";
import { carriageOf } from "./protocols.ts";
import { clusterIPsOf, isPlain } from "./shadow-services.ts";
import type { PolicySet } from "./wan-policies.ts";
import { theirVerdicts } from "./their-verdicts.ts";
import { affinityConditions, classified, notOurs, renamedWords } from "./status-words.ts";

/** What an MCS ServiceImport meets in this cluster. */
export interface McsSurroundings {
  readonly foreign: readonly string[];
  readonly side: ImportSide | undefined;
  readonly shadow: ObjectTypes["Service"] | undefined;
  /** Exporting clusters that are not heard any more, and exports that can't be read. */
  readonly unusable: readonly Problem[];
  /** Whether another implementation carries its Gateway. */
  readonly carried: Finding | undefined;
  /** Whether mc-wan's own Envoys carry it. */
  readonly isOurs: boolean;
  readonly tcp: TcpSupport;
  readonly generation: number | undefined;
}

/** Conditions of the MCS ServiceImport. */
export function mcsConditions(imported: Import, around: McsSurroundings): Condition[] {
  const { generation, unusable } = around;
  const { merged, choice } = imported;
  const usable = { status: "True", reason: reasons.Accepted, message: "Every export can be read." } as const;
  return [
    condition(types.Ready, mcsReady(imported, around), generation),
    condition(types.Classified, classified(merged.type === "Headless", choice), generation),
    condition(types.PortsSupported, portsSupported(merged, takenProblems(imported), around.tcp), generation),
    ...(around.carried === undefined ? [] : [condition(types.Carried, around.carried, generation)]),
    ...affinityConditions({ ...merged.oldest, type: merged.type }, { isOurs: around.isOurs, generation }),
    ...(unusable.length === 0 ? [] : [condition(types.PeersUsable, unless(unusable, usable), generation)]),
  ];
}

function mcsReady({ service, merged, dummies }: Import, { foreign, side, shadow }: McsSurroundings): Finding {
  if (foreign.length > 0) return { status: "False", reason: reasons.NotOurs, message: notOurs(foreign) };
  const ready = { status: "True", reason: reasons.Ready } as const;
  if (merged.type === "Headless") return { ...ready, message: "The service's pods are published." };
  if (!merged.members.some(({ spec }) => spec.ipFamilies.includes("IPv4"))) {
    return {
      status: "False",
      reason: reasons.IPFamilyNotSupported,
      message:
        "Only IPv4 is supported, and no exporter has it. Add IPv4 to ipFamilies of the Service in an exporting cluster.",
    };
  }
  if (clusterIPsOf(shadow).length === 0) {
    return {
      status: "False",
      reason: reasons.Pending,
      message: `The Service "${shadowName(service.name)}" has no IP yet. If that stays, see its Events and the controller's log.`,
    };
  }
  const { ipChanged } = side ?? {};
  if (ipChanged !== undefined) return { ...ready, ...ipChanged };
  return {
    ...ready,
    message: `The service is reached as "${shadowName(service.name)}".${renamedWords(dummies.renamed)}`,
  };
}

/** Dummies of an import whose names are held by Services of somebody else. */
function takenProblems({ merged, dummies: { taken } }: Import): Problem[] {
  if (taken.length === 0 || merged.type === "Headless") return [];
  const message = notOurs(taken.map((name) => `Service "mc-wan/${name}"`));
  return [{ reason: reasons.NotOurs, message }];
}

/** What becomes of TCP ports in this cluster. */
export interface TcpSupport {
  /** Whether the data plane carries them. */
  readonly isCarried: boolean;
  /** Whether the cluster has the kind TCPRoute. */
  readonly hasRoutes: boolean;
}

/** What a World says of TCP. */
export const tcpSupport = ({ settings, absentKinds }: World): TcpSupport => ({
  isCarried: settings.dataPlane.name === "envoy",
  hasRoutes: !absentKinds.has("TCPRoute"),
});

/** Whether every port of an export or import can be carried; `more`: what else stands in the way. */
export function portsSupported(
  service: Pick<Merged, "type" | "ports">,
  more: readonly Problem[],
  { isCarried, hasRoutes }: TcpSupport,
): Finding {
  const problems: Problem[] = uncarriedProblems(service.ports, isCarried);
  for (const port of service.ports) {
    const carriage = carriageOf(port);
    const words = `Port ${port.port}/${port.protocol}${port.name === undefined ? "" : ` ("${port.name}")`}`;
    if (carriage === "None")
      problems.push({
        reason: reasons.UnsupportedProtocol,
        message: `${words} can't be carried: only HTTP, gRPC and TCP cross the WAN. Use it inside its own cluster.`,
      });
    if (carriage === "TCP" && !isCarried) {
      problems.push({
        reason: reasons.UnsupportedProtocol,
        message: `${words} is TCP, which the data plane gateway-api does not carry: connections to it are refused. If it speaks HTTP, say so with appProtocol: http.`,
      });
    }
  }
  return unless([...more, ...(service.type === "Headless" ? [] : problems)], {
    status: "True",
    reason: reasons.Supported,
    message:
      hasRoutes || !service.ports.some((port) => carriageOf(port) === "TCP")
        ? "Every port can be carried."
        : "Every port can be carried. This cluster has no TCPRoutes, so that none shows where connections to TCP ports go: install those of Gateway API's standard channel to see it.",
  });
}

/** What an L7 ServiceImport meets in this cluster; no import and no side if nobody exports the service. */
export interface RulesSurroundings {
  readonly imported: Import | undefined;
  readonly side: ImportSide | undefined;
  readonly foreign: readonly string[];
  /** Set where another implementation carries the traffic. */
  readonly other: OtherCarrier | undefined;
  readonly world: World;
  readonly policies: PolicySet;
  readonly generation: number | undefined;
}

/** Conditions of the L7 ServiceImport of the service `key`. */
export function rulesConditions(key: string, around: RulesSurroundings): Condition[] {
  const { imported, side, foreign, other, world, generation } = around;
  if (imported === undefined || side === undefined) {
    const nobody = {
      status: "False",
      reason: reasons.NoExport,
      message: `No cluster exports the service "${key}". Create a ServiceExport for it, or correct the name.`,
    } as const;
    return [condition(types.Accepted, nobody, generation)];
  }
  if (imported.merged.type === "Headless") {
    const headless = {
      status: "False",
      reason: reasons.Headless,
      message:
        "The rules are not followed: clients connect to the pods of a headless service past the gateways. Export the service with a cluster IP, or delete the rules.",
    } as const;
    return [types.Accepted, types.Programmed, types.Enforced].map((type) =>
      condition(type, headless, generation),
    );
  }
  const spec = imported.rules?.spec;
  const theirs = other && theirVerdicts(side.routes, other, world);
  // What was closed here is a reference to nothing in the route: theirs say the same once more, in worse words.
  const isKnown = side.refusals.length + side.unresolved.length > 0;
  const unresolved = [...side.unresolved, ...(isKnown ? [] : (theirs?.unresolved ?? []))];
  const refusals: Problem[] = [
    ...side.refusals,
    ...(theirs?.refusals ?? []),
    ...(foreign.length > 0 ? [{ reason: reasons.NotOurs, message: notOurs(foreign) }] : []),
    ...(spec?.http !== undefined && imported.httpPorts.length === 0
      ? [
          {
            reason: reasons.NoMatchingPort,
            message:
              "The service has no HTTP port for the http rules. If one of its ports speaks HTTP, say so with appProtocol: http on the Service in the exporting clusters; else delete spec.http.",
          },
        ]
      : []),
    ...(spec?.tcp === undefined ? [] : tcpProblems(imported, tcpSupport(world))),
  ];
  const lapses = side.lapses ?? [];
  const accepted = {
    status: "True",
    reason: lapses[0]?.reason ?? reasons.Accepted,
    message: lapses.length === 0 ? "The rules are followed." : messageOf(lapses),
  } as const;
  const resolved = {
    status: "True",
    reason: reasons.ResolvedRefs,
    message: "Every backend was found.",
  } as const;
  const byName = {
    status: "False",
    reason: reasons.OnlyByName,
    message:
      "Over a WANPolicy of mode Plain the rules bind only clients that use the imported name. Let only gateways reach its port, by NetworkPolicies or firewalls, or give it mode MutualTLS.",
  } as const;
  const enforced = {
    status: "True",
    reason: reasons.Enforced,
    message:
      "Only gateways of the cluster set, which follow the rules, reach the service from other clusters.",
  } as const;
  return [
    condition(
      types.Accepted,
      unless(refusals.length === 0 ? [] : [...refusals, ...lapses], accepted),
      generation,
    ),
    condition(types.ResolvedRefs, unless(unresolved, resolved), generation),
    condition(types.Programmed, programmed(imported, world, other), generation),
    condition(types.Enforced, isSecured(around) ? enforced : byName, generation),
    ...failoverConditions(imported, around),
    ...limitsConditions(imported, around),
  ];
}

/** Whether the tiers are as they were asked for. */
function failoverConditions({ rules }: Import, { other, world, generation }: RulesSurroundings): Condition[] {
  if (rules?.spec.failover === undefined) return [];
  const problems =
    other === undefined
      ? tierProblems(rules, world)
      : [
          {
            reason: reasons.FailoverNotApplied,
            message:
              "spec.failover is not followed where another implementation of Gateway API carries the traffic: home comes first, then all other clusters. Delete it, or run the controller with --data-plane envoy.",
          },
        ];
  const applied = {
    status: "True",
    reason: reasons.FailoverApplied,
    message: "Every cluster that a tier names is in the set.",
  } as const;
  return [condition(types.FailoverApplied, unless(problems, applied), generation)];
}

/** Whether the limits hold, and where. */
function limitsConditions(
  { rules, httpPorts }: Import,
  { other, world, generation }: RulesSurroundings,
): Condition[] {
  const limits = rules?.spec.limits;
  if (limits === undefined) return [];
  const problems: Problem[] = [];
  if (other !== undefined) {
    const message =
      "spec.limits is not followed where another implementation of Gateway API carries the traffic: nothing is limited. Delete it, or run the controller with --data-plane envoy.";
    problems.push({ reason: reasons.LimitsNotApplied, message });
  } else if (limits.requestsPerSecond !== undefined && httpPorts.length === 0) {
    const message =
      "The service has no HTTP port whose requests spec.limits.requestsPerSecond could count. Delete it, or limit connections by concurrentRequests.";
    problems.push({ reason: reasons.NoMatchingPort, message });
  }
  const applied = {
    status: "True",
    reason: reasons.LimitsApplied,
    message: `Each egress gateway keeps to the limits by itself; there are to be ${world.settings.poolReplicas} of them.`,
  } as const;
  return [condition(types.LimitsApplied, unless(problems, applied), generation)];
}

/** Whether no policy that a request may be sent over is Plain. */
function isSecured({ policies, other }: RulesSurroundings): boolean {
  return other === undefined && [...policies.accepted.keys()].every((name) => !isPlain(name, policies));
}

/** Why `spec.tcp` is not followed. */
function tcpProblems({ tcpPorts }: Import, { isCarried }: TcpSupport): Problem[] {
  if (!isCarried) {
    const message =
      "spec.tcp is not followed: the data plane gateway-api carries no TCP, and TCP ports are closed. Delete it; if the port speaks HTTP, say so with appProtocol: http on the Service in the exporting clusters.";
    return [{ reason: reasons.UnsupportedProtocol, message }];
  }
  if (tcpPorts.length > 0) return [];
  const message =
    "The service has no TCP port for spec.tcp. If one of its ports speaks TCP, say so with appProtocol: tcp on the Service in the exporting clusters; else delete spec.tcp.";
  return [{ reason: reasons.NoMatchingPort, message }];
}

/** As the import's Gateway says. */
function programmed(imported: Import, world: World, other: OtherCarrier | undefined): Finding {
  const follows = {
    status: "True",
    reason: reasons.Programmed,
    message: "A gateway follows the rules.",
  } as const;
  // Of others the listeners' word counts, and that somebody is there.
  const carried = other?.ofImport(imported);
  if (carried !== undefined) return carried.status === "True" ? follows : carried;
  const gateway = world.home.Gateway.get(imported.shadowKey);
  const said = gateway?.status?.conditions?.find(({ type }) => type === types.Programmed);
  const isCurrent = said?.observedGeneration === gateway?.metadata.generation;
  if (said?.status === "True" && isCurrent) return follows;
  return said?.status === "False"
    ? { status: "False", reason: said.reason, message: said.message }
    : {
        status: "False",
        reason: reasons.Pending,
        message:
          "No gateway has acknowledged the rules yet. If that stays, see the Pods of mc-wan-egress in mc-wan-system.",
      };
}
