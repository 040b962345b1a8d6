/** All scenarios, in the order in which they run. */
import type { Scenario } from "./claim.ts";
import { access } from "./scenarios/access.ts";
import { badInput } from "./scenarios/bad-input.ts";
import { changes } from "./scenarios/changes.ts";
import { failover } from "./scenarios/failover.ts";
import { identity } from "./scenarios/identity.ts";
import { leastPrivilege } from "./scenarios/least-privilege.ts";
import { mcs } from "./scenarios/mcs.ts";
import { mutualTls } from "./scenarios/mutual-tls.ts";
import { objects } from "./scenarios/objects.ts";
import { payment } from "./scenarios/payment.ts";
import { portChange } from "./scenarios/port-change.ts";
import { rotation } from "./scenarios/rotation.ts";
import { servicePolicies } from "./scenarios/service-policies.ts";
import { tcp } from "./scenarios/tcp.ts";
import { uninstall } from "./scenarios/uninstall.ts";

export const scenarios: readonly Scenario[] = [
  servicePolicies,
  payment,
  portChange,
  changes,
  failover,
  objects,
  badInput,
  mcs,
  access,
  mutualTls,
  rotation,
  tcp,
  identity,
  leastPrivilege,
  uninstall,
];
