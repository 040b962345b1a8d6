/**
 * The plan of one pass: every write that would bring the home cluster to what is desired, by key. Remembers the plan of
 * each object for as long as neither the intent nor what stands changes. Does nothing itself.
 */
import type { Desired, DesiredObject, DesiredStatus, ObjectKey } from "../model/desired.ts";
import { objectKey } from "../model/desired.ts";
import { KeyedMemo } from "../model/memo.ts";
import type { KindName } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { controllerName } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import type { HomeKind, World } from "../model/world.ts";
import { isWritten, observedObject, planObject, planPrune } from "./diff.ts";
import type { Change, Written } from "./diff.ts";
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
  readonly writes: ReadonlyMap<string, PlannedWrite>;
  readonly foreign: ReadonlyMap<ObjectKey, Problem>;
}

type ObjectPlan = PlannedWrite | Problem | undefined;

/** Kinds whose status we write as a whole of our own fields. */
const statusKinds = [
  "GatewayClass",
  "Gateway",
  "ServiceExport",
  "McsServiceImport",
  "WANPolicy",
  "ServiceImport",
  "ServiceAdvertisement",
  "GatewayAdvertisement",
] as const satisfies readonly HomeKind[];

export class Planner {
  readonly #written = new Map<string, Written>();
  readonly #objects = new KeyedMemo<ObjectPlan>();
  readonly #prunes = new KeyedMemo<ReadonlyMap<ObjectKey, PlannedWrite>>();
  readonly #statuses = new KeyedMemo<PlannedWrite | undefined>();

  /** Plans everything. `nowIso` is the time for conditions that change. */
  plan(input: ApplyInput, nowIso: string): Plan {
    const writes = new Map<string, PlannedWrite>();
    const foreign = new Map<ObjectKey, Problem>();
    this.#planObjects(input, { writes, foreign });
    const { world, desired } = input;
    const dependencies = [world.home, world.peers, desired.objects];
    for (const [key, write] of this.#prunes.get("", dependencies, () => prunes(world, desired.objects))) {
      writes.set(key, write);
    }
    this.#planStatuses(input, nowIso, writes);
    this.#objects.endPass();
    this.#prunes.endPass();
    this.#statuses.endPass();
    for (const key of this.#written.keys()) {
      if (!desired.objects.has(key) && !input.statuses.has(key.slice(statusKey("").length)))
        this.#written.delete(key);
    }
    return { writes, foreign };
  }

  /** Notes what a write left; `key` is that of the write. */
  wrote(key: string, intent: string, object: KubeObject): void {
    const { uid, resourceVersion } = object.metadata;
    this.#written.set(key, { intent, uid, resourceVersion });
  }

  #planObjects(
    input: ApplyInput,
    plan: { writes: Map<string, PlannedWrite>; foreign: Map<ObjectKey, Problem> },
  ): void {
    for (const [key, desired] of input.desired.objects) {
      const observed = observedObject(input.world.home, desired.kind, keyOf(desired.object.metadata));
      const written = this.#written.get(key);
      const result = this.#objects.get(key, [desired.object, observed, written], () =>
        writeOf(desired, observed, written),
      );
      if (result === undefined) continue;
      if ("message" in result) plan.foreign.set(key, result);
      else plan.writes.set(key, result);
    }
  }

  #planStatuses({ world, statuses }: ApplyInput, nowIso: string, writes: Map<string, PlannedWrite>): void {
    const add = (
      key: ObjectKey,
      status: DesiredStatus | undefined,
      about: { kind: KindName; observed: KubeObject },
    ): void => {
      const written = this.#written.get(statusKey(key));
      const write = this.#statuses.get(key, [status, about.observed, written], () => {
        const planned = statusWrite(status, about, nowIso);
        const isDone = planned !== undefined && isWritten(about.observed, written, () => planned.intent);
        return isDone ? undefined : planned;
      });
      if (write !== undefined) writes.set(statusKey(key), write);
    };
    for (const [key, status] of statuses) {
      const observed = observedObject(world.home, status.kind, status.key);
      if (observed?.metadata.deletionTimestamp !== undefined) continue;
      if (observed !== undefined) add(key, status, { kind: status.kind, observed });
    }
    // What we once said of objects that are no longer ours to judge.
    for (const kind of [...statusKinds, "HTTPRoute"] as const) {
      for (const [name, object] of world.home[kind] as ReadonlyMap<string, unknown>) {
        const key = objectKey(kind, name);
        if (!statuses.has(key)) add(key, undefined, { kind, observed: object as KubeObject });
      }
    }
  }
}

function writeOf(
  desired: DesiredObject,
  observed: KubeObject | undefined,
  written: Written | undefined,
): ObjectPlan {
  const change = planObject(desired, observed, written);
  if (change.verb === "Foreign") return change.problem;
  if (change.verb === "None") return undefined;
  const intent = JSON.stringify(desired.object);
  const base = observed?.metadata.resourceVersion ?? "";
  return { type: "Object", kind: desired.kind, intent, base, change, pauseMs: pauseMs(desired, observed) };
}

function prunes(world: World, wanted: ReadonlyMap<ObjectKey, unknown>): ReadonlyMap<ObjectKey, PlannedWrite> {
  const writes = new Map<ObjectKey, PlannedWrite>();
  for (const [key, change] of planPrune(world, wanted)) {
    if (change.verb !== "Delete") continue;
    const { uid = "", resourceVersion: base = "" } = change.object.metadata;
    writes.set(key, { type: "Object", kind: change.kind, intent: `delete ${uid}`, base, change });
  }
  return writes;
}

function statusWrite(
  status: DesiredStatus | undefined,
  { kind, observed }: { kind: KindName; observed: KubeObject },
  nowIso: string,
): PlannedWrite | undefined {
  const form = kind === "HTTPRoute" ? "Merge" : "Apply";
  const object = status === undefined ? noStatus(kind, observed) : planStatus(status, observed, nowIso);
  if (object === undefined) return undefined;
  const base = observed.metadata.resourceVersion ?? "";
  return { type: "Status", kind, form, object, observed, base, intent: JSON.stringify(status ?? "none") };
}

function statusKey(key: ObjectKey): string {
  return `status of ${key}`;
}

function noStatus(kind: KindName, observed: KubeObject): KubeObject | undefined {
  if (kind !== "HTTPRoute") return planNoStatus(observed);
  const isTold = parentsOf(observed).some((parent) => parent["controllerName"] === controllerName);
  const nothing = { kind, key: keyOf(observed.metadata), form: "RouteParents", parents: [] } as const;
  return isTold ? planStatus(nothing, observed, "") : undefined;
}
