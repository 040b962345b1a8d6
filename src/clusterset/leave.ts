/**
 * Parts clusters that were peers of each other: takes away the Secrets and accounts of the join, then waits until each
 * cluster's controller has taken away what came from the others, and tells what is left.
 *
 * A peer whose Secret is gone ends at once: its endpoints leave the imports, and imports that only it exported go.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { UnavailableError } from "../model/errors.ts";
import { kinds } from "../model/kinds.ts";
import type { KindInfo } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { labels, systemNamespace } from "../model/names.ts";
import type { ClusterId } from "../model/world.ts";
import type { Step } from "./join.ts";
import { listAll } from "./list-all.ts";
import type { Member } from "./member.ts";
import { clusterRoleBinding, readerLabel } from "./member-objects.ts";

export interface LeaveOptions {
  /** Nothing is deleted, nothing is waited for. */
  readonly isDryRun: boolean;
  /** How long to wait for the controllers, in ms; 0: what is left is looked up once. */
  readonly waitMs: number;
  /** Called every few seconds while something is left, with how many objects. */
  readonly waiting?: (count: number) => void;
  readonly step: (step: Step) => void;
  readonly signal: AbortSignal;
}

/** What still comes from a cluster that left. */
export interface Left {
  readonly context: string;
  /** The cluster it comes from, or is for. */
  readonly cluster: ClusterId;
  readonly object: KubeObject;
}

/** Where what a join wrote, or a controller made of it, is found. */
interface Trace {
  readonly kind: KindInfo;
  readonly namespace?: string;
  /** The label whose value is the other cluster's id. */
  readonly label: string;
}

const ofJoin: readonly Trace[] = [
  // The Secret first: from here on this cluster reads the other no more.
  { kind: kinds.Secret, namespace: systemNamespace, label: labels.peer },
  { kind: clusterRoleBinding, label: readerLabel },
  { kind: kinds.Secret, namespace: systemNamespace, label: readerLabel },
  { kind: kinds.ServiceAccount, namespace: systemNamespace, label: readerLabel },
];
const ofController: readonly Trace[] = [{ kind: kinds.EndpointSlice, label: labels.mcsSourceCluster }];

const tellMs = 3000;

/** Parts every cluster from every other. Gives what is left when the time is over: nothing, if all went well. */
export async function leave(members: readonly Member[], options: LeaveOptions): Promise<readonly Left[]> {
  const pairs = members.flatMap((member) =>
    members.filter((other) => other !== member).map(({ id }) => ({ member, id })),
  );
  await Promise.all(
    pairs.map(async ({ member, id }) => {
      for (const trace of ofJoin) await remove({ member, id, trace }, options);
    }),
  );
  if (options.isDryRun) return [];
  const deadline = performance.now() + options.waitMs;
  let toldAt = performance.now();
  for (;;) {
    const isLast = performance.now() >= deadline;
    const left = await allLeft(pairs, options.signal).catch((error: unknown) => {
      // An API server that is busy for a moment is asked again.
      if (isLast || !(error instanceof UnavailableError)) throw error;
      return undefined;
    });
    if (left?.length === 0 || (left !== undefined && isLast)) return left;
    if (left !== undefined && performance.now() - toldAt > tellMs) {
      toldAt = performance.now();
      options.waiting?.(left.length);
    }
    await sleep(200, undefined, { signal: options.signal });
  }
}

async function allLeft(pairs: readonly Pair[], signal: AbortSignal): Promise<readonly Left[]> {
  return (await Promise.all(pairs.map((pair) => leftOf(pair, signal)))).flat();
}

interface Pair {
  readonly member: Member;
  /** The other cluster. */
  readonly id: ClusterId;
}

async function remove(
  { member, id, trace }: Pair & { readonly trace: Trace },
  { isDryRun, step, signal }: LeaveOptions,
): Promise<void> {
  for (const object of await traces({ member, id, trace }, signal)) {
    const { metadata } = object;
    if (!isDryRun) await member.api.delete(trace.kind, metadata, { uid: metadata.uid ?? "" });
    step({ context: member.context, verb: "delete", object });
  }
}

async function leftOf({ member, id }: Pair, signal: AbortSignal): Promise<readonly Left[]> {
  const found = await Promise.all([
    ...[...ofJoin, ...ofController].map((trace) => traces({ member, id, trace }, signal)),
    importsFrom({ member, id }, signal),
  ]);
  return found.flat().map((object) => ({ context: member.context, cluster: id, object }));
}

async function traces(
  { member, id, trace: { label, ...where } }: Pair & { readonly trace: Trace },
  signal: AbortSignal,
): Promise<readonly KubeObject[]> {
  return await listAll(member.api, { ...where, labels: `${label}=${id}`, signal });
}

/** MCS ServiceImports that still name the cluster as an exporter. */
async function importsFrom({ member, id }: Pair, signal: AbortSignal): Promise<readonly KubeObject[]> {
  const imports = await listAll(member.api, { kind: kinds.McsServiceImport, signal });
  return imports.filter((item) => {
    const { clusters = [] } = (item["status"] ?? {}) as { clusters?: readonly { cluster?: string }[] };
    return clusters.some(({ cluster }) => cluster === id);
  });
}
