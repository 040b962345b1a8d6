/**
 * The controller, put together: the one place that knows all stages.
 *
 *     observe ──World──→ reconcile ──Desired──→ apply ──→ the home cluster
 *                            └──Desired──→ translate ──EnvoyConfig──→ serve ──→ Envoys
 *                                              └──verdicts──┐            │
 *                                         apply ←── statuses ←── acknowledgements
 *
 * Every replica computes and serves; only the holder of the Lease writes. A stage that fails by a bug is logged once and
 * counted; its last good output stays in force.
 */
import { Applier } from "../apply/applier.ts";
import type { KubeWriter } from "../apply/kube-writer.ts";
import { Lease } from "../apply/lease.ts";
import type { LeaseTimes } from "../apply/lease.ts";
import { PeerEvents, peerProblems } from "../apply/peer-events.ts";
import type { Desired, DesiredStatus, ObjectKey } from "../model/desired.ts";
import type { Acknowledgements, EnvoyConfig, Translation } from "../model/envoy-config.ts";
import type { Log } from "../model/log.ts";
import type { Metrics } from "../model/metrics.ts";
import type { AdsServer } from "../model/served.ts";
import type { Timing } from "../model/timing.ts";
import type { ClusterId, Settings, World } from "../model/world.ts";
import type { KubeReader } from "../observe/kube-reader.ts";
import { HoldOff } from "../observe/hold-off.ts";
import { Observer } from "../observe/observer.ts";
import type { ObserverStatus } from "../observe/observer.ts";
import type { ProbeGateway } from "../observe/gateway-prober.ts";
import type { ConnectPeer } from "../observe/peer-watch.ts";

/** The pure stages, as they are called here. */
interface Stages {
  readonly reconcile: (world: World) => Desired;
  readonly translate: (world: World, desired: Desired) => Translation;
  readonly gatewayStatuses: (input: GatewayStatusInput) => ReadonlyMap<ObjectKey, DesiredStatus>;
}

/** What the status of Gateways and routes follows from. */
export interface GatewayStatusInput {
  readonly world: World;
  readonly desired: Desired;
  readonly translation: Translation;
  readonly acknowledgements: Acknowledgements;
}

/** What drivers stand behind the stages. */
export interface ControllerOptions {
  readonly stages: Stages;
  /** The home cluster. */
  readonly home: KubeReader & KubeWriter;
  readonly connectPeer: ConnectPeer;
  readonly probeGateway: ProbeGateway;
  readonly adsServer: AdsServer;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly timing: Timing;
  readonly settings: Settings;
  readonly clusterId?: ClusterId | undefined;
  /** `<pod name>_<pod IP>`. */
  readonly identity: string;
  /** Off: this replica always writes. */
  readonly leaderElection: boolean;
  readonly leaseTimes?: LeaseTimes;
  /** Called with the identity of the replica that leads, when that changes. */
  readonly leaderChanged?: (identity: string | undefined) => void;
  readonly observe?: {
    readonly holdOffMs?: number;
    readonly longestHoldOffMs?: number;
    readonly peerGraceMs?: number;
  };
}

/** For health and debug pages. */
export interface ControllerStatus {
  readonly observer: ObserverStatus;
  readonly isServing: boolean;
  readonly isLeader: boolean;
  readonly waitingWrites: number;
  /** Deletions that wait until every peer was heard of. */
  readonly withheldDeletions: number;
  readonly foreign: Applier["foreign"];
  readonly world: World | undefined;
  readonly desired: Desired | undefined;
  readonly translation: Translation | undefined;
}

