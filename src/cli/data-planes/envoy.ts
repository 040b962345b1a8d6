/**
 * The data plane `envoy`: mc-wan's own implementation of Gateway API. Translates what reconcile wants, serves it to
 * Envoys by ADS, and tells statuses by what they acknowledge.
 *
 *     World, Desired → translate → EnvoyConfig → ADS → Envoys
 *                          └→ verdicts ──→ statuses ←──┘ acknowledgements
 */
import type { DataPlane } from "../../model/data-plane.ts";
import type { Desired, DesiredStatus, ObjectKey } from "../../model/desired.ts";
import type { Acknowledgements, EnvoyConfig, RefusedRoute, Translation } from "../../model/envoy-config.ts";
import type { AdsServer } from "../../model/served.ts";
import type { World } from "../../model/world.ts";
import { LastGood } from "../last-good.ts";
import type { StageContext } from "../last-good.ts";

/** What the status of Gateways and routes follows from. */
export interface GatewayStatusInput {
  readonly world: World;
  readonly desired: Desired;
  readonly translation: Translation;
  readonly acknowledgements: Acknowledgements;
  readonly refusedRoutes: readonly RefusedRoute[];
}

/** What the data plane is made of. */
export interface EnvoyDataPlaneOptions {
  readonly adsServer: AdsServer;
  readonly translate: (world: World, desired: Desired) => Translation;
  readonly gatewayStatuses: (input: GatewayStatusInput) => ReadonlyMap<ObjectKey, DesiredStatus>;
  /** Of a stage, by its name. */
  readonly context: (stage: string) => StageContext;
}

/** mc-wan's own Envoys. */
export class EnvoyDataPlane implements DataPlane {
  readonly pages = { envoy: (): unknown => this.#translation ?? null };
  readonly #adsServer: AdsServer;
  readonly #translate: LastGood<[World, Desired], Translation>;
  readonly #serve: LastGood<[EnvoyConfig], void>;
  readonly #gatewayStatuses: LastGood<[GatewayStatusInput], ReadonlyMap<ObjectKey, DesiredStatus>>;
  #translation: Translation | undefined;
  #hasIdentity = false;
  #port = 0;

  constructor({ adsServer, translate, gatewayStatuses, context }: EnvoyDataPlaneOptions) {
    this.#adsServer = adsServer;
    this.#translate = new LastGood(context("translate"), translate);
    this.#serve = new LastGood(context("serve"), (config) => {
      adsServer.publish(config);
    });
    this.#gatewayStatuses = new LastGood(context("status"), gatewayStatuses);
  }

  async start(): Promise<{ readonly xdsPort: number }> {
    const { port } = await this.#adsServer.start();
    this.#port = port;
    return { xdsPort: port };
  }

  carry(world: World, desired: Desired): "New" | "Same" | undefined {
    this.#adsServer.admit({ identity: world.controllerIdentity, accounts: desired.accounts });
    this.#hasIdentity = world.controllerIdentity !== undefined;
    const before = this.#translation;
    this.#translation = this.#translate.run(world, desired);
    if (this.#translation === undefined) return undefined;
    const { config } = this.#translation;
    if (config === before?.config) return "Same";
    this.#serve.run(config);
    return "New";
  }

  statuses(world: World, desired: Desired): ReadonlyMap<ObjectKey, DesiredStatus> | undefined {
    const translation = this.#translation;
    if (translation === undefined) return undefined;
    const acknowledgements = this.#adsServer.acknowledgements();
    const refusedRoutes = this.#adsServer.refusedRoutes();
    return this.#gatewayStatuses.run({ world, desired, translation, acknowledgements, refusedRoutes });
  }

  listening(): World["listening"] {
    return this.#adsServer.listening();
  }

  sending(): World["sending"] {
    return this.#adsServer.sending();
  }

  onHeard(callback: () => void): void {
    this.#adsServer.onAcknowledged(callback);
  }

  followLeader(host: string | undefined): void {
    // Every replica is given the same port.
    this.#adsServer.followLeader(host === undefined ? undefined : `${host}:${this.#port}`);
  }

  waitsFor(): string | undefined {
    if (this.#translation === undefined) return "waits for a first configuration for Envoys";
    return this.#hasIdentity ? undefined : "waits for the certificate that Envoys know it by";
  }

  async stop(): Promise<void> {
    await this.#adsServer.stop();
  }
}
