/**
 * The first stage: follows the home cluster and its peers, and publishes Worlds.
 *
 *     home, peers → reflectors → hold-off → World → published
 *
 * Publishes nothing before every home kind was listed; a peer that is not synced is in the World as such, and holds up
 * nobody. Writes nothing.
 */
import { ingressPool, labels, systemNamespace } from "../model/names.ts";
import type { ProbeTarget } from "../model/desired.ts";
import type { ClusterId, Settings, World } from "../model/world.ts";
import { CertificateClock } from "./certificate-clock.ts";
import { ClusterSet } from "./cluster-set.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import type { KindFailure, WatchContext } from "./cluster-watch.ts";
import { DrainingClock } from "./draining-clock.ts";
import { GatewayProber } from "./gateway-prober.ts";
import type { ProbeGateway } from "./gateway-prober.ts";
import { HoldOff } from "./hold-off.ts";
import type { KubeReader } from "./kube-reader.ts";
import type { RefusedSecret } from "./peer-secrets.ts";
import type { ConnectPeer } from "./peer-watch.ts";
import { readPeerMemory } from "./peer-memory.ts";
import { StaleLimits } from "./stale-limits.ts";
import { homeIdOf, nextWorld, watchedHomeKinds } from "./world.ts";

const defaultPeerGraceMs = 10_000;
const defaultDrainLimitMs = 600_000;

export interface ObserverOptions extends WatchContext {
  readonly home: KubeReader;
  readonly connectPeer: ConnectPeer;
  readonly probeGateway: ProbeGateway;
  readonly settings: Settings;
  /** The home cluster's id from the command line, for clusters without a ClusterProperty. */
  readonly clusterId?: ClusterId | undefined;
  /** See {@link HoldOff}. */
  readonly holdOffMs?: number;
  readonly longestHoldOffMs?: number;
  /** How long the first World waits for peers that are not synced: a restart must not look like their end. */
  readonly peerGraceMs?: number;
  /** How long a policy's earlier port stays open for peers that don't say that they have left it. */
  readonly drainLimitMs?: number;
  /** Called when other Secrets of peers are refused than before; {@link Observer.status} has them. Must not throw. */
  readonly secretsRefused?: () => void;
  /** Takes every World that differs from the one before. Must not throw. */
  readonly publish: (world: World) => void;
}

/** What readiness and debug pages tell of observe. */
export interface ObserverStatus {
  readonly isSynced: boolean;
  /** Home kinds that were never listed. */
  readonly unsynced: readonly string[];
  readonly failures: readonly KindFailure[];
  readonly refusedSecrets: readonly RefusedSecret[];
}

export class Observer {
  readonly #options: ObserverOptions;
  readonly #home: ClusterWatch;
  readonly #peers: ClusterSet;
  readonly #prober: GatewayProber;
  readonly #holdOff: HoldOff;
  readonly #certificates: CertificateClock;
  readonly #draining: DrainingClock;
  readonly #staleLimits = new StaleLimits();
  #listening: World["listening"] = new Map();
  #sending: World["sending"] = new Map();
  #world: World | undefined;
  /** Whether it is known what peers said to earlier controllers. */
  #hasRead = false;
  readonly #stopped = new AbortController();
  #homeSyncedMs: number | undefined;