/** A controller that runs from {@link start} to {@link stop}. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #observer: Observer;
  readonly #applier: Applier;
  readonly #peerEvents: PeerEvents;
  readonly #lease: Lease | undefined;
  readonly #reconcile: LastGood<[World], Desired>;
  readonly #translate: LastGood<[World, Desired], Translation>;
  readonly #serve: LastGood<[EnvoyConfig], void>;
  /** Envoys' words come in bursts. */
  readonly #heard: HoldOff;
  readonly #gatewayStatuses: LastGood<[GatewayStatusInput], ReadonlyMap<ObjectKey, DesiredStatus>>;
  /** As the Lease last told; others plan nothing. */
  #leads: boolean;
  #cancelApply: (() => void) | undefined;
  #world: World | undefined;
  #desired: Desired | undefined;
  #translation: Translation | undefined;

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { stages, home, timing, log, metrics, identity, leaderElection } = options;
    const context = (stage: string): StageContext => ({ stage, timing, metrics, log: log.child({ stage }) });
    this.#observer = new Observer({
      ...context("observe"),
      ...options.observe,
      home,
      connectPeer: options.connectPeer,
      probeGateway: options.probeGateway,
      settings: options.settings,
      clusterId: options.clusterId,
      publish: (world) => {
        this.#pass(world);
      },
      secretsRefused: () => {
        this.#tellOfPeers();
      },
    });
    this.#reconcile = new LastGood(context("reconcile"), stages.reconcile);
    this.#translate = new LastGood(context("translate"), stages.translate);
    this.#serve = new LastGood(context("serve"), (config) => {
      options.adsServer.publish(config);
    });
    this.#gatewayStatuses = new LastGood(context("status"), stages.gatewayStatuses);
    this.#lease = leaderElection
      ? new Lease({
          writer: home,
          identity,
          timing,
          log: log.child({ stage: "apply" }),
          ...(options.leaseTimes && { times: options.leaseTimes }),
          ...(options.leaderChanged && { holderChanged: options.leaderChanged }),
          changed: (isHeld) => {
            metrics.set("mcwan_leader", {}, isHeld ? 1 : 0);
            this.#leads = isHeld;
            this.#probe();
            if (isHeld) this.#apply();
            else this.#applier.leadershipLost();
            this.#tellOfPeers();
          },
        })
      : undefined;
    this.#leads = !leaderElection;
    this.#heard = new HoldOff({
      timing,
      holdOffMs: 5,
      longestMs: 50,
      run: () => {
        this.#observer.setListening(options.adsServer.listening());
        this.#apply();
      },
    });
    const mayWrite = (): boolean => this.#lease?.isHeld() ?? true;
    const [instance = identity] = identity.split("_");
    this.#applier = new Applier({ ...context("apply"), writer: home, mayWrite, instance });
    this.#peerEvents = new PeerEvents({ ...context("apply"), writer: home, mayWrite, instance });
  }

  /** Starts everything; gives the port of the ADS server. */
  async start(): Promise<{ readonly xdsPort: number }> {
    const { adsServer } = this.#options;
    adsServer.onAcknowledged(() => {
      this.#heard.touch();
    });
    const { port } = await adsServer.start();
    this.#observer.start();
    this.#lease?.start();
    return { xdsPort: port };
  }

  /** Ends everything: stops to write, gives up the Lease, then lets the Envoys go. */
  async stop(): Promise<void> {
    this.#heard.stop();
    this.#cancelApply?.();
    await this.#applier.stop();
    await this.#lease?.stop();
    await this.#observer.stop();
    await this.#options.adsServer.stop();
    await this.#options.home.close();
  }

  get status(): ControllerStatus {
    return {
      observer: this.#observer.status,
      isServing: this.#translation !== undefined,
      isLeader: this.#lease?.isHeld() ?? true,
      waitingWrites: this.#applier.waiting,
      withheldDeletions: this.#applier.withheld,
      foreign: this.#applier.foreign,
      world: this.#world,
      desired: this.#desired,
      translation: this.#translation,
    };
  }

  /** One World through all stages. */
  #pass(world: World): void {
    this.#world = world;
    this.#tellOfPeers();
    this.#desired = this.#reconcile.run(world);
    if (this.#desired === undefined) return;
    this.#probe();
    const before = this.#translation;
    this.#translation = this.#translate.run(world, this.#desired);
    if (this.#translation === undefined) return;
    const { config } = this.#translation;
    if (config !== before?.config) {
      this.#serve.run(config);
      this.#applySoon();
    } else this.#apply();
  }

  /** Only what is written follows from probes: one replica is enough. */
  #probe(): void {
    this.#observer.setProbes(this.#leads ? (this.#desired?.probes ?? []) : []);
  }

  /** Once the Envoys' bytes are on their way: plans may take longer than what Envoys are sent. */
  #applySoon(): void {
    this.#cancelApply ??= this.#options.timing.after(0, () => {
      this.#apply();
    });
  }

  #timed(stage: string, run: () => void): void {
    const { timing, metrics } = this.#options;
    const startedMs = timing.now();
    run();
    metrics.observe("mcwan_stage_duration_seconds", { stage }, (timing.now() - startedMs) / 1000);
  }

  /** What is wrong with Secrets and peers. */
  #tellOfPeers(): void {
    this.#peerEvents.tell(peerProblems(this.#observer.status.refusedSecrets, this.#world?.peers ?? []));
  }

  /** Objects and statuses, if this replica leads; also when only an Envoy's word is new. */
  #apply(): void {
    this.#cancelApply?.();
    this.#cancelApply = undefined;
    if (!this.#leads) return;
    const world = this.#world;
    const desired = this.#desired;
    const translation = this.#translation;
    if (world === undefined || desired === undefined || translation === undefined) return;
    const acknowledgements = this.#options.adsServer.acknowledgements();
    const ofGateways = this.#gatewayStatuses.run({ world, desired, translation, acknowledgements });
    // Without them the statuses of Gateways would look unwanted.
    if (ofGateways === undefined) return;
    this.#timed("apply", () => {
      this.#applier.update({ world, desired, statuses: new Map([...desired.statuses, ...ofGateways]) });
    });
  }
}

interface StageContext {
  readonly stage: string;
  readonly timing: Timing;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A pure stage that may have a bug: its last good output stays in force. */
class LastGood<Input extends readonly unknown[], Output> {
  readonly #context: StageContext;
  readonly #stage: (...input: Input) => Output;
  #output: Output | undefined;
  #told: string | undefined;

  constructor(context: StageContext, stage: (...input: Input) => Output) {
    this.#context = context;
    this.#stage = stage;
  }

  run(...input: Input): Output | undefined {
    const { stage, timing, log, metrics } = this.#context;
    const startedMs = timing.now();
    try {
      this.#output = this.#stage(...input);
      this.#told = undefined;
    } catch (error) {
      metrics.increment("mcwan_stage_failures_total", { stage });
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      if (text !== this.#told) log.error("stage failed, its last good output stays in force", { error });
      this.#told = text;
    }
    metrics.observe("mcwan_stage_duration_seconds", { stage }, (timing.now() - startedMs) / 1000);
    return this.#output;
  }
}
