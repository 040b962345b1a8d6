/**
 * The controller, put together: the one place that knows all stages.
 *
 *     observe ──World──→ reconcile ──Desired──→ apply ──→ the home cluster
 *                            └──Desired──→ data plane ──→ what carries the traffic
 *                                 apply ←── statuses ──┘
 *
 * Every replica computes and serves; only the holder of the Lease writes. A stage that fails by a bug is logged once and
 * counted; its last good output stays in force.
 */
import { Applier } from "../apply/applier.ts";
import type { KubeWriter } from "../apply/kube-writer.ts";
import type { CertificateMaker } from "../apply/certificate-maker.ts";
import { IdentityIssuer } from "../apply/identity-issuer.ts";
import { usualIdentityTimes } from "../apply/identity-plan.ts";
import type { IdentityTimes } from "../apply/identity-plan.ts";
import { Lease } from "../apply/lease.ts";
import type { LeaseTimes } from "../apply/lease.ts";
import { PeerCopies } from "../apply/peer-copies.ts";
import { PeerEvents, peerProblems } from "../apply/peer-events.ts";
import type { DataPlane } from "../model/data-plane.ts";
import type { Desired } from "../model/desired.ts";
import type { Log } from "../model/log.ts";
import type { Metrics } from "../model/metrics.ts";
import type { Timing } from "../model/timing.ts";
import type { ClusterId, Settings, World } from "../model/world.ts";
import type { KubeReader } from "../observe/kube-reader.ts";
import { HoldOff } from "../observe/hold-off.ts";
import { Observer } from "../observe/observer.ts";
import type { ObserverStatus } from "../observe/observer.ts";
import type { ProbeGateway } from "../observe/gateway-prober.ts";
import type { ConnectPeer } from "../observe/peer-watch.ts";
import { LastGood } from "./last-good.ts";
import type { StageContext } from "./last-good.ts";

/** What drivers stand behind the stages. */
export interface ControllerOptions {
  readonly reconcile: (world: World) => Desired;
  /** The home cluster. */
  readonly home: KubeReader & KubeWriter;
  readonly connectPeer: ConnectPeer;
  readonly probeGateway: ProbeGateway;
  readonly certificateMaker: CertificateMaker;
  readonly dataPlane: DataPlane;
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
  readonly identityTimes?: Partial<IdentityTimes>;
  /** Between two copies of what a peer says, in milliseconds. */
  readonly peerCopyPauseMs?: number;
  readonly observe?: {
    readonly holdOffMs?: number;
    readonly longestHoldOffMs?: number;
    readonly peerGraceMs?: number;
    readonly drainLimitMs?: number;
  };
}

/** For health and debug pages. */
export interface ControllerStatus {
  readonly observer: ObserverStatus;
  /** Whether the data plane has something to carry. */
  readonly isServing: boolean;
  readonly isLeader: boolean;
  readonly waitingWrites: number;
  /** Deletions that wait until every peer was heard of. */
  readonly withheldDeletions: number;
  readonly foreign: Applier["foreign"];
  readonly world: World | undefined;
  readonly desired: Desired | undefined;
}

