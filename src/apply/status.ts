/**
 * What a status should say, merged with what it says: times of transition, and what other controllers wrote. Pure; the
 * time of day is an argument.
 *
 * Sources: metav1.Condition (lastTransitionTime changes with status only); Gateway API, RouteStatus (parents is one
 * atomic list of at most 32 that controllers share by read-modify-write).
 */
import { isRecord } from "../model/record.ts";
import type { DesiredStatus, RouteParent } from "../model/desired.ts";
import type { Condition, KubeObject } from "../model/kube-object.ts";
import { controllerName } from "../model/names.ts";
import { covers } from "./covers.ts";
import { ownFields, ownsMoreThan } from "./own-fields.ts";

const maxParents = 32;

type Fields = Readonly<Record<string, unknown>>;

/** The status of an object, for server-side apply or, for routes, for a merge patch; undefined if nothing differs. */
export function planStatus(
  status: DesiredStatus,
  observed: KubeObject,
  nowIso: string,
): KubeObject | undefined {
  if (status.form === "RouteParents") return planParents(status.parents, observed, nowIso);
  const before = statusOf(observed);
  const wanted = fill({ ...status.fields, conditions: status.conditions }, before, nowIso);
  const own = ownFields(observed, "status");
  const intent = { status: wanted };
  const beyond = own !== undefined && ownsMoreThan(own, intent);
  if (covers(before, wanted, "ByKey") && !beyond) return undefined;
  return withStatus(observed, wanted, "uid");
}

/** The status without anything of ours; undefined if there is nothing of ours. */
export function planNoStatus(observed: KubeObject): KubeObject | undefined {
  const own = ownFields(observed, "status");
  return own === undefined || !ownsMoreThan(own, {}) ? undefined : withStatus(observed, undefined, "uid");
}

/** Conditions with their times: that of the condition before while the status is the same, else now. */
export function mergeConditions(
  wanted: readonly Condition[],
  before: readonly Condition[],
  nowIso: string,
): readonly Condition[] {
  return wanted.map((condition) => {
    const held = before.find(({ type }) => type === condition.type);
    const isHeld = held?.status === condition.status && held.lastTransitionTime !== undefined;
    return { ...condition, lastTransitionTime: isHeld ? held.lastTransitionTime : nowIso };
  });
}

/** The conditions of a status. */
export function conditionsOf(object: KubeObject): readonly Condition[] {
  return conditionsIn(statusOf(object));
}

/** The entries of a route's status.parents, everybody's. */
export function parentsOf(object: KubeObject): readonly Fields[] {
  const status = statusOf(object);
  const listed = isRecord(status) ? status["parents"] : undefined;
  return Array.isArray(listed) ? (listed as readonly unknown[]).filter(isRecord) : [];
}

/** The conditions of all our entries in a route's status.parents. */
export function parentConditionsOf(object: KubeObject): readonly Condition[] {
  return parentsOf(object)
    .filter((parent) => parent["controllerName"] === controllerName)
    .flatMap(conditionsIn);
}

function statusOf(object: KubeObject): unknown {
  return object["status"];
}

function conditionsIn(value: unknown): readonly Condition[] {
  const conditions = isRecord(value) ? value["conditions"] : undefined;
  return Array.isArray(conditions) ? (conditions as readonly Condition[]).filter(isRecord) : [];
}

/** Fills in the times of all conditions, in listeners too, which are told apart by name. */
function fill(wanted: Fields, before: unknown, nowIso: string): Fields {
  const filled = Object.entries(wanted).map(([field, value]): [string, unknown] => {
    if (field === "conditions") {
      return [field, mergeConditions(value as readonly Condition[], conditionsIn(before), nowIso)];
    }
    if (!Array.isArray(value)) return [field, value];
    const held =
      isRecord(before) && Array.isArray(before[field]) ? (before[field] as readonly unknown[]) : [];
    return [
      field,
      value.map((item: unknown) => (isRecord(item) ? fill(item, sameName(held, item), nowIso) : item)),
    ];
  });
  return Object.fromEntries(filled);
}

function sameName(items: readonly unknown[], item: Fields): unknown {
  const { name } = item;
  return name === undefined ? undefined : items.find((other) => isRecord(other) && other["name"] === name);
}

function planParents(
  wanted: readonly RouteParent[],
  observed: KubeObject,
  nowIso: string,
): KubeObject | undefined {
  const isOwn = (parent: Fields): boolean => parent["controllerName"] === controllerName;
  const others = parentsOf(observed).filter((parent) => !isOwn(parent));
  const before = parentsOf(observed).filter(isOwn);
  // Others were there first; more than the list holds would make the whole update fail.
  const room = Math.max(0, maxParents - others.length);
  const ours = wanted.slice(0, room).map(({ parentRef, conditions }) => {
    const held = before.find((parent) => canonical(parent["parentRef"]) === canonical(parentRef));
    return { parentRef, controllerName, conditions: mergeConditions(conditions, conditionsIn(held), nowIso) };
  });
  const isSame =
    before.length === ours.length &&
    ours.every((parent) =>
      before.some(
        (held) => canonical(held["parentRef"]) === canonical(parent.parentRef) && sameParent(held, parent),
      ),
    );
  return isSame ? undefined : withStatus(observed, { parents: [...others, ...ours] }, "resourceVersion");
}

function sameParent(held: unknown, wanted: { readonly conditions: readonly Condition[] }): boolean {
  return conditionsIn(held).length === wanted.conditions.length && covers(held, wanted, "ByKey");
}

/** JSON with sorted keys, and the defaults of the API filled in: whether two references are the same. */
function canonical(parentRef: unknown): string {
  const { group, kind, ...rest } = isRecord(parentRef) ? parentRef : {};
  const whole: Fields = { group: group ?? "gateway.networking.k8s.io", kind: kind ?? "Gateway", ...rest };
  return JSON.stringify(
    Object.entries(whole)
      .filter(([, value]) => value !== undefined)
      .sort(),
  );
}

/** An object that holds nothing but its name, its status and what must not have changed. */
function withStatus(
  observed: KubeObject,
  status: Fields | undefined,
  guard: "uid" | "resourceVersion",
): KubeObject {
  const { apiVersion, kind, metadata } = observed;
  const { name, namespace } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(metadata[guard] !== undefined && { [guard]: metadata[guard] }),
    },
    ...(status !== undefined && { status }),
  };
}
