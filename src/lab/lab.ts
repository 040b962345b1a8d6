/**
 * Whole clusters on this one machine, without Docker and without root: what tests and the command line start, ask and end.
 *
 *     startLab ─> Lab { kubeconfig, clusters, counters(), runInCluster(), stop() }
 *
 * Never changes the host: besides files in the run folder and ports on 127.0.0.1 all is in private namespaces, and gone with the lab.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { UsageError } from "../model/errors.ts";
import type { ClusterAddresses } from "./address-plan.ts";
import { labBinaryNames, obtainBinaries, obtainImageTools, type LabBinaryName } from "./binaries/binaries.ts";
import { parseCounters, parseInterfaces, type CountedCluster, type LabCounters } from "./counters.ts";
import { asClient, enter, enteringCommand, type EnterOptions } from "./enter.ts";
import { checkHost } from "./host-check.ts";
import { clientNetns } from "./inside/network.ts";
import type { LinksStatus } from "./inside/links.ts";
import { labFiles, tunnelEndsOf, type LabPlan, type TunnelPlan } from "./lab-plan.ts";
import { launch, openApiServerSockets } from "./launcher.ts";
import { changeLinks, readLinks } from "./link-control.ts";
import { loadImages } from "./node-agent/images.ts";
import { checkedIds, makePlan, writePlan, type PlanOptions } from "./make-plan.ts";
import {
  childrenOf,
  defaultRunDir,
  gone,
  identify,
  isRunning,
  makeRunDir,
  readState,
  removeRunDir,
  withRunDirLock,
  writeState,
  type LabState,
} from "./run-dir.ts";
import type { ProgramResult } from "./run-program.ts";
import type { LinkChange, LinkSelector } from "./sdwan/link-change.ts";
import type { LinkStatus } from "./sdwan/link-means.ts";
import type { SdwanPort } from "./sdwan/policy-ports.ts";
import { TABLE } from "./sdwan/ruleset.ts";

/** What a lab is to be; everything has a default. */
export interface LabOptions extends PlanOptions {
  readonly runDir?: string | undefined;
  /** First of the API servers' ports on 127.0.0.1; default: free ones. */
  readonly portBase?: number | undefined;
  /** Whether the lab outlives this process; default false: it ends with it, even by SIGKILL. */
  readonly detached?: boolean;
  /** Gets a line per step, for a person. */
  readonly onProgress?: (line: string) => void;
  /** Ends the lab while it is starting. */
  readonly signal?: AbortSignal | undefined;
  /** What is put into the clusters once they are ready, as mc-wan itself; when it throws, the lab is ended. */
  readonly install?: ((lab: Lab) => Promise<void>) | undefined;
}

/** A cluster of a lab. */
export interface LabCluster {
  readonly id: string;
  /** Name of its kubeconfig context. */
  readonly context: string;
  readonly nodeName: string;
  readonly addresses: ClusterAddresses;
  /** Its API server, from the host. */
  readonly server: string;
  /** Its API server, from Pods of any cluster. */
  readonly insideServer: string;
}

/** A lab that is up. */
export class Lab {
  readonly #plan: LabPlan;
  readonly #state: LabState;

  constructor(plan: LabPlan, state: LabState) {
    this.#plan = plan;
    this.#state = state;
  }

  get runDir(): string {
    return this.#plan.runDir;
  }

  /** Path of the kubeconfig for the host: a context per cluster. */
  get kubeconfig(): string {
    return labFiles(this.#plan.runDir).kubeconfig;
  }

  /** Path of the kubeconfig whose servers are reached from inside: of Pods, for peers' Secrets. */
  get insideKubeconfig(): string {
    return labFiles(this.#plan.runDir).insideKubeconfig;
  }

  get clusters(): LabCluster[] {
    return this.#plan.clusters.map(({ id, context, nodeName, addresses, hostPort }) => {
      return {
        id,
        context,
        nodeName,
        addresses,
        server: `https://127.0.0.1:${hostPort}`,
        insideServer: `https://${addresses.apiServer}:6443`,
      };
    });
  }

