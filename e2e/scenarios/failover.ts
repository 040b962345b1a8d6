/**
 * What dies under load: a Pod of a service, a gateway, all gateways of a cluster, a link. A few injections of what
 * `npm run bench -- --only faults` measures at length; only in a lab, whose links can be cut.
 */
import { openFaultRig } from "../../bench/fault-clusters.ts";
import type { OpenRig } from "../../bench/fault-clusters.ts";
import { faultWords, inject } from "../../bench/fault-rig.ts";
import type { Fault } from "../../bench/fault-rig.ts";
import type { Claim, Scenario } from "../claim.ts";
import { must } from "../claim.ts";

/** Less than the benchmark's: the machine of a test is busy. */
const ratePerSecond = 20;
const limitMs = 150_000;

let open: OpenRig | undefined;

function costsNothing(fault: Fault): Claim {
  return {
    title: `${faultWords[fault]}: at most 1 % of the GETs of the next 10 s fail, and requests come back to the cluster`,
    needsLab: true,
    prove: async () => {
      must(open !== undefined, "the scenario was not set up", {});
      const result = await inject(open.rig, fault, AbortSignal.timeout(limitMs));
      const evidence = { ...result };
      must(result.requests >= 5 * ratePerSecond, "too few requests were sent", evidence);
      must(result.failed <= result.requests / 100, "too many requests failed", evidence);
      return evidence;
    },
  };
}

export const failover: Scenario = {
  title: "failover: what dies under load costs hardly a request",
  setUp: async ({ lab }, progress) => {
    if (lab === undefined) return;
    open = await openFaultRig(lab, { ratePerSecond, signal: AbortSignal.timeout(limitMs) });
    progress("failover: the service is ready in two clusters");
  },
  claims: (["backend", "gateway", "cluster", "link"] as const).map(costsNothing),
  tearDown: async () => {
    await open?.close();
    open = undefined;
  },
};
