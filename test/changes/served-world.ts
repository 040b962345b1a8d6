/**
 * A World whose objects change one by one, and the Envoys of one Gateway in it, as in a cluster but without Kubernetes:
 *
 *     object → World → reconcile → translate → ADS server → whoever connects
 *
 * Ports are those of 127.0.0.1: see {@link OnLoopback}.
 */
import { createAdsServer } from "../../src/drivers/grpc/create-ads-server.ts";
import type { FleetConfig } from "../../src/model/envoy-config.ts";
import { keyOf } from "../../src/model/kube-object.ts";
import type { KubeObject } from "../../src/model/kube-object.ts";
import type { AdsServer } from "../../src/model/served.ts";
import type { World } from "../../src/model/world.ts";
import { createReconcile } from "../../src/reconcile/reconcile.ts";
import { kindOf, worldFrom } from "../../src/reconcile/world-from-yaml.ts";
import type { WorldFile } from "../../src/reconcile/world-from-yaml.ts";
import { createTranslate } from "../../src/translate/translate.ts";
import { keptLog, keptMetrics } from "../quiet.ts";
import { TestDoor } from "../serve/test-door.ts";
import { OnLoopback } from "../translate/on-loopback.ts";
import { fleet } from "./objects.ts";

/** The World, the stages and the server, from {@link start} to {@link stop}. */
export class ServedWorld {
  readonly door: TestDoor;
  /** Of the ADS server. */
  port = 0;
  readonly #log = keptLog();
  readonly #server: AdsServer;
  readonly #reconcile = createReconcile();
  readonly #translate = createTranslate();
  readonly #onLoopback = new OnLoopback();
  #world: World;

  private constructor(door: TestDoor, file: WorldFile) {
    this.door = door;
    this.#world = worldFrom(file);
    this.#server = createAdsServer({
      log: this.#log,
      metrics: keptMetrics(),
      listen: "127.0.0.1:0",
      identifyPod: door.identifyPod,
      token: () => door.replicaToken("one"),
      maxConnectionAgeMs: 1_800_000,
    });
    this.#server.admit(door.admission(fleet));
  }

  static async start(file: WorldFile): Promise<ServedWorld> {
    const served = new ServedWorld(await TestDoor.create(), file);
    ({ port: served.port } = await served.#server.start());
    served.#publish();
    return served;
  }

  /** What Envoys have refused, in their words. */
  get refusals(): readonly string[] {
    return this.#log.lines
      .filter(({ text }) => text.startsWith("error"))
      .map(({ text, fields }) => `${text} ${JSON.stringify(fields)}`);
  }

  /** Objects of the home cluster come, or take the place of what had their names. */
  apply(...objects: readonly KubeObject[]): void {
    this.#change(objects, (store, object) => store.set(keyOf(object.metadata), object));
  }

  /** Objects of the home cluster go. */
  drop(...objects: readonly KubeObject[]): void {
    this.#change(objects, (store, object) => store.delete(keyOf(object.metadata)));
  }

  /** The configuration of the Gateway's Envoys, as it is served. */
  config(): FleetConfig {
    const found = this.#translate(this.#world, this.#reconcile(this.#world)).config.fleets.get(fleet);
    if (found === undefined) throw new Error(`There is no fleet ${fleet}.`);
    return this.#onLoopback.of(found);
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  #change(
    objects: readonly KubeObject[],
    change: (store: Map<string, unknown>, object: KubeObject) => unknown,
  ): void {
    for (const object of objects) {
      const kind = kindOf(object) as keyof World["home"];
      const store = new Map<string, unknown>(this.#world.home[kind]);
      change(store, object);
      this.#world = { ...this.#world, home: { ...this.#world.home, [kind]: store } };
    }
    this.#publish();
  }

  #publish(): void {
    this.#server.publish({ fleets: new Map([[fleet, this.config()]]) });
  }
}
