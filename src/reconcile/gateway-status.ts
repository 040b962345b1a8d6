/**
 * Statuses of GatewayClass, Gateways, ListenerSets and routes, and of L7 ServiceImports whose routes can't be carried out as written:
 * what translation found out, and what Envoys have acknowledged.
 *
 * Programmed is true when an Envoy has acknowledged the generation, false only when one refused it or the generation is
 * new; a controller that has just started takes nothing back.
 */
import { reasons, types } from "../api/conditions.ts";
import { supportedFeatures } from "../api/supported-features.ts";
import {
  objectKey,
  type Desired,
  type DesiredStatus,
  type ObjectKey,
  type ServedGateway,
} from "../model/desired.ts";
import type {
  Acknowledgement,
  Acknowledgements,
  GatewayVerdict,
  RefusedRoute,
  RouteVerdict,
  Verdicts,
} from "../model/envoy-config.ts";
import { keyOf, type Condition } from "../model/kube-object.ts";
import type { AnyRouteKind } from "../model/kinds.ts";
import { areSame } from "../model/memo.ts";
import { controllerName } from "../model/names.ts";
import { sortedEntries } from "../model/order.ts";
import type { World } from "../model/world.ts";
import { condition, unless, type Finding } from "./conditions.ts";
import { parametersProblem } from "./fleets.ts";
import { isTrue, listenerSetStatus, listenerStatuses, notAccepted, observed } from "./listener-status.ts";
import { isOurs } from "./owners.ts";
import { refusedExports, withRefusals } from "./refused-routes.ts";
import { rulesStatuses } from "./rules-verdicts.ts";

/** What the statuses are made of. */
export interface GatewayStatusInput {
  readonly world: World;
  readonly desired: Desired;
  readonly translation: { readonly verdicts: Verdicts };
  readonly acknowledgements: Acknowledgements;
  readonly refusedRoutes: readonly RefusedRoute[];
}

/** Statuses by object; these hold over those of Desired. An object that does not stand yet, or stands as somebody else's, gets none. */
export function gatewayStatuses({
  world,
  desired,
  translation,
  acknowledgements,
  refusedRoutes,
}: GatewayStatusInput): ReadonlyMap<ObjectKey, DesiredStatus> {
  const around = { world, desired, refusedRoutes };
  const verdicts = withRefusals(translation.verdicts, around);
  const statuses = new Map<ObjectKey, DesiredStatus>([
    ...rulesStatuses(desired, verdicts),
    ...refusedExports(around),
  ]);
  for (const [key, gatewayClass] of sortedEntries(world.home.GatewayClass)) {
    if (gatewayClass.spec.controllerName !== controllerName) continue;
    const problem = parametersProblem(gatewayClass.spec.parametersRef);
    const accepted = unless(problem === undefined ? [] : [problem], {
      status: "True",
      reason: reasons.Accepted,
      message: "mc-wan carries Gateways of this class.",
    });
    const conditions = [condition(types.Accepted, accepted, gatewayClass.metadata.generation)];
    statuses.set(objectKey("GatewayClass", key), {
      kind: "GatewayClass",
      key,
      form: "Conditions",
      conditions,
      fields: { supportedFeatures: supportedFeatures.map((name) => ({ name })) },
    });
  }
  for (const served of desired.gateways) {
    const key = keyOf(served.gateway.metadata);
    const standing = world.home.Gateway.get(key);
    const verdict = verdicts.gateways.get(key);
    if (standing === undefined || verdict === undefined || isOurs(standing) !== (served.pooled !== undefined))
      continue;
    statuses.set(
      objectKey("Gateway", key),
      gatewayStatus(key, { served, standing, verdict, acknowledgement: acknowledgements.get(key) ?? {} }),
    );
  }
  for (const [key, verdict] of verdicts.listenerSets) {
    const gateway = statuses.get(objectKey("Gateway", verdict.gateway));
    statuses.set(objectKey("ListenerSet", key), listenerSetStatus(key, verdict, gateway));
  }
  for (const [key, parents] of verdicts.httpRoutes) {
    const standing = world.home.HTTPRoute.get(key);
    const wanted = desired.httpRoutes.get(key);
    if (standing === undefined || wanted === undefined || isOurs(standing) !== isOurs(wanted)) continue;
    const { generation } = standing.metadata;
    const { object, status } = routeStatus("HTTPRoute", key, { parents, generation });
    statuses.set(object, status);
  }
  for (const [key, parents] of verdicts.tcpRoutes) {
    const standing = world.home.TCPRoute.get(key);
    const wanted = desired.tcpRoutes.get(key);
    if (standing === undefined || wanted === undefined || isOurs(standing) !== isOurs(wanted)) continue;
    const { generation } = standing.metadata;
    const { object, status } = routeStatus("TCPRoute", key, { parents, generation });
    statuses.set(object, status);
  }
  for (const [key, ancestors] of verdicts.backendTlsPolicies) {
    const generation = world.home.BackendTLSPolicy.get(key)?.metadata.generation;
    const said = ancestors.map(({ ancestorRef, conditions }) => ({
      ancestorRef,
      conditions: conditions.map((one) => observed(one, generation)),
    }));
    const kind = "BackendTLSPolicy";
    statuses.set(objectKey(kind, key), { kind, key, form: "PolicyAncestors", ancestors: said });
  }
  const users = [
    ["GRPCRoute", verdicts.grpcRoutes],
    ["TLSRoute", verdicts.tlsRoutes],
  ] as const;
  for (const [kind, said] of users) {
    for (const [key, parents] of said) {
      const generation = world.home[kind].get(key)?.metadata.generation;
      const { object, status } = routeStatus(kind, key, { parents, generation });
      statuses.set(object, status);
    }
  }
  return statuses;
}