  get tunnels(): readonly TunnelPlan[] {
    return this.#plan.tunnels;
  }

  get state(): LabState {
    return this.#state;
  }

  /** Path of a program of the lab. */
  program(name: LabBinaryName): string {
    return join(this.#plan.cacheDir, name);
  }

  /** A cluster by its id. Throws UsageError when there is none. */
  cluster(id: string): LabCluster {
    const found = this.clusters.find((cluster) => cluster.id === id);
    if (found === undefined)
      throw new UsageError(
        `the lab has no cluster ${id}: it has ${this.clusters.map((cluster) => cluster.id).join(", ")}`,
      );
    return found;
  }

  /** Runs a program in a cluster's network (as its node), or with `netns` in any other namespace of the lab. */
  async runInCluster(
    id: string,
    words: readonly string[],
    options: EnterOptions = {},
  ): Promise<ProgramResult> {
    return await enter(this.#state, words, { netns: this.cluster(id).id, ...options });
  }

  /** Runs a program as a client in a cluster: a Pod's network and DNS, the host's files. */
  async runAsClient(
    id: string,
    words: readonly string[],
    options: EnterOptions = {},
  ): Promise<ProgramResult> {
    return await enter(this.#state, this.#clientWords(id, words), { ...options, netns: clientNetns(id) });
  }

  /** The same as a command line, for a program with its own terminal. */
  clientCommand(id: string, words: readonly string[]): string[] {
    return enteringCommand(this.#state, this.#clientWords(id, words), clientNetns(id));
  }

  /** What passed each link since the lab came up. */
  async counters(): Promise<LabCounters> {
    const counted = await Promise.all(
      this.#plan.clusters.map(
        async ({ id }) => await this.#countersAt({ cluster: id, ends: tunnelEndsOf(this.#plan, id) }),
      ),
    );
    return {
      links: counted.flatMap((at) => at.links),
      refused: counted.flatMap((at) => at.refused),
      interfaces: counted.flatMap((at) => at.interfaces),
    };
  }

  /** Names of the interfaces at a cluster's ends of the tunnels, in its network. */
  tunnelInterfaces(id: string): string[] {
    return tunnelEndsOf(this.#plan, this.cluster(id).id).map((end) => end.interface);
  }

  /** How each direction of each link is, and by which means. */
  async links(): Promise<LinksStatus> {
    return await readLinks(this.runDir);
  }

  /**
   * Changes links while the lab is up: their quality, or cuts and heals them. Fulfils when it is so, with the directions that were meant.
   * Throws UsageError for a selector that means none.
   */
  async changeLinks(selector: LinkSelector, change: LinkChange): Promise<LinkStatus[]> {
    return await changeLinks({ plan: this.#plan, state: this.#state }, { selector, change });
  }

  /** The policy ports that the SD-WAN has in force: it follows the WANPolicies with a moment's delay. */
  async ports(): Promise<readonly SdwanPort[]> {
    const text = await readFile(labFiles(this.runDir).sdwanPorts, "utf8").catch(() => "[]");
    return JSON.parse(text) as readonly SdwanPort[];
  }

  /** Ends the lab and clears its run folder. A lab that is gone already is only cleared. */
  async stop(): Promise<void> {
    await withRunDirLock(this.runDir, async () => {
      await endProcesses(this.#state);
      await removeRunDir(this.runDir);
    });
  }

  #clientWords(id: string, words: readonly string[]): string[] {
    return asClient(words, join(this.runDir, this.cluster(id).id, "resolv.conf"));
  }

  async #countersAt(at: CountedCluster): Promise<LabCounters> {
    const script = `"$1" -j list table inet ${TABLE}; echo; cat /proc/net/dev`;
    const { code, stdout, stderr } = await this.runInCluster(at.cluster, [
      "sh",
      "-c",
      script,
      "counters",
      this.#plan.programs.nft,
    ]);
    if (code !== 0) throw new Error(`the counters of ${at.cluster} can't be read: ${stderr.trim()}`);
    const [json = "", ...rest] = stdout.trimStart().split("\n");
    return { ...parseCounters(at, json), interfaces: parseInterfaces(at, rest.join("\n")) };
  }
}

/**
 * Starts a lab and fulfils when its clusters are ready. Programs that this machine lacks are obtained first, which takes minutes once.
 * Throws UsageError for what the user or the machine is the cause of, Error when a program of the lab fails; nothing of the lab is left then.
 */
export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const runDir = resolve(options.runDir ?? defaultRunDir());
  const say = options.onProgress ?? ((): void => undefined);
  const ids = checkedIds(options.clusters);
  checkHost();
  checkImages(options.imagesFile);
  const binaries = await obtainBinaries(labBinaryNames, { progress: say, signal: options.signal });
  await obtainImageTools({ progress: say, signal: options.signal });
  return await withRunDirLock(runDir, async () => {
    const before = readState(runDir);
    if (before !== undefined && isRunning(before.process)) {
      throw new UsageError(
        `a lab is already up in ${runDir} (process ${before.process.pid}): \`mcwan lab down\` ends it, MCWAN_RUN names another folder`,
      );
    }
    await makeRunDir(runDir);
    const sockets = await openApiServerSockets(ids.length, options.portBase);
    try {
      const plan = makePlan({ runDir, ids, ports: sockets.ports, binaries, options });
      await writePlan(plan, binaries);
      return await bringUp(plan, sockets, options);
    } catch (error) {
      sockets.close();
      throw error;
    }
  });
}

/** The node agents would refuse it too, but only when everything else is up. */
function checkImages(imagesFile: string | undefined): void {
  if (imagesFile === undefined) return;
  try {
    loadImages("", resolve(imagesFile));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split("\n")[0] : "unknown fault";
    throw new UsageError(
      `the images of ${imagesFile} can't be used (${why ?? ""}): correct the file, or name another with --images`,
      {
        cause,
      },
    );
  }
}

/** The lab in a run folder; undefined when none is up there. */
export async function openLab(runDir: string = defaultRunDir()): Promise<Lab | undefined> {
  const state = readState(runDir);
  if (state === undefined || !isRunning(state.process)) return undefined;
  // Written by startLab, in a folder that only this user can write to.
  return new Lab(JSON.parse(await readFile(labFiles(runDir).plan, "utf8")) as LabPlan, state);
}

/** Ends whatever lab is in a run folder and clears it. Gives whether one was up. */
export async function endLab(runDir: string = defaultRunDir()): Promise<boolean> {
  if (!existsSync(runDir)) return false;
  return await withRunDirLock(runDir, async () => {
    const state = readState(runDir);
    const up = state !== undefined && isRunning(state.process);
    if (state !== undefined) await endProcesses(state);
    await removeRunDir(runDir);
    return up;
  });
}

async function bringUp(
  plan: LabPlan,
  sockets: Parameters<typeof launch>[1],
  options: LabOptions,
): Promise<Lab> {
  const say = options.onProgress ?? ((): void => undefined);
  const launched = launch(plan, sockets, {
    detached: options.detached ?? false,
    signal: options.signal,
    onStep: (text, cluster) => {
      say(cluster === undefined ? text : `${cluster}: ${text}`);
    },
  });
  sockets.close();
  const holder = identify(launched.pid);
  if (holder === undefined) {
    await launched.ready;
    throw new Error("the lab's first process is gone");
  }
  const state = { process: holder, startedAt: new Date().toISOString(), ready: false };
  const lab = new Lab(plan, { ...state, ready: true });
  try {
    await writeState(plan.runDir, state);
    await launched.ready;
    await options.install?.(lab);
    await writeState(plan.runDir, lab.state);
  } catch (error) {
    await endProcesses(state);
    throw error;
  }
  // A lab that is this process's own must not keep it alive either.
  launched.child.unref();
  return lab;
}

async function endProcesses(state: LabState): Promise<void> {
  if (!isRunning(state.process)) return;
  const inside = childrenOf(state.process.pid).flatMap((pid) => identify(pid) ?? []);
  process.kill(state.process.pid, "SIGKILL");
  await Promise.all([state.process, ...inside].map(gone));
}
