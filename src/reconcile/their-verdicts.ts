/**
 * What another implementation says of the routes that an L7 ServiceImport became: told at the ServiceImport, where their
 * author looks. The counterpart of rules-verdicts.ts, which tells what mc-wan's own translation found out.
 */
import { types } from "../api/conditions.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import type { Problem } from "../model/problem.ts";
import type { World } from "../model/world.ts";
import type { OtherCarrier } from "./data-plane.ts";

/** What is not carried out, or leads nowhere. */
export interface TheirVerdicts {
  readonly refusals: readonly Problem[];
  readonly unresolved: readonly Problem[];
}

/** Their words on routes as they stand, if they are about the present generation. */
export function theirVerdicts(
  routes: readonly ObjectTypes["HTTPRoute"][],
  { controllerName }: OtherCarrier,
  world: World,
): TheirVerdicts {
  const refusals: Problem[] = [];
  const unresolved: Problem[] = [];
  for (const { metadata } of routes) {
    const key = keyOf(metadata);
    const standing = world.home.HTTPRoute.get(key);
    for (const parent of standing?.status?.parents ?? []) {
      if (parent.controllerName !== controllerName) continue;
      for (const { type, status, reason, message, observedGeneration } of parent.conditions) {
        if (observedGeneration !== standing?.metadata.generation) continue;
        const problem: Problem = {
          reason,
          message: `Of HTTPRoute ${key}, ${controllerName} says: ${message}`,
        };
        if (
          (type === types.Accepted && status === "False") ||
          (type === types.PartiallyInvalid && status === "True")
        )
          refusals.push(problem);
        if (type === types.ResolvedRefs && status === "False") unresolved.push(problem);
      }
    }
  }
  return { refusals, unresolved };
}