/** Verdicts on routes stay the same objects while they are the same, so what was made of them can too. */
const routeStatuses = new WeakMap<readonly RouteVerdict[], RouteStatus>();

interface RouteStatus {
  readonly object: ObjectKey;
  readonly generation: number | undefined;
  readonly status: DesiredStatus;
}

function routeStatus(
  kind: AnyRouteKind,
  key: string,
  {
    parents: verdicts,
    generation,
  }: { readonly parents: readonly RouteVerdict[]; readonly generation: number | undefined },
): RouteStatus {
  const known = routeStatuses.get(verdicts);
  if (known?.status.key === key && known.status.kind === kind && known.generation === generation)
    return known;
  const parents = verdicts.map(({ parentRef, conditions }) => ({
    parentRef,
    conditions: conditions.map((said) => observed(said, generation)),
  }));
  const status: DesiredStatus = { kind, key, form: "RouteParents", parents };
  const made = { object: objectKey(kind, key), generation, status };
  routeStatuses.set(verdicts, made);
  return made;
}

interface GatewayParts {
  readonly served: ServedGateway;
  readonly standing: ServedGateway["gateway"];
  readonly verdict: GatewayVerdict;
  readonly acknowledgement: Acknowledgement;
}

/** By verdict, like those of routes. */
const gatewayStatusesMade = new WeakMap<
  GatewayVerdict,
  { readonly dependencies: readonly unknown[]; readonly status: DesiredStatus }
>();

function gatewayStatus(key: string, parts: GatewayParts): DesiredStatus {
  const { served, standing, verdict, acknowledgement } = parts;
  const { programmed: acknowledged, refused } = acknowledgement;
  const dependencies = [
    key,
    standing,
    served.addresses.join(),
    served.addressProblem?.message,
    acknowledged,
    refused,
  ];
  const known = gatewayStatusesMade.get(verdict);
  if (known !== undefined && areSame(known.dependencies, dependencies)) return known.status;
  const status = makeGatewayStatus(key, parts);
  gatewayStatusesMade.set(verdict, { dependencies, status });
  return status;
}

function makeGatewayStatus(
  key: string,
  { served, standing, verdict, acknowledgement }: GatewayParts,
): DesiredStatus {
  const { generation } = standing.metadata;
  const acceptedHere = isTrue(verdict.conditions, types.Accepted);
  const said = programmed(acknowledgement, {
    generation,
    before: (standing.status?.conditions ?? []) as readonly Condition[],
    accepted: acceptedHere,
    addresses: served.addresses,
    addressProblem: served.addressProblem,
  });
  const isServed =
    !acceptedHere || verdict.listeners.some((one) => one.isServed && isTrue(one.conditions, types.Accepted));
  return {
    kind: "Gateway",
    key,
    form: "Conditions",
    conditions: [
      ...verdict.conditions.map((words) => observed(words, generation)),
      condition(types.Programmed, isServed ? said : noneServed, generation),
    ],
    fields: {
      ...(served.addresses.length === 0
        ? {}
        : { addresses: served.addresses.map((value) => ({ type: "IPAddress", value })) }),
      listeners: listenerStatuses(verdict.listeners, said, generation),
      ...(verdict.attachedListenerSets === undefined
        ? {}
        : { attachedListenerSets: verdict.attachedListenerSets }),
    },
  };
}

const noneServed: Finding = {
  status: "False",
  reason: reasons.Invalid,
  message: "None of its listeners can be served: see their conditions.",
};

function programmed(
  { programmed: acknowledged, refused }: Acknowledgement,
  {
    generation,
    before,
    accepted,
    addresses,
    addressProblem,
  }: {
    readonly generation: number | undefined;
    readonly before: readonly Condition[];
    readonly accepted: boolean;
    readonly addresses: readonly string[];
    readonly addressProblem: ServedGateway["addressProblem"];
  },
): Finding {
  if (!accepted) return notAccepted;
  if (refused !== undefined)
    return {
      status: "False",
      reason: reasons.Invalid,
      message: `Envoy refused the configuration; what it had before holds. Correct what it names: ${refused}`,
    };
  if (addressProblem !== undefined) return { status: "False", ...addressProblem };
  if (addresses.length === 0)
    return {
      status: "False",
      reason: reasons.AddressNotAssigned,
      message:
        "The Gateway has no address yet, as its Service has none. Type LoadBalancer needs somebody who serves it.",
    };
  const stood = before.some(
    ({ type, status, observedGeneration }) =>
      type === types.Programmed && status === "True" && observedGeneration === generation,
  );
  return acknowledged === generation || stood
    ? { status: "True", reason: reasons.Programmed, message: "An Envoy has acknowledged the configuration." }
    : {
        status: "False",
        reason: reasons.Pending,
        message:
          "No Envoy has acknowledged the configuration yet. If that stays, see the Pods of the gateway.",
      };
}
