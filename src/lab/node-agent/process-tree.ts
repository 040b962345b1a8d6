/**
 * Looks at and ends processes by their place in the tree. Only ever given process ids that the agent has started.
 */
import { readFileSync } from "node:fs";

/** The children of a process, as the kernel lists them; empty when it is gone. */
export function childProcesses(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Kills a process and its direct children, which `nsenter --pid` and `unshare --fork` leave behind. */
export function killWithChildren(pid: number): void {
  // 0 would mean our own process group.
  if (pid <= 0) return;
  for (const target of [...childProcesses(pid), pid]) {
    try {
      process.kill(target, "SIGKILL");
    } catch {
      // It ended in between.
    }
  }
}
