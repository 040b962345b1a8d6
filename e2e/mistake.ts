/**
 * A user's mistake in a cluster, and how mc-wan tells of it: refused by the API server, or a condition at the object that
 * holds it. Each object is taken away again, whatever came of it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { InstallTarget } from "../src/lab/install.ts";
import { eventually, must } from "./claim.ts";
import type { Claim, Evidence } from "./claim.ts";
import type { Environment } from "./environment.ts";
import { conditionOf } from "./objects.ts";

/** An object to apply. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** Objects in a cluster. */
export interface Placed {
  readonly in: InstallTarget;
  readonly objects: readonly Manifest[];
}

/** A condition that is to appear. */
interface Told {
  readonly in: InstallTarget;
  readonly namespace?: string;
  /** `kind/name`, as kubectl takes it. */
  readonly object: string;
  readonly type: string;
  /** Default: False. */
  readonly status?: string;
  readonly reason: string;
  /** What the message must say: what is wrong, and what to do. */
  readonly says: readonly RegExp[];
}

/** A mistake that the controller judges. */
export interface Mistake {
  readonly placed: readonly Placed[];
  readonly told: readonly Told[];
  /** What else must hold while the objects stand. */
  readonly also?: (environment: Environment) => Promise<Evidence>;
}

const toldTimeoutMs = 15_000;

/** The claim that a mistake is told; `describe` gives it for the clusters at hand. */
export function isTold(title: string, describe: (environment: Environment) => Mistake): Claim {
  return {
    title,
    prove: async (environment) => {
      const mistake = describe(environment);
      try {
        for (const [index, placed] of mistake.placed.entries()) {
          // Creation times, which tell the older from the younger, have no fractions of a second.
          if (index > 0) await sleep(1_100);
          await applyObjects(environment, placed);
        }
        const evidence: Record<string, unknown> = {};
        for (const told of mistake.told) {
          const { value } = await eventually(`${told.type} at ${told.object}`, toldTimeoutMs, () =>
            conditionAsTold(environment, told),
          ).catch(async (error: unknown) => {
            throw new Error(
              `${told.object} does not say ${told.type}=${told.status ?? "False"} ${told.reason} with ${told.says.join(", ")}, but ${JSON.stringify(await conditionsOf(environment, told))}`,
              { cause: error },
            );
          });
          evidence[`${told.object} ${told.type}`] = `${value.reason}: ${value.message}`;
        }
        return { ...evidence, ...(await mistake.also?.(environment)) };
      } finally {
        for (const placed of [...mistake.placed].reverse()) await deleteObjects(environment, placed);
      }
    },
  };
}

/** The claim that the API server refuses objects of a kind, each with words that say what to do. */
export function isRefused(
  title: string,
  attempts: readonly { readonly object: Manifest; readonly says: RegExp }[],
): Claim {
  return {
    title,
    prove: async (environment) => {
      const evidence: Record<string, string> = {};
      const { context } = environment.consumer;
      for (const { object, says } of attempts) {
        const { code, stderr } = await environment.kubectl.attempt(
          context,
          ["apply", "--server-side", "-f", "-"],
          JSON.stringify(object),
        );
        evidence[`${object.metadata.name.slice(0, 12)} ${JSON.stringify(object["spec"])}`] = stderr.trim();
        if (code === 0) await deleteObjects(environment, { in: environment.consumer, objects: [object] });
        must(code !== 0, `${JSON.stringify(object)} was admitted`, evidence);
        must(says.test(stderr), `the refusal misses ${String(says)}`, evidence);
      }
      return evidence;
    },
  };
}

/** Applies objects, as a user would. */
export async function applyObjects(
  environment: Environment,
  { in: cluster, objects }: Placed,
): Promise<void> {
  await environment.kubectl.run(
    cluster.context,
    ["apply", "--server-side", "--force-conflicts", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }),
  );
}

/** Deletes objects; fulfils when they are gone. */
export async function deleteObjects(
  environment: Environment,
  { in: cluster, objects }: Placed,
): Promise<void> {
  await environment.kubectl.attempt(
    cluster.context,
    ["delete", "--ignore-not-found", "--timeout=60s", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }),
  );
}

async function conditionAsTold(
  environment: Environment,
  told: Told,
): Promise<Awaited<ReturnType<typeof conditionOf>>> {
  const seen = await conditionOf(environment, where(told), told.type);
  // What depends on other objects may be added a moment later.
  return seen?.status === (told.status ?? "False") &&
    seen.reason.split(",").includes(told.reason) &&
    told.says.every((words) => words.test(seen.message))
    ? seen
    : undefined;
}

async function conditionsOf(environment: Environment, told: Told): Promise<unknown> {
  const scope = told.namespace === undefined ? [] : ["-n", told.namespace];
  const object = (await environment.kubectl.json(told.in.context, ["get", ...scope, told.object])) as {
    status?: unknown;
  };
  return object.status;
}

const where = (told: Told): { cluster: InstallTarget; namespace?: string; object: string } => ({
  cluster: told.in,
  object: told.object,
  ...(told.namespace === undefined ? {} : { namespace: told.namespace }),
});