  constructor(options: ObserverOptions) {
    this.#options = options;
    const changed = (): void => {
      this.#holdOff.touch();
    };
    this.#holdOff = new HoldOff({
      holdOffMs: options.holdOffMs ?? 5,
      longestMs: options.longestHoldOffMs ?? 50,
      timing: options.timing,
      run: () => {
        this.#publish();
      },
    });
    this.#certificates = new CertificateClock(options.timing, changed);
    this.#draining = new DrainingClock({
      timing: options.timing,
      limitMs: options.drainLimitMs ?? defaultDrainLimitMs,
      wake: changed,
    });
    const secrets = { namespace: systemNamespace, labels: labels.peer };
    this.#home = new ClusterWatch({
      ...options,
      cluster: "home",
      reader: options.home,
      kinds: [...watchedHomeKinds(options.settings), { name: "Secret", selection: secrets }],
      changed,
    });
    this.#peers = new ClusterSet({ ...options, connect: options.connectPeer, changed });
    this.#prober = new GatewayProber({
      timing: options.timing,
      metrics: options.metrics,
      probe: options.probeGateway,
      changed,
    });
  }

  start(): void {
    this.#home.start();
    const { home, timing, log } = this.#options;
    void readPeerMemory(home, { timing, log, signal: this.#stopped.signal }).then((memory) => {
      this.#peers.remember(memory);
      this.#hasRead = true;
      this.#holdOff.touch();
    });
  }

  /** Ports that gateway Pods listen on, and those that they send to, from what their Envoys acknowledged. */
  setHeard({ listening, sending }: Pick<World, "listening" | "sending">): void {
    if (listening === this.#listening && sending === this.#sending) return;
    this.#listening = listening;
    this.#sending = sending;
    this.#holdOff.touch();
  }

  /** Gateways that are to be probed from now on, and no others. */
  setProbes(targets: readonly ProbeTarget[]): void {
    this.#prober.setTargets(targets);
  }

  get status(): ObserverStatus {
    return {
      isSynced: this.#home.isSynced,
      unsynced: this.#home.unsynced,
      failures: this.#home.failures,
      refusedSecrets: this.#peers.refused,
    };
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#prober.stop();
    this.#holdOff.stop();
    this.#certificates.stop();
    this.#draining.stop();
    await Promise.all([this.#home.stop(), this.#peers.stop()]);
  }

  #publish(): void {
    if (!this.#home.isSynced || !this.#hasRead) return;
    const { settings, clusterId, metrics, timing } = this.#options;
    const objects: ClusterWatch["objects"] = (kind) => this.#home.objects(kind);
    // The id is needed first: a Secret must not stand for the home cluster itself.
    const properties = objects("ClusterProperty") as unknown as World["home"]["ClusterProperty"];
    const pools = objects("GatewayAdvertisement") as unknown as World["home"]["GatewayAdvertisement"];
    const { refused } = this.#peers;
    this.#peers.update(objects("Secret"), homeIdOf(properties, clusterId));
    if (this.#peers.refused !== refused) this.#options.secretsRefused?.();
    const imports = objects("ServiceImport") as unknown as World["home"]["ServiceImport"];
    const peers = this.#peers.peers(this.#staleLimits.of(imports, settings));
    if (this.#world === undefined && this.#awaitsPeers(peers)) return;
    const world = nextWorld(this.#world, {
      objects,
      absent: this.#home.absent,
      peers,
      listening: this.#listening,
      sending: this.#sending,
      overdue: this.#draining.overdue(pools.get(`${systemNamespace}/${ingressPool}`)),
      answering: this.#prober.answering,
      expired: this.#certificates.expired(objects("TlsSecret")),
      settings,
      clusterId,
    });
    if (world === this.#world) return;
    this.#world = world;
    metrics.increment("mcwan_worlds_total", {});
    metrics.set("mcwan_world_published_timestamp_seconds", {}, timing.today() / 1000);
    this.#options.publish(world);
  }

  /** Whether the first World should wait for peers. */
  #awaitsPeers(peers: World["peers"]): boolean {
    const { timing, peerGraceMs } = this.#options;
    if (this.#homeSyncedMs === undefined) {
      this.#homeSyncedMs = timing.now();
      timing.after(peerGraceMs ?? defaultPeerGraceMs, () => {
        this.#holdOff.touch();
      });
    }
    const isInGrace = timing.now() - this.#homeSyncedMs < (peerGraceMs ?? defaultPeerGraceMs);
    return isInGrace && peers.some(({ state }) => state === "Unsynced");
  }
}
