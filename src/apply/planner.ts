/**
 * The plan of one pass: every write that would bring the home cluster to what is desired, by key. Remembers the plan of
 * each object for as long as neither the intent nor what stands changes. Does nothing itself.
 */
import type { Desired, DesiredObject, DesiredStatus, ObjectKey } from "../model/desired.ts";
import { objectKey } from "../model/desired.ts";
import { KeyedMemo, KeysMemo } from "../model/memo.ts";
import { anyRouteKinds, isAnyRouteKind } from "../model/kinds.ts";
import type { KindName } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { controllerName } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import type { HomeKind, World } from "../model/world.ts";
import {
  intentOf,
  isWritten,
  mayPrune,
  observedObject,
  planObject,
  unwantedOf,
  writtenKinds,
} from "./diff.ts";
import type { Change, Written } from "./diff.ts";
import { inOrder, isUrgent } from "./order.ts";
import { pauseMs } from "./pace.ts";
import { parentsOf, planNoStatus, planStatus } from "./status.ts";

/** All that one pass works on. */
export interface ApplyInput {
  readonly world: World;
  readonly desired: Desired;
  /** Of every object that should have a status from us, those of Gateways and routes included. */
  readonly statuses: ReadonlyMap<ObjectKey, DesiredStatus>;
}

type ObjectChange = Extract<Change, { verb: "Apply" | "Delete" }>;

interface WriteBase {
  readonly kind: KindName;
  /** Same text: the same intent. */
  readonly intent: string;
  /** Version of what stands; empty if nothing does. */
  readonly base: string;
}

/** A write of a whole object. */
export interface ObjectWrite extends WriteBase {
  readonly type: "Object";
  readonly change: ObjectChange;
  /** Least time since the object's last write, in ms; left out: none. */
  readonly pauseMs?: number;
  /** See {@link isUrgent}. */
  readonly isUrgent: boolean;
}

/** A write of a status. */
export interface StatusWrite extends WriteBase {
  readonly type: "Status";
  /** Server-side apply, or a merge patch of a list that others write too. */
  readonly form: "Apply" | "Merge";
  readonly object: KubeObject;
  readonly observed: KubeObject;
}

/** One write. */
export type PlannedWrite = ObjectWrite | StatusWrite;

export interface Plan {
  /** In the order in which they should begin; see {@link inOrder}. */
  readonly writes: ReadonlyMap<string, PlannedWrite>;
  readonly foreign: ReadonlyMap<ObjectKey, Problem>;
  /** How many objects nothing wants, and stay while a peer is unknown. */
  readonly withheld: number;
}

/** What was found out of an object, and from what. */
interface ObjectPlan {
  readonly object: KubeObject;
  readonly observed: KubeObject | undefined;
  readonly written: Written | undefined;
  readonly result: PlannedWrite | Problem | undefined;
}

/** What the plan of a status follows from. */
interface StatusParts {
  readonly kind: KindName;
  readonly status: DesiredStatus | undefined;
  readonly observed: KubeObject | undefined;
  readonly written: Written | undefined;
}

/** Before an object's key: its status. */
const ofStatus = "status of ";

/** Kinds that have a status from us. */
const statusKinds = [
  "GatewayClass",
  "Gateway",
  "ListenerSet",
  "ServiceExport",
  "McsServiceImport",
  "AccessPolicy",
  "WANPolicy",
  "ServiceImport",
  "GatewayAdvertisement",
  ...anyRouteKinds,
  "BackendTLSPolicy",
] as const satisfies readonly HomeKind[];

export class Planner {
  readonly #writtenObjects = new Map<ObjectKey, Written>();
  readonly #writtenStatuses = new Map<ObjectKey, Written>();
  readonly #objects = new KeyedMemo<ObjectPlan>();
  readonly #prunes = new KeyedMemo<ReadonlyMap<ObjectKey, PlannedWrite>>();
  readonly #statuses = new KeyedMemo<PlannedWrite | undefined>();
  readonly #untold = new KeyedMemo<readonly string[]>();
  readonly #objectKeys = new KeysMemo();
  readonly #statusKeys = new KeysMemo();

