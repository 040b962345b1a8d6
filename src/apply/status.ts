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

/** An atomic list in a status that controllers share; the API limits its length. */
interface SharedList {
  readonly field: "parents" | "ancestors";
  readonly ref: "parentRef" | "ancestorRef";
  readonly max: number;
}

const parentList: SharedList = { field: "parents", ref: "parentRef", max: 32 };
const ancestorList: SharedList = { field: "ancestors", ref: "ancestorRef", max: 16 };

type Fields = Readonly<Record<string, unknown>>;

/** The status of an object, for server-side apply or, for routes, for a merge patch; undefined if nothing differs. */
export function planStatus(
  status: DesiredStatus,
  observed: KubeObject,
  nowIso: string,
): KubeObject | undefined {
  if (status.form === "RouteParents") {
    const wanted = status.parents.map(({ parentRef, conditions }) => ({ ref: parentRef, conditions }));
    return planShared(parentList, wanted, { observed, nowIso });
  }
  if (status.form === "PolicyAncestors") {
    const wanted = status.ancestors.map(({ ancestorRef, conditions }) => ({ ref: ancestorRef, conditions }));
    return planShared(ancestorList, wanted, { observed, nowIso });
  }
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

/** The entries of a route's status.parents (of a policy's status.ancestors), everybody's. */
export function parentsOf(object: KubeObject): readonly Fields[] {
  return entriesOf(object, "parents").concat(entriesOf(object, "ancestors"));
}

function entriesOf(object: KubeObject, field: SharedList["field"]): Fields[] {
  const status = statusOf(object);
  const listed = isRecord(status) ? status[field] : undefined;
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

function planShared(
  { field, ref: refField, max }: SharedList,
  wanted: readonly { readonly ref: RouteParent["parentRef"]; readonly conditions: readonly Condition[] }[],
  { observed, nowIso }: { readonly observed: KubeObject; readonly nowIso: string },
): KubeObject | undefined {
  const isOwn = (entry: Fields): boolean => entry["controllerName"] === controllerName;
  const all = entriesOf(observed, field);
  const others = all.filter((entry) => !isOwn(entry));
  const before = all.filter(isOwn);
  // Others were there first; more than the list holds would make the whole update fail.
  const room = Math.max(0, max - others.length);
  const ours = wanted.slice(0, room).map(({ ref, conditions }) => {
    const held = before.find((entry) => canonical(entry[refField]) === canonical(ref));
    const merged = mergeConditions(conditions, conditionsIn(held), nowIso);
    return { [refField]: ref, controllerName, conditions: merged };
  });
  const isSame =
    before.length === ours.length &&
    ours.every((entry) =>
      before.some(
        (held) => canonical(held[refField]) === canonical(entry[refField]) && sameParent(held, entry),
      ),
    );
  return isSame ? undefined : withStatus(observed, { [field]: [...others, ...ours] }, "resourceVersion");
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
