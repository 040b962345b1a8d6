/**
 * What translation found out about the routes that an L7 ServiceImport became, told where the rules were written: a rule
 * that no Envoy can carry out is closed, and its author looks at the ServiceImport, not at the HTTPRoute that mc-wan made.
 *
 *     verdicts on <svc>-clusterset… → conditions Accepted, ResolvedRefs of the ServiceImport
 */
import { types } from "../api/conditions.ts";
import { objectKey, type Desired, type DesiredStatus, type ObjectKey } from "../model/desired.ts";
import type { RouteVerdict, Verdicts } from "../model/envoy-config.ts";
import { keyOf, type Condition } from "../model/kube-object.ts";
import { labels, shadowName } from "../model/names.ts";
import { isOurs } from "./owners.ts";

/** Statuses of the L7 ServiceImports that have more to say than reconcile knew. */
export function rulesStatuses(desired: Desired, verdicts: Verdicts): ReadonlyMap<ObjectKey, DesiredStatus> {
  const statuses = new Map<ObjectKey, DesiredStatus>();
  for (const [key, said] of verdicts.httpRoutes) {
    const cause = said.some(isToBeTold) ? ruledService(key, desired) : undefined;
    if (cause === undefined) continue;
    const statusKey = objectKey("ServiceImport", cause);
    const status = statuses.get(statusKey) ?? desired.statuses.get(statusKey);
    if (status?.form !== "Conditions") continue;
    statuses.set(statusKey, { ...status, conditions: withFindings(status.conditions, said) });
  }
  return statuses;
}

/** `namespace/name` of the service whose egress route this is; undefined for all other routes. */
function ruledService(key: string, desired: Desired): string | undefined {
  const route = desired.httpRoutes.get(key);
  if (route === undefined || !isOurs(route)) return undefined;
  const { [labels.serviceNamespace]: namespace, [labels.serviceName]: name = "" } =
    route.metadata.labels ?? {};
  const isEgress = (route.spec.parentRefs ?? []).some((parent) => parent.name === shadowName(name));
  return isEgress ? keyOf({ name, ...(namespace !== undefined && { namespace }) }) : undefined;
}

/** Rules, or the whole route, that are not as written. */
const isRefusal = ({ type, status }: Condition): boolean =>
  (type === types.Accepted && status === "False") || (type === types.PartiallyInvalid && status === "True");

const isUnresolved = ({ type, status }: Condition): boolean =>
  type === types.ResolvedRefs && status === "False";

const isToBeTold = ({ conditions }: RouteVerdict): boolean =>
  conditions.some((said) => isRefusal(said) || isUnresolved(said));

function withFindings(conditions: readonly Condition[], verdicts: readonly RouteVerdict[]): Condition[] {
  // What reconcile closed is a reference to nothing in the route: that says the same once more, in worse words.
  const isKnown = conditions.some(
    ({ type, status }) => (type === types.Accepted || type === types.ResolvedRefs) && status === "False",
  );
  const said = verdicts.flatMap((verdict) => verdict.conditions);
  const found = new Map([
    [types.Accepted, said.filter(isRefusal)],
    [types.ResolvedRefs, isKnown ? [] : said.filter(isUnresolved)],
  ] as const);
  return conditions.map((known) =>
    (found.get(known.type as typeof types.Accepted) ?? []).reduce(joined, known),
  );
}

/** One condition for both; the reason is the first one's. */
function joined(known: Condition, { reason, message }: Condition): Condition {
  if (known.status !== "False") return { ...known, status: "False", reason, message };
  return known.message.includes(message) ? known : { ...known, message: `${known.message} ${message}` };
}
