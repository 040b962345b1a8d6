/**
 * Routes that an Envoy refuses though nothing was wrong with them as far as mc-wan knows: told at the route, and at the
 * ServiceExport for whose sake mc-wan wrote it. (L7 ServiceImports hear of it as of all verdicts: rules-verdicts.ts.)
 *
 *     refused by an Envoy of the fleet ─→ Accepted=False of the route at the Gateways of that fleet
 */
import { reasons, types } from "../api/conditions.ts";
import { objectKey, type Desired, type DesiredStatus, type ObjectKey } from "../model/desired.ts";
import type { RefusedRoute, RouteVerdict, Verdicts } from "../model/envoy-config.ts";
import { keyOf, type Condition } from "../model/kube-object.ts";
import { ingressName, labels } from "../model/names.ts";
import type { World } from "../model/world.ts";
import { isOurs } from "./owners.ts";

interface Around {
  readonly world: World;
  readonly desired: Desired;
  readonly refusedRoutes: readonly RefusedRoute[];
}

/** The verdicts, and what Envoys add to them. */
export function withRefusals(verdicts: Verdicts, around: Around): Verdicts {
  if (around.refusedRoutes.length === 0) return verdicts;
  return {
    ...verdicts,
    httpRoutes: refusedOf("HTTPRoute", verdicts.httpRoutes, around),
    grpcRoutes: refusedOf("GRPCRoute", verdicts.grpcRoutes, around),
  };
}

/** Statuses of ServiceExports whose ingress route an Envoy refuses: they are not ready. */
export function refusedExports({
  world,
  desired,
  refusedRoutes,
}: Around): ReadonlyMap<ObjectKey, DesiredStatus> {
  const statuses = new Map<ObjectKey, DesiredStatus>();
  for (const refused of refusedRoutes) {
    const route = refused.kind === "HTTPRoute" ? desired.httpRoutes.get(refused.key) : undefined;
    const { [labels.serviceNamespace]: namespace = "", [labels.serviceName]: name = "" } =
      route?.metadata.labels ?? {};
    if (route === undefined || !isOurs(route) || route.metadata.name !== ingressName(name)) continue;
    const key = objectKey("ServiceExport", keyOf({ namespace, name }));
    const status = desired.statuses.get(key);
    if (status?.form !== "Conditions") continue;
    const { conditions: before = [] } =
      (world.home.ServiceExport.get(keyOf({ namespace, name }))?.status as
        { readonly conditions?: readonly Condition[] } | undefined) ?? {};
    const conditions = status.conditions.map((known): Condition =>
      known.type === types.Ready ? { ...known, ...refusal(refused, before) } : known,
    );
    statuses.set(key, { ...status, conditions });
  }
  return statuses;
}

function refusedOf(
  kind: RefusedRoute["kind"],
  verdicts: ReadonlyMap<string, readonly RouteVerdict[]>,
  { world, desired, refusedRoutes }: Around,
): ReadonlyMap<string, readonly RouteVerdict[]> {
  const result = new Map(verdicts);
  const fleets = new Map(desired.gateways.map(({ gateway, fleet }) => [keyOf(gateway.metadata), fleet]));
  for (const refused of refusedRoutes) {
    const said = refused.kind === kind ? result.get(refused.key) : undefined;
    if (said === undefined) continue;
    const [namespace = ""] = refused.key.split("/");
    const before = (world.home[kind].get(refused.key)?.status?.parents ?? []).flatMap(
      ({ conditions }) => conditions as readonly Condition[],
    );
    result.set(
      refused.key,
      said.map((verdict) => {
        const gateway = keyOf({
          namespace: verdict.parentRef.namespace ?? namespace,
          name: verdict.parentRef.name,
        });
        if (fleets.get(gateway) !== refused.fleet) return verdict;
        const conditions = verdict.conditions.map((known): Condition =>
          known.type === types.Accepted && known.status === "True"
            ? { ...known, ...refusal(refused, before) }
            : known,
        );
        return { ...verdict, conditions };
      }),
    );
  }
  return result;
}

/** What is said of a refusal. Words that a replica which is gone has heard still stand in the status. */
function refusal(
  { reason }: RefusedRoute,
  before: readonly Condition[],
): Pick<Condition, "status" | "reason" | "message"> {
  const told = before.find((known) => known.reason === reasons.RefusedByEnvoy)?.message;
  const words = reason === "" ? "What it said was told to a controller that is gone." : reason;
  const message =
    reason === "" && told !== undefined
      ? told
      : `Envoy refuses what was made of it; requests for its hostnames get an error (500), and nothing else is harmed. It is tried again when it changes. Envoy: ${words}`;
  return { status: "False", reason: reasons.RefusedByEnvoy, message };
}