/** A controller that runs from {@link start} to {@link stop}. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #observer: Observer;
  readonly #applier: Applier;
  readonly #issuer: IdentityIssuer;
  readonly #peerCopies: PeerCopies;
  readonly #peerEvents: PeerEvents;
  readonly #lease: Lease | undefined;
  readonly #reconcile: LastGood<[World], Desired>;
  /** Proxies' words come in bursts. */
  readonly #heard: HoldOff;
  /** As the Lease last told; others plan nothing. */
  #leads: boolean;
  #cancelApply: (() => void) | undefined;
  #world: World | undefined;
  #desired: Desired | undefined;
  #isServing = false;

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { home, timing, log, metrics, identity, leaderElection } = options;
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
    this.#reconcile = new LastGood(context("reconcile"), options.reconcile);
    this.#lease = leaderElection
      ? new Lease({
          writer: home,
          identity,
          timing,
          log: log.child({ stage: "apply" }),
          ...(options.leaseTimes && { times: options.leaseTimes }),
          holderChanged: (leader) => {
            const host = leader === undefined || leader === identity ? undefined : leader.split("_")[1];
            options.dataPlane.followLeader(host);
          },
          changed: (isHeld) => {
            metrics.set("mcwan_leader", {}, isHeld ? 1 : 0);
            this.#leads = isHeld;
            if (isHeld) this.#apply();
            else {
              this.#applier.leadershipLost();
              this.#issuer.leadershipLost();
            }
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
        const { dataPlane } = options;
        this.#observer.setHeard({ listening: dataPlane.listening(), sending: dataPlane.sending() });
        this.#apply();
      },
    });
    const mayWrite = (): boolean => this.#lease?.isHeld() ?? true;
    const [instance = identity] = identity.split("_");
    this.#applier = new Applier({ ...context("apply"), writer: home, mayWrite, instance });
    this.#issuer = new IdentityIssuer({
      ...context("apply"),
      writer: home,
      mayWrite,
      maker: options.certificateMaker,
      times: { ...usualIdentityTimes, ...options.identityTimes },
    });
    this.#peerCopies = new PeerCopies({
      ...context("apply"),
      writer: home,
      mayWrite,
      ...(options.peerCopyPauseMs !== undefined && { pauseMs: options.peerCopyPauseMs }),
    });
    this.#peerEvents = new PeerEvents({ ...context("apply"), writer: home, mayWrite, instance });
  }

  /** Starts everything; gives the ports at which proxies are served. */
  async start(): Promise<Readonly<Record<string, number>>> {
    const { dataPlane } = this.#options;
    dataPlane.onHeard(() => {
      this.#heard.touch();
    });
    const ports = await dataPlane.start();
    this.#observer.start();
    this.#lease?.start();
    return ports;
  }

  /** Ends everything: stops to write, gives up the Lease, then lets the proxies go. */
  async stop(): Promise<void> {
    this.#heard.stop();
    this.#peerCopies.stop();
    this.#cancelApply?.();
    this.#issuer.stop();
    await this.#applier.stop();
    await this.#lease?.stop();
    await this.#observer.stop();
    await this.#options.dataPlane.stop();
    await this.#options.home.close();
  }

  get status(): ControllerStatus {
    return {
      observer: this.#observer.status,
      isServing: this.#isServing,
      isLeader: this.#lease?.isHeld() ?? true,
      waitingWrites: this.#applier.waiting,
      withheldDeletions: this.#applier.withheld,
      foreign: this.#applier.foreign,
      world: this.#world,
      desired: this.#desired,
    };
  }

  /** One World through all stages. */
  #pass(world: World): void {
    this.#world = world;
    this.#peerCopies.update(world.peers);
    this.#tellOfPeers();
    this.#desired = this.#reconcile.run(world);
    if (this.#desired === undefined) return;
    // Every replica serves Envoys, and tells them what it finds itself.
    this.#observer.setProbes(this.#desired.probes);
    const carried = this.#options.dataPlane.carry(world, this.#desired);
    if (carried === undefined) return;
    this.#isServing = true;
    if (carried === "New") this.#applySoon();
    else this.#apply();
  }

  /** Once the proxies' bytes are on their way: plans may take longer than what proxies are sent. */
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

  /** Objects and statuses, if this replica leads; also when only a proxy's word is new. */
  #apply(): void {
    this.#cancelApply?.();
    this.#cancelApply = undefined;
    if (!this.#leads) return;
    const world = this.#world;
    const desired = this.#desired;
    if (world === undefined || desired === undefined || !this.#isServing) return;
    this.#issuer.update({ world, desired });
    const ofGateways = this.#options.dataPlane.statuses(world, desired);
    // Without them the statuses of Gateways would look unwanted.
    if (ofGateways === undefined) return;
    this.#timed("apply", () => {
      this.#applier.update({ world, desired, statuses: new Map([...desired.statuses, ...ofGateways]) });
    });
  }
}
