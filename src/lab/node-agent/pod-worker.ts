/**
 * One Pod from its binding to its end: network, volumes, init containers, containers, status, orderly termination.
 *
 *     set up ──> init containers, in order ──> containers, side by side ──> (deleted) stop ──> remove the object
 *
 * It owns everything it makes (namespace, folder, address) and takes it away again. Its errors become the Pod's status and
 * Events, never a crash of the agent.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { IPod } from "kubernetes-models/v1/Pod";
import { Container } from "./container.ts";
import { execInContainer } from "./container-exec.ts";
import { launchContainer, type LaunchedContainer, type PodSandbox } from "./container-launch.ts";
import { isObject } from "./json.ts";
import { addPodNetwork, removeNetns, type PodNetwork } from "./network.ts";
import type { PodSettings } from "./pod-settings.ts";
import { podStatus, type ContainerRole } from "./pod-status.ts";
import { StatusWriter } from "./status-writer.ts";
import { PodVolumes } from "./volumes.ts";

/** How often ConfigMaps, Secrets and tokens of a running Pod are looked at again. */
const REFRESH_MS = 10_000;

const RECHECK_MS = 2_000;

function isReady(status: { readonly conditions?: unknown } | undefined): boolean {
  const conditions: unknown[] = Array.isArray(status?.conditions) ? status.conditions : [];
  return conditions.some(
    (entry) => isObject(entry) && entry["type"] === "Ready" && entry["status"] === "True",
  );
}

