/**
 * One container of a Pod over all its runs: start, probes, hooks, restart with back-off, orderly stop.
 *
 *     waiting ──launch──> running ──exit──> terminated ──restart policy, back-off──> waiting …
 *
 * What it is doing is in `snapshot()`; every change is told by `changed`. It doesn't know the API server.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { ContainerLog } from "./container-log.ts";
import { ContainerStartError, type ContainerExit, type ContainerProcess } from "./container-process.ts";
import { ContainerConfigError } from "./environment.ts";
import { ImageError } from "./images.ts";
import { httpGet, type ProbeTarget } from "./probe-attempt.ts";
import { ProbeLoop } from "./probe-loop.ts";
import type { Probe } from "./probe-state.ts";
import type { ContainerRole, ContainerSnapshot, ContainerState } from "./pod-status.ts";
import { afterExit, NO_CRASH, restarts } from "./restart-policy.ts";

/** What a container needs from its Pod. */
export interface ContainerHost {
  /** Starts a run. Throws ImageError, ContainerConfigError or ContainerStartError when it can't be. */
  launch(run: number): Promise<{ process: ContainerProcess; log: ContainerLog; runId: string }>;
  readonly target: ProbeTarget;
  changed(): void;
  warn(reason: string, message: string): void;
  readonly graceMs: () => number;
}

/** How the container is to be run. */
export interface ContainerPlan {
  readonly container: IContainer;
  readonly role: ContainerRole;
  readonly restartPolicy: string;
  readonly restartCount: number;
}

/** For stops that nothing hurries. */
const NEVER = new AbortController().signal;

type Hook = NonNullable<NonNullable<IContainer["lifecycle"]>["preStop"]>;

/** A container, from the Pod's start to its end. */
export class Container {
  readonly plan: ContainerPlan;
  readonly #host: ContainerHost;
  readonly #stopping = new AbortController();
  readonly #startedOnce = Promise.withResolvers<undefined>();
  #state: ContainerState = { waiting: { reason: "ContainerCreating" } };
  #lastState: ContainerState | undefined;
  #restartCount: number;
  #ready = false;
  #started = false;
  #process: ContainerProcess | undefined;
  #runId = "";
  #log: ContainerLog | undefined;
  #previousLog: ContainerLog | undefined;
  #probes: ProbeLoop[] = [];
  #reason: string | undefined;

  constructor(plan: ContainerPlan, host: ContainerHost) {
    this.plan = plan;
    this.#host = host;
    this.#restartCount = plan.restartCount;
    if (plan.role === "main") this.#state = { waiting: { reason: "PodInitializing" } };
  }

  /** Settles when it has started once (its startup probe, if any, included), or will never. */
  get startedOnce(): Promise<undefined> {
    return this.#startedOnce.promise;
  }

  /** Its PID 1 while it runs. */
  get pid(): number | undefined {
    return this.#process?.pid === 0 ? undefined : this.#process?.pid;
  }

  /** The present run's log, or the one before. */
  log(previous: boolean): ContainerLog | undefined {
    return previous ? this.#previousLog : this.#log;
  }

  /** What it is doing now. */
  snapshot(): ContainerSnapshot {
    const { container, role } = this.plan;
    const common = {
      name: container.name,
      image: container.image ?? "",
      role,
      state: this.#state,
      lastState: this.#lastState,
    };
    const done = role === "init" && "terminated" in this.#state && this.#state.terminated.exitCode === 0;
    return {
      ...common,
      restartCount: this.#restartCount,
      ready: this.#ready || done,
      started: this.#started,
      containerID: this.#runId,
    };
  }