  /** Plans everything. `nowIso` is the time for conditions that change. */
  plan(input: ApplyInput, nowIso: string): Plan {
    const plan = { writes: new Map<string, PlannedWrite>(), foreign: new Map<ObjectKey, Problem>() };
    this.#planObjects(input, plan);
    const withheld = this.#planPrunes(input, plan.writes);
    this.#planStatuses(input, nowIso, plan.writes);
    for (const memo of [this.#objects, this.#prunes, this.#statuses, this.#untold]) memo.endPass();
    forget(this.#writtenObjects, input.desired.objects);
    forget(this.#writtenStatuses, input.statuses);
    return { ...plan, withheld, writes: inOrder(plan.writes) };
  }

  /** Notes what a write left; `key` is that of the write. */
  wrote(key: string, intent: string, object: KubeObject): void {
    const { uid, resourceVersion } = object.metadata;
    const written = { intent, uid, resourceVersion };
    if (key.startsWith(ofStatus)) this.#writtenStatuses.set(key.slice(ofStatus.length), written);
    else this.#writtenObjects.set(key, written);
  }

  /** Where neither the intent nor the store of its kind changed, nothing is looked up. */
  #planObjects(
    { world, desired: { objects } }: ApplyInput,
    plan: { writes: Map<string, PlannedWrite>; foreign: Map<ObjectKey, Problem> },
  ): void {
    for (const [key, desired] of objects) {
      const { kind, object } = desired;
      const written = this.#writtenObjects.get(key);
      const { result } = this.#objects.get(key, [object, storeOf(world, kind), written], (previous) => {
        const observed = observedObject(world.home, kind, keyOf(object.metadata));
        const isSame =
          previous?.object === object && previous.observed === observed && previous.written === written;
        return isSame ? previous : { object, observed, written, result: writeOf(desired, observed, written) };
      });
      if (result === undefined) continue;
      if ("message" in result) plan.foreign.set(key, result);
      else plan.writes.set(key, result);
    }
  }

  /** Gives how many deletions are withheld. */
  #planPrunes({ world, desired }: ApplyInput, writes: Map<string, PlannedWrite>): number {
    let withheld = 0;
    const keys = this.#objectKeys.same(desired.objects);
    for (const kind of writtenKinds) {
      const dependencies = [storeOf(world, kind), keys];
      const found = this.#prunes.get(kind, dependencies, () =>
        deletions(kind, unwantedOf(world, kind, desired.objects)),
      );
      if (mayPrune(world, kind)) for (const [key, write] of found) writes.set(key, write);
      else withheld += found.size;
    }
    return withheld;
  }

  #planStatuses({ world, statuses }: ApplyInput, nowIso: string, writes: Map<string, PlannedWrite>): void {
    const add = (
      key: ObjectKey,
      { kind, name, status }: { kind: KindName; name: string; status: DesiredStatus | undefined },
    ): void => {
      const written = this.#writtenStatuses.get(key);
      const observed = observedObject(world.home, kind, name);
      const write = this.#statuses.get(key, [status, observed, written], () =>
        plannedStatus({ kind, status, observed, written }, nowIso),
      );
      if (write !== undefined) writes.set(`${ofStatus}${key}`, write);
    };
    for (const [key, status] of statuses) add(key, { kind: status.kind, name: status.key, status });
    // What we once said of objects that are no longer ours to judge.
    const keys = this.#statusKeys.same(statuses);
    for (const kind of statusKinds) {
      const store = storeOf(world, kind);
      const names = this.#untold.get(kind, [store, keys], () =>
        [...(store?.keys() ?? [])].filter((name) => !statuses.has(objectKey(kind, name))),
      );
      for (const name of names) add(objectKey(kind, name), { kind, name, status: undefined });
    }
  }
}

function storeOf({ home }: World, kind: KindName): ReadonlyMap<string, unknown> | undefined {
  return (home as Partial<Record<KindName, ReadonlyMap<string, unknown>>>)[kind];
}

/** What was written of things that nobody wants any more is no longer of use. */
function forget(written: Map<ObjectKey, Written>, wanted: ReadonlyMap<ObjectKey, unknown>): void {
  for (const key of written.keys()) if (!wanted.has(key)) written.delete(key);
}

function writeOf(
  desired: DesiredObject,
  observed: KubeObject | undefined,
  written: Written | undefined,
): ObjectPlan["result"] {
  const change = planObject(desired, observed, written);
  if (change.verb === "Foreign") return change.problem;
  if (change.verb === "None") return undefined;
  const intent = intentOf(desired.object);
  const base = observed?.metadata.resourceVersion ?? "";
  return {
    type: "Object",
    kind: desired.kind,
    intent,
    base,
    change,
    pauseMs: pauseMs(desired, observed),
    isUrgent: isUrgent(desired.kind, desired.object),
  };
}

function deletions(
  kind: KindName,
  unwanted: ReadonlyMap<ObjectKey, KubeObject>,
): ReadonlyMap<ObjectKey, PlannedWrite> {
  const writes = new Map<ObjectKey, PlannedWrite>();
  for (const [key, object] of unwanted) {
    const { uid = "", resourceVersion: base = "" } = object.metadata;
    const change = { verb: "Delete", kind, object } as const;
    writes.set(key, {
      type: "Object",
      kind,
      intent: `delete ${uid}`,
      base,
      change,
      isUrgent: isUrgent(kind, object),
    });
  }
  return writes;
}

function plannedStatus(
  { kind, status, observed, written }: StatusParts,
  nowIso: string,
): PlannedWrite | undefined {
  if (observed === undefined) return undefined;
  // Nobody reads what is said of an object that goes.
  if (status !== undefined && observed.metadata.deletionTimestamp !== undefined) return undefined;
  const planned = statusWrite(status, { kind, observed }, nowIso);
  const isDone = planned !== undefined && isWritten(observed, written, () => planned.intent);
  return isDone ? undefined : planned;
}

function statusWrite(
  status: DesiredStatus | undefined,
  { kind, observed }: { kind: KindName; observed: KubeObject },
  nowIso: string,
): PlannedWrite | undefined {
  const form = isShared(kind) ? "Merge" : "Apply";
  const object = status === undefined ? noStatus(kind, observed) : planStatus(status, observed, nowIso);
  if (object === undefined) return undefined;
  const base = observed.metadata.resourceVersion ?? "";
  return { type: "Status", kind, form, object, observed, base, intent: intentOf(status ?? "none") };
}

function noStatus(kind: KindName, observed: KubeObject): KubeObject | undefined {
  if (!isShared(kind)) return planNoStatus(observed);
  const isTold = parentsOf(observed).some((parent) => parent["controllerName"] === controllerName);
  const key = keyOf(observed.metadata);
  const nothing: DesiredStatus = isPolicy(kind)
    ? { kind, key, form: "PolicyAncestors", ancestors: [] }
    : { kind, key, form: "RouteParents", parents: [] };
  return isTold ? planStatus(nothing, observed, "") : undefined;
}

/** Kinds whose status is a list that controllers share. */
const isShared = (kind: KindName): boolean => isAnyRouteKind(kind) || isPolicy(kind);
const isPolicy = (kind: KindName): boolean => kind === "BackendTLSPolicy" || kind === "AccessPolicy";
