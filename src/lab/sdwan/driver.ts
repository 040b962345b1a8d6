/**
 * The lab's SD-WAN controller: follows the WANPolicies of all clusters and keeps ports, routing rules and packet filters in step.
 * Never judges a policy (that is mc-wan's to do) and never writes to a cluster.
 *
 *     clusters ── list and watch WANPolicies ──> chosenPorts ─> step ──> nft, ip rule in every cluster's namespace
 */
import { rename, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { group } from "../../model/names.ts";
import { routingTable } from "../address-plan.ts";
import { inNetns, ipBatch } from "../inside/network.ts";
import { tunnelEndsOf, labFiles, type LabPlan } from "../lab-plan.ts";
import { arrayAt, isObject, numberAt, objectAt, stringAt } from "../node-agent/json.ts";
import { isNotFound, type KubeApi } from "../node-agent/kube-api.ts";
import { run } from "../node-agent/run-command.ts";
import {
  chosenPorts,
  nextDeadline,
  NO_PORTS,
  portsInForce,
  step,
  type PortChange,
  type PortState,
  type SeenPolicy,
} from "./policy-ports.ts";
import { closePort, openPort, routingRules } from "./ruleset.ts";

const PATH = `/apis/${group}/v1alpha1/wanpolicies`;
/** Between attempts to list: the CRD comes with mc-wan, which may be installed at any time. */
const RETRY_MS = 250;

/** Says what the driver does, for the lab's log. */
export type SdwanLog = (text: string) => void;

/** The driver of one lab. */
export class SdwanDriver {
  readonly #plan: LabPlan;
  readonly #log: SdwanLog;
  readonly #seen = new Map<string, SeenPolicy[]>();
  #state: PortState = NO_PORTS;
  #wake: () => void = () => undefined;
  #due = false;
  #told = "";

  constructor(plan: LabPlan, log: SdwanLog) {
    this.#plan = plan;
    this.#log = log;
  }

  /** Follows a cluster's WANPolicies for as long as the lab lives. */
  follow(cluster: string, api: KubeApi): void {
    void this.#follow(cluster, api);
  }

  /** Applies what was seen, for as long as the lab lives. */
  async apply(): Promise<never> {
    for (;;) {
      const now = performance.now();
      const wanted = chosenPorts([...this.#seen.values()].flat(), this.#tunnels);
      const { state, changes } = step(this.#state, wanted, now);
      this.#due = false;
      try {
        for (const change of changes) await this.#make(change);
        this.#state = state;
        await this.#tell();
      } catch (error) {
        // The state stays, so the same changes come again; each of them may be made twice.
        this.#log(`SD-WAN: ${error instanceof Error ? error.message : String(error)}`);
        await sleep(RETRY_MS);
        continue;
      }
      await this.#nextDue(nextDeadline(state) - performance.now());
    }
  }

  /** Keeps the file that `Lab.ports` reads, replaced in one step. */
  async #tell(): Promise<void> {
    const text = JSON.stringify(portsInForce(this.#state));
    if (text === this.#told) return;
    const file = labFiles(this.#plan.runDir).sdwanPorts;
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
    this.#told = text;
  }

  get #tunnels(): string[] {
    return this.#plan.tunnels.map((tunnel) => tunnel.name);
  }

  async #follow(cluster: string, api: KubeApi): Promise<never> {
    for (;;) {
      try {
        const list = await api.call("GET", PATH);
        if (!isObject(list)) throw new TypeError("the list of WANPolicies is no object");
        this.#replace(cluster, arrayAt(list, "items"));
        const version = stringAt(objectAt(list, "metadata"), "resourceVersion");
        const lines = api.lines(
          `${PATH}?watch=1&resourceVersion=${version}&timeoutSeconds=300`,
          AbortSignal.timeout(310_000),
        );
        // A lab's policies are few: any event is a reason to list again.
        for await (const line of lines) if (line !== "") break;
      } catch (error) {
        // No CRD is no policies: not yet, or not any more. Any other failure: what was seen last stays in force.
        if (isNotFound(error)) this.#replace(cluster, []);
        await sleep(RETRY_MS);
      }
    }
  }

  #replace(cluster: string, items: readonly unknown[]): void {
    const seen = items.flatMap((item) => seenPolicy(cluster, item));
    if (seen.length === 0 && (this.#seen.get(cluster) ?? []).length === 0) return;
    this.#seen.set(cluster, seen);
    this.#due = true;
    this.#wake();
  }

  async #nextDue(inMs: number): Promise<void> {
    if (this.#due) return;
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const timer = new AbortController();
    const timeout = Number.isFinite(inMs)
      ? sleep(Math.max(0, inMs) + 1, undefined, { signal: timer.signal }).catch(() => undefined)
      : new Promise<void>(() => undefined);
    await Promise.race([woken, timeout]);
    timer.abort();
  }

  async #make(change: PortChange): Promise<void> {
    this.#log(
      `SD-WAN: ${change.kind} port ${change.port} ${change.kind === "route" ? "into" : "of"} tunnel ${change.tunnel}`,
    );
    await Promise.all(this.#plan.clusters.map(({ id }) => this.#makeIn(id, change)));
  }

  async #makeIn(cluster: string, { kind, port, tunnel }: PortChange): Promise<void> {
    const table = routingTable(this.#tunnels, tunnel);
    if (table === undefined) return;
    switch (kind) {
      case "open":
      case "close": {
        const interfaces = tunnelEndsOf(this.#plan, cluster)
          .filter((end) => end.link === tunnel)
          .flatMap((end) => [end.interface, end.wireInterface]);
        const input = (kind === "open" ? openPort : closePort)(interfaces, port);
        await tolerate(
          /No such file/,
          run([...inNetns(cluster), this.#plan.programs.nft, "-f", "-"], { input }),
        );
        return;
      }
      case "route":
      case "unroute": {
        const verb = kind === "route" ? "add" : "del";
        for (const rule of routingRules(port, table)) {
          await tolerate(/File exists|No such file|Cannot find/, ipBatch(cluster, [`rule ${verb} ${rule}`]));
        }
      }
    }
  }
}

/** Waits for a change that may have been made before: the message that says so is no failure. */
async function tolerate(message: RegExp, change: Promise<unknown>): Promise<void> {
  try {
    await change;
  } catch (error) {
    if (!(error instanceof Error && message.test(error.message))) throw error;
  }
}

/** A policy that can't be read is left out: the API server has validated it, so it is of a version that this lab doesn't know. */
function seenPolicy(cluster: string, item: unknown): SeenPolicy[] {
  try {
    if (!isObject(item)) return [];
    const [metadata, spec] = [objectAt(item, "metadata"), objectAt(item, "spec")];
    return [
      {
        cluster,
        name: stringAt(metadata, "name"),
        createdAt: stringAt(metadata, "creationTimestamp"),
        tunnel: stringAt(spec, "tunnel"),
        port: numberAt(spec, "port"),
      },
    ];
  } catch {
    return [];
  }
}
