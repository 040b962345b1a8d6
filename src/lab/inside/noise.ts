/**
 * Noise on idle links: a datagram a second over each tunnel link, as a real link has its keepalives, so that nobody takes the interfaces'
 * counters for proof. Never touches a policy port: it goes to the discard port of the link addresses.
 */
import { tunnelEndsOf, type LabPlan } from "../lab-plan.ts";
import type { ProgramSpec } from "./processes.ts";

/** One program per cluster that makes its noise; none for a cluster without links. bash, since it needs neither ping nor a Node of its own. */
export function noisePrograms(plan: LabPlan): ProgramSpec[] {
  return plan.clusters.flatMap(({ id }) => {
    const peers = tunnelEndsOf(plan, id).map((end) => end.peerAddress);
    if (peers.length === 0) return [];
    const script = 'while sleep 1; do for peer; do echo noise 2>/dev/null >"/dev/udp/$peer/9"; done; done';
    return [{ name: `${id}-noise`, netns: id, argv: ["bash", "-c", script, "noise", ...peers] }];
  });
}
