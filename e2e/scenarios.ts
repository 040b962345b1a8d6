/** All scenarios, in the order in which they run. */
import type { Scenario } from "./claim.ts";
import { payment } from "./scenarios/payment.ts";
import { servicePolicies } from "./scenarios/service-policies.ts";
import { uninstall } from "./scenarios/uninstall.ts";

export const scenarios: readonly Scenario[] = [servicePolicies, payment, uninstall];
