/** How conditions are made here: type, status and a Problem's words, with the generation that was looked at. */
import type { Condition } from "../model/kube-object.ts";
import { messageOf, type Problem } from "../model/problem.ts";

/** What a condition says, without type and generation. */
export interface Finding {
  readonly status: Condition["status"];
  readonly reason: string;
  readonly message: string;
}

/** A condition of an observed object. */
export function condition(type: string, finding: Finding, generation: number | undefined): Condition {
  const { status, reason, message } = finding;
  return {
    type,
    status,
    reason,
    message,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
}

/** False with the first problem's reason and all messages if there is any problem, else what is given. */
export function unless(problems: readonly Problem[], otherwise: Finding): Finding {
  const [first] = problems;
  return first === undefined
    ? otherwise
    : { status: "False", reason: first.reason, message: messageOf(problems) };
}