/** One Pod of the node. */
export class PodWorker {
  #pod: IPod;
  readonly #settings: PodSettings;
  readonly #containers = new Map<string, Container>();
  readonly #launched = new Map<string, LaunchedContainer>();
  readonly #status: StatusWriter;
  readonly #startTime: string;
  /** Fires when the Pod is to end; `#hurry` when it is to end without grace. */
  readonly #ending = new AbortController();
  readonly #hurry = new AbortController();
  #sandbox: PodSandbox | undefined;
  #network: PodNetwork | undefined;
  /** Taken from the pool, to be given back. */
  #address: string | undefined;
  #podIP: string | undefined;
  #recheck: NodeJS.Timeout | undefined;
  #ended: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(pod: IPod, settings: PodSettings) {
    this.#pod = pod;
    this.#settings = settings;
    const started = pod.status?.startTime;
    this.#startTime = typeof started === "string" ? started : `${new Date().toISOString().slice(0, 19)}Z`;
    this.#status = new StatusWriter(settings.api, () => ({ pod: this.#pod, status: this.status() }));
    const spec = pod.spec ?? { containers: [] };
    for (const container of spec.initContainers ?? []) {
      this.#add(container, container.restartPolicy === "Always" ? "sidecar" : "init");
    }
    for (const container of spec.containers) this.#add(container, "main");
  }

  /** The Pod as last seen. */
  get pod(): IPod {
    return this.#pod;
  }

  /** Starts the work; returns at once. */
  start(): void {
    // What an earlier agent ran is gone: nobody may count on it while it is set up again.
    if (this.#pod.status?.containerStatuses !== undefined) this.#status.request();
    this.#running = this.#run().catch((error: unknown) => {
      this.#warn("FailedCreatePodSandBox", error);
    });
  }

  /** Takes a newer version of the object; a deletion in it begins the end. */
  update(pod: IPod): void {
    const graceBefore = this.#pod.metadata?.deletionGracePeriodSeconds;
    this.#pod = pod;
    const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata ?? {};
    if (deletionTimestamp === undefined) {
      this.#checkReadiness();
      return;
    }
    void this.end({ remove: true });
    // Deleted once more, with less grace.
    if (
      graceBefore === undefined ||
      deletionGracePeriodSeconds === undefined ||
      deletionGracePeriodSeconds >= graceBefore
    )
      return;
    setTimeout(() => { this.#hurry.abort(); }, deletionGracePeriodSeconds * 1000).unref(); // prettier-ignore
  }

  /**
   * A Node whose Lease came late is taken for dead, and its Pods are marked as not ready by the node lifecycle controller: what is
   * ready here is written again. Events lag behind our own writes, hence the second look.
   */
  #checkReadiness(): void {
    if (this.#recheck !== undefined || isReady(this.#pod.status) === isReady(this.status())) return;
    this.#recheck = setTimeout(() => {
      this.#recheck = undefined;
      if (isReady(this.#pod.status) !== isReady(this.status())) this.#status.rewrite();
    }, RECHECK_MS).unref();
  }

  /** The object is gone: ends at once. */
  async gone(): Promise<void> {
    this.#hurry.abort();
    await this.end({ remove: false });
  }

  /** Stops everything, and removes the object if asked to. Many calls are one. */
  end(how: { remove: boolean }): Promise<void> {
    this.#ended ??= this.#end(how.remove);
    return this.#ended;
  }

  /** A container's present run. */
  container(name: string): { container: Container; launched: LaunchedContainer | undefined } | undefined {
    const container = this.#containers.get(name);
    return container === undefined ? undefined : { container, launched: this.#launched.get(name) };
  }

  /** The first container: what port-forward and a request without a name mean. */
  get defaultContainer(): string {
    return this.#pod.spec?.containers[0]?.name ?? "";
  }

  /** Where the Pod's ports are reached from the agent's namespace. */
  get netnsPath(): string | undefined {
    return this.#sandbox?.netnsPath;
  }

  /** The status as it is now. */
  status(): Record<string, unknown> {
    const snapshots = [...this.#containers.values()].map((container) => container.snapshot());
    const now = `${new Date().toISOString().slice(0, 19)}Z`;
    const facts = {
      podIP: this.#podIP,
      nodeIP: this.#settings.config.nodeIP,
      startTime: this.#startTime,
      now,
    };
    return podStatus(this.#pod, snapshots, facts);
  }

  #add(container: IContainer, role: ContainerRole): void {
    const { name } = container;
    const before = [
      ...(this.#pod.status?.containerStatuses ?? []),
      ...(this.#pod.status?.initContainerStatuses ?? []),
    ].find((status) => status.name === name);
    const policy = this.#pod.spec?.restartPolicy ?? "Always";
    const restartPolicy =
      role === "sidecar" ? "Always" : role === "init" && policy === "Always" ? "OnFailure" : policy;
    // Runs of before the agent's own restart are over, and count.
    const restartCount = before?.containerID === undefined ? 0 : before.restartCount + 1;
    const host = {
      launch: async (run: number) => {
        const sandbox = this.#sandbox;
        if (sandbox === undefined) throw new Error("the pod has no sandbox");
        const launched = await launchContainer(
          this.#settings,
          { ...sandbox, pod: this.#pod },
          { container, run },
        );
        this.#launched.set(name, launched);
        return {
          process: launched.process,
          log: launched.log,
          runId: `mc-wan-lab://${this.#pod.metadata?.uid ?? ""}.${name}.${run}`,
        };
      },
      target: {
        container,
        // Set before any container starts.
        ip: () => this.#podIP ?? "127.0.0.1",
        exec: async (command: readonly string[], timeoutMs: number) => {
          const pid = this.#containers.get(name)?.pid;
          const launched = this.#launched.get(name);
          if (pid === undefined || launched === undefined)
            return { exitCode: 126, output: "the container isn't running" };
          return execInContainer({ pid, ...launched }, command, timeoutMs);
        },
      },
      changed: () => { this.#status.request(); }, // prettier-ignore
      warn: (reason: string, message: string) => { this.#settings.events.warn(this.#pod, reason, message); }, // prettier-ignore
      graceMs: () => (this.#pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000,
    };
    this.#containers.set(name, new Container({ container, role, restartPolicy, restartCount }, host));
  }

  async #run(): Promise<void> {
    await this.#settings.startQueue.add(() => this.#setUp());
    if (this.#isEnding()) return;
    void this.#refreshVolumes();
    const mains: Promise<unknown>[] = [];
    const sidecars: Promise<unknown>[] = [];
    for (const container of this.#containers.values()) {
      if (this.#isEnding()) break;
      if (container.plan.role === "main") mains.push(container.run());
      else if (container.plan.role === "sidecar") {
        sidecars.push(container.run());
        await container.startedOnce;
      } else if ((await container.run()) !== 0) break;
    }
    await Promise.all(mains);
    // Sidecars go on only as long as what they serve.
    await this.#stop("sidecar", this.#graceMs());
    await Promise.all(sidecars);
    await this.#releaseNetwork();
    this.#status.request();
  }

  /** Network and volumes; tried until they are there or the Pod is to end. */
  async #setUp(): Promise<void> {
    const { config, addresses, api } = this.#settings;
    const folder = join(config.runDir, "pods", this.#pod.metadata?.uid ?? "");
    const hostNetwork = this.#pod.spec?.hostNetwork === true;
    let volumes: PodVolumes | undefined;
    for (let attempt = 0; !this.#isEnding(); attempt += 1) {
      try {
        await mkdir(join(folder, "volumes"), { recursive: true });
        if (!hostNetwork) this.#address ??= addresses.take();
        this.#podIP = this.#address ?? config.nodeIP;
        const podAddresses = { podIP: this.#podIP, nodeIP: config.nodeIP, nodeName: config.nodeName };
        volumes ??= new PodVolumes({ api, addresses: podAddresses, folder: join(folder, "volumes") });
        const network = hostNetwork ? undefined : this.#ensureNetwork(this.#podIP);
        const results = await Promise.allSettled([network, volumes.write(this.#pod)]);
        for (const result of results) if (result.status === "rejected") throw result.reason;
        this.#sandbox = {
          pod: this.#pod,
          folder,
          addresses: podAddresses,
          netnsPath: this.#network?.netnsPath,
          volumes,
        };
        return;
      } catch (error) {
        this.#warn("FailedMount", error);
        await this.#pause(Math.min(250 * 2 ** attempt, 5_000));
      }
    }
  }

  async #ensureNetwork(ip: string): Promise<void> {
    const { config, netnsPrefix } = this.#settings;
    const id = (this.#pod.metadata?.uid ?? "").replaceAll("-", "").slice(0, 10);
    this.#network ??= await addPodNetwork(id, { ip, gatewayIP: config.podGatewayIP, prefix: netnsPrefix });
  }

  async #refreshVolumes(): Promise<void> {
    const changing = (this.#pod.spec?.volumes ?? []).some(({ emptyDir }) => emptyDir === undefined);
    while (changing && !this.#isEnding()) {
      await this.#pause(REFRESH_MS);
      if (this.#isEnding()) return;
      await this.#sandbox?.volumes.write(this.#pod).catch((error: unknown) => { this.#warn("FailedMount", error); }); // prettier-ignore
    }
  }

  async #end(remove: boolean): Promise<void> {
    this.#ending.abort();
    const graceMs = this.#graceMs();
    await Promise.all([this.#stop("main", graceMs), this.#stop("init", graceMs)]);
    await this.#stop("sidecar", graceMs);
    await this.#running;
    await this.#releaseNetwork();
    if (remove) {
      await this.#status.settle();
      await this.#status.removeObject();
    }
    this.#status.stop();
    const folder = join(this.#settings.config.runDir, "pods", this.#pod.metadata?.uid ?? "none");
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }

  #isEnding(): boolean {
    return this.#ending.signal.aborted;
  }

  #isHurried(): boolean {
    return this.#hurry.signal.aborted;
  }

  #graceMs(): number {
    if (this.#isHurried()) return 0;
    return (
      (this.#pod.metadata?.deletionGracePeriodSeconds ??
        this.#pod.spec?.terminationGracePeriodSeconds ??
        30) * 1000
    );
  }

  async #stop(role: ContainerRole, graceMs: number): Promise<void> {
    const containers = [...this.#containers.values()].filter(({ plan }) => plan.role === role);
    await Promise.all(containers.map((container) => container.stop(graceMs, this.#hurry.signal)));
  }

  async #releaseNetwork(): Promise<void> {
    const [network, address] = [this.#network, this.#address];
    [this.#network, this.#address] = [undefined, undefined];
    if (network !== undefined) await removeNetns(network.netns);
    if (address !== undefined) this.#settings.addresses.release(address);
  }

  #warn(reason: string, error: unknown): void {
    this.#settings.events.warn(this.#pod, reason, error instanceof Error ? error.message : String(error));
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#ending.signal }).catch(() => undefined);
  }
}
