/** All scenarios, in the order in which they run. */
import type { Scenario } from "./claim.ts";
import { payment } from "./scenarios/payment.ts";

export const scenarios: readonly Scenario[] = [payment];