  /** Runs it until it is over by its restart policy, or stopped. Gives the last exit code. */
  async run(): Promise<number> {
    let backOff = NO_CRASH;
    let failures = 0;
    for (;;) {
      if (this.#isStopping()) return this.#never();
      const launched = await this.#launch();
      if (launched === undefined) {
        failures += 1;
        await this.#pause(Math.min(500 * 2 ** failures, 10_000));
        continue;
      }
      failures = 0;
      const exit = await this.#untilOver(launched);
      const { restartPolicy, container } = this.plan;
      if (this.#isStopping() || !restarts(restartPolicy, exit.exitCode)) {
        this.#startedOnce.resolve(undefined);
        return exit.exitCode;
      }
      backOff = afterExit(backOff, exit.finishedAt.getTime() - launched.startedAt.getTime());
      if (backOff.waitMs > 0) {
        const message = `back-off ${backOff.waitMs / 1000}s restarting failed container=${container.name}`;
        this.#lastState = this.#state;
        this.#set({ waiting: { reason: "CrashLoopBackOff", message } });
        this.#host.warn("BackOff", message);
        await this.#pause(backOff.waitMs);
      }
      if (!this.#isStopping()) this.#restartCount += 1;
    }
  }

  /** preStop, SIGTERM, and SIGKILL when the grace is over or `hurry` fires. No restart follows. */
  async stop(graceMs: number, hurry: AbortSignal): Promise<void> {
    this.#stopping.abort();
    await this.#end(graceMs, hurry);
  }

  async #end(graceMs: number, hurry: AbortSignal): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    const deadline = Date.now() + graceMs;
    const over = process.exited.then(() => undefined);
    const wait = (ms: number): Promise<undefined> =>
      sleep(ms, undefined, { signal: hurry }).catch(() => undefined);
    const preStop = this.plan.container.lifecycle?.preStop;
    if (preStop !== undefined && graceMs > 0) {
      const hook = this.#hook(preStop, graceMs).catch((error: unknown) => {
        this.#host.warn("FailedPreStopHook", error instanceof Error ? error.message : String(error));
      });
      await Promise.race([hook, over, wait(graceMs)]);
    }
    process.signal("SIGTERM");
    // As the kubelet: after a hook that used up the grace, two seconds remain.
    const left = graceMs === 0 ? 0 : Math.max(deadline - Date.now(), 2_000);
    await Promise.race([over, wait(left)]);
    process.signal("SIGKILL");
    await over;
  }

  #never(): number {
    this.#startedOnce.resolve(undefined);
    if ("waiting" in this.#state && this.#lastState !== undefined && "terminated" in this.#lastState)
      this.#set(this.#lastState);
    return "terminated" in this.#state ? this.#state.terminated.exitCode : 137;
  }

  async #launch(): Promise<ContainerProcess | undefined> {
    try {
      const { process, log, runId } = await this.#host.launch(this.#restartCount);
      if ("terminated" in this.#state) this.#lastState = this.#state;
      this.#previousLog = this.#log;
      [this.#log, this.#process, this.#runId, this.#reason] = [log, process, runId, undefined];
      if (this.#isStopping()) process.signal("SIGKILL");
      return process;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const reason = waitingReason(error, this.#state);
      this.#set({ waiting: { reason, message } });
      this.#host.warn("Failed", message);
      return undefined;
    }
  }

  async #untilOver(process: ContainerProcess): Promise<ContainerExit> {
    const { container, role } = this.plan;
    this.#set({ running: { startedAt: seconds(process.startedAt) } });
    const postStart = container.lifecycle?.postStart;
    if (postStart !== undefined) {
      await Promise.race([this.#hook(postStart, 30_000), process.exited]).catch((error: unknown) => {
        this.#host.warn("FailedPostStartHook", error instanceof Error ? error.message : String(error));
        void this.#end(this.#host.graceMs(), NEVER);
      });
    }
    if (role !== "init") this.#startProbes(process);
    const exit = await process.exited;
    for (const probe of this.#probes) probe.stop();
    this.#probes = [];
    this.#process = undefined;
    [this.#ready, this.#started] = [false, false];
    const failed = exit.exitCode !== 0;
    const message =
      failed && container.terminationMessagePolicy === "FallbackToLogsOnError"
        ? this.#log?.tail(10)
        : undefined;
    this.#set({
      terminated: {
        exitCode: exit.exitCode,
        reason: this.#reason ?? (failed ? "Error" : "Completed"),
        ...(message === undefined ? {} : { message }),
        startedAt: seconds(process.startedAt),
        finishedAt: seconds(exit.finishedAt),
        containerID: this.#runId,
      },
    });
    return exit;
  }

  #startProbes(process: ContainerProcess): void {
    const { startupProbe } = this.plan.container;
    if (startupProbe === undefined) {
      this.#nowStarted(process);
      return;
    }
    // Once it has succeeded a startup probe is done; until then a run of failures ends the container.
    let failures = 0;
    const startup = this.#probe(startupProbe, false, {
      verdict: (ok) => {
        if (!ok) return;
        startup.stop();
        this.#nowStarted(process);
      },
      failed: (message) => {
        this.#host.warn("Unhealthy", `Startup probe failed: ${message}`);
        failures += 1;
        if (failures === (startupProbe.failureThreshold ?? 3)) this.#unhealthy(process, startupProbe);
      },
    });
  }

  #nowStarted(process: ContainerProcess): void {
    if (process !== this.#process) return;
    this.#started = true;
    this.#startedOnce.resolve(undefined);
    const { readinessProbe, livenessProbe } = this.plan.container;
    this.#ready = readinessProbe === undefined;
    this.#host.changed();
    const warn = (kind: string) => (message: string) => { this.#host.warn("Unhealthy", `${kind} probe failed: ${message}`); }; // prettier-ignore
    if (readinessProbe !== undefined) {
      const verdict = (ok: boolean): void => {
        this.#ready = ok;
        this.#host.changed();
      };
      this.#probe(readinessProbe, false, { verdict, failed: warn("Readiness") });
    }
    if (livenessProbe !== undefined) {
      const verdict = (ok: boolean): void => {
        if (!ok) this.#unhealthy(process, livenessProbe);
      };
      this.#probe(livenessProbe, true, { verdict, failed: warn("Liveness") });
    }
  }

  #probe(probe: Probe, initial: boolean, listener: ConstructorParameters<typeof ProbeLoop>[2]): ProbeLoop {
    const loop = new ProbeLoop(probe, { target: this.#host.target, initial }, listener);
    this.#probes.push(loop);
    return loop;
  }

  #unhealthy(process: ContainerProcess, probe: Probe): void {
    if (this.#isStopping() || process !== this.#process) return;
    this.#host.warn("Killing", `container ${this.plan.container.name} failed its probe and is stopped`);
    const graceMs = (probe.terminationGracePeriodSeconds ?? this.#host.graceMs() / 1000) * 1000;
    void this.#end(graceMs, NEVER);
  }

  async #hook(hook: Hook, timeoutMs: number): Promise<void> {
    const { target } = this.#host;
    if (hook.sleep !== undefined) await sleep(hook.sleep.seconds * 1000);
    if (hook.exec !== undefined) {
      const { exitCode, output } = await target.exec(hook.exec.command ?? [], timeoutMs);
      if (exitCode !== 0) throw new Error(`exit ${exitCode}: ${output.slice(0, 300)}`);
    }
    if (hook.httpGet !== undefined) {
      const { ok, message } = await httpGet(hook.httpGet, target, timeoutMs);
      if (!ok) throw new Error(message);
    }
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }

  #set(state: ContainerState): void {
    this.#state = state;
    this.#host.changed();
  }
}

function seconds(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}

function waitingReason(error: unknown, before: ContainerState): string {
  if (error instanceof ImageError) {
    const again = "waiting" in before && /^(ErrImagePull|ImagePullBackOff)$/.test(before.waiting.reason);
    return again ? "ImagePullBackOff" : "ErrImagePull";
  }
  if (error instanceof ContainerConfigError) return "CreateContainerConfigError";
  if (error instanceof ContainerStartError) return "CreateContainerError";
  return "CreateContainerError";
}
