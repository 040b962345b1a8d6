/**
 * A Pod's status from what its containers are doing. PURE: the clock is an argument.
 */
import type { IPod } from "kubernetes-models/v1/Pod";
import { restarts } from "./restart-policy.ts";

/** The three states of a container, as in the API; times are RFC 3339. */
export type ContainerState =
  | { readonly waiting: { readonly reason: string; readonly message?: string } }
  | { readonly running: { readonly startedAt: string } }
  | {
      readonly terminated: {
        readonly exitCode: number;
        readonly reason: string;
        readonly message?: string;
        readonly startedAt: string;
        readonly finishedAt: string;
        readonly containerID: string;
      };
    };

/** `init` runs to its end before the next; `sidecar` is an init container that stays (restartPolicy Always). */
export type ContainerRole = "init" | "sidecar" | "main";

/** What is known of one container at one moment. */
export interface ContainerSnapshot {
  readonly name: string;
  readonly image: string;
  readonly role: ContainerRole;
  readonly state: ContainerState;
  readonly lastState: ContainerState | undefined;
  readonly restartCount: number;
  readonly ready: boolean;
  readonly started: boolean;
  readonly containerID: string;
}

/** What is known of the Pod beside its containers. */
export interface PodFacts {
  readonly podIP: string | undefined;
  readonly nodeIP: string;
  readonly startTime: string;
  /** RFC 3339; for transitions. */
  readonly now: string;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime?: string;
  readonly reason?: string;
  readonly message?: string;
}

/** Phase as the kubelet computes it. */
export function podPhase(pod: IPod, containers: readonly ContainerSnapshot[]): string {
  const policy = pod.spec?.restartPolicy ?? "Always";
  const initFailed = containers.some(
    ({ role, state }) =>
      role === "init" && "terminated" in state && state.terminated.exitCode !== 0 && policy === "Never",
  );
  if (initFailed) return "Failed";
  if (!initialised(containers)) return "Pending";
  const main = containers.filter(({ role }) => role === "main");
  const over = main.map(({ state }) =>
    "terminated" in state && !restarts(policy, state.terminated.exitCode) ? state.terminated : undefined,
  );
  if (over.every((end) => end !== undefined))
    return over.every((end) => end.exitCode === 0) ? "Succeeded" : "Failed";
  const neverRan = main.some(({ state, lastState }) => "waiting" in state && lastState === undefined);
  return neverRan ? "Pending" : "Running";
}

function initialised(containers: readonly ContainerSnapshot[]): boolean {
  return containers.every(({ role, state, started }) => {
    if (role === "main") return true;
    // A sidecar that has ended has done so after the others.
    if (role === "sidecar") return started || "terminated" in state;
    return "terminated" in state && state.terminated.exitCode === 0;
  });
}

function condition(
  before: readonly Condition[],
  type: string,
  facts: { ok: boolean; reason?: string; message?: string; now: string },
): Condition {
  const status = facts.ok ? "True" : "False";
  const old = before.find((candidate) => candidate.type === type);
  const lastTransitionTime = old?.status === status ? (old.lastTransitionTime ?? facts.now) : facts.now;
  if (facts.ok) return { type, status, lastTransitionTime };
  return { type, status, lastTransitionTime, reason: facts.reason ?? "", message: facts.message ?? "" };
}

function containerStatus(container: ContainerSnapshot): Record<string, unknown> {
  const { name, image, state, lastState, restartCount, ready, started, containerID } = container;
  return {
    name,
    image,
    imageID: image,
    state,
    lastState: lastState ?? {},
    restartCount,
    ready,
    started,
    ...(containerID === "" ? {} : { containerID }),
  };
}

/** The body of a strategic merge patch of `status`, without times that change when nothing else does. */
export function podStatus(
  pod: IPod,
  containers: readonly ContainerSnapshot[],
  facts: PodFacts,
): Record<string, unknown> {
  const before = (pod.status?.conditions ?? []) as readonly Condition[];
  const { now, podIP, nodeIP, startTime } = facts;
  const phase = podPhase(pod, containers);
  const over = phase === "Succeeded" || phase === "Failed";
  const ended = phase === "Succeeded" ? "PodCompleted" : "PodFailed";
  const notReady = containers.filter(({ role, ready }) => role !== "init" && !ready).map(({ name }) => name);
  const allReady = notReady.length === 0 && !over;
  const gates = (pod.spec?.readinessGates ?? []).map(({ conditionType }) => conditionType);
  const closed = gates.filter((gate) => before.find(({ type }) => type === gate)?.status !== "True");
  const unready = over
    ? { reason: ended, message: "" }
    : { reason: "ContainersNotReady", message: `containers with unready status: [${notReady.join(" ")}]` };
  const gated = allReady ? { reason: "ReadinessGatesNotReady", message: closed.join(", ") } : unready;
  const incomplete = { reason: "ContainersNotInitialized", message: "init containers have not completed" };
  const statusesOf = (inits: boolean): Record<string, unknown>[] =>
    containers.filter(({ role }) => (role !== "main") === inits).map(containerStatus);
  return {
    observedGeneration: (pod.metadata as { generation?: number } | undefined)?.generation ?? 1,
    phase,
    conditions: [
      condition(before, "PodReadyToStartContainers", {
        ok: podIP !== undefined && !over,
        now,
        reason: "",
        message: "",
      }),
      condition(before, "Initialized", { ok: initialised(containers) || over, now, ...incomplete }),
      condition(before, "Ready", { ok: allReady && closed.length === 0, now, ...gated }),
      condition(before, "ContainersReady", { ok: allReady, now, ...unready }),
      condition(before, "PodScheduled", { ok: true, now }),
    ],
    hostIP: nodeIP,
    hostIPs: [{ ip: nodeIP }],
    ...(podIP === undefined ? {} : { podIP, podIPs: [{ $patch: "replace" }, { ip: podIP }] }),
    startTime,
    initContainerStatuses: statusesOf(true),
    containerStatuses: statusesOf(false),
  };
}
