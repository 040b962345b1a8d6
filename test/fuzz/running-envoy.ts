/** A real Envoy that is served one configuration after the other by the real ADS server, as in a cluster. For tests only. */
import { create } from "@bufbuild/protobuf";
import { setTimeout as sleep } from "node:timers/promises";
import { createAdsServer } from "../../src/drivers/grpc/create-ads-server.ts";
import { AddressSchema } from "../../src/envoy/envoy/config/core/v3/address_pb.ts";
import { ListenerSchema } from "../../src/envoy/envoy/config/listener/v3/listener_pb.ts";
import type { Listener } from "../../src/envoy/envoy/config/listener/v3/listener_pb.ts";
import type { FleetConfig } from "../../src/model/envoy-config.ts";
import type { AdsServer } from "../../src/model/served.ts";
import { keptLog, keptMetrics } from "../quiet.ts";
import { TestDoor } from "../serve/test-door.ts";
import { freePort, TestEnvoy, until } from "../serve/test-envoy.ts";

const fleetName = "fuzz";
/** A configuration that isn't answered by then holds Envoy up. */
const limitMs = 60_000;

/** One Envoy and its server, from {@link start} to {@link stop}. */
export class RunningEnvoy {
  readonly #log = keptLog();
  readonly #metrics = keptMetrics();
  readonly #ports = new Map<number, number>();
  readonly #server: AdsServer;
  #envoy: TestEnvoy | undefined;

  private constructor(door: TestDoor) {
    this.#server = createAdsServer({
      log: this.#log,
      metrics: this.#metrics,
      listen: "127.0.0.1:0",
      identifyPod: door.identifyPod,
      token: () => door.replicaToken("one"),
      maxConnectionAgeMs: 1_800_000,
    });
    this.#server.admit(door.admission(fleetName));
  }

  static async start(): Promise<RunningEnvoy> {
    const door = await TestDoor.create();
    const running = new RunningEnvoy(door);
    const { port } = await running.#server.start();
    running.#envoy = await TestEnvoy.start(port, fleetName, door);
    await until("the Envoy", () =>
      Promise.resolve(running.#log.lines.some(({ text }) => text.includes("envoy connected"))),
    );
    return running;
  }

  /** Serves a fleet's configuration in place of the one before; gives what Envoy says against it. */
  async refuses(fleet: FleetConfig): Promise<readonly string[]> {
    const before = this.#log.lines.length;
    const listeners = new Map<string, Listener>();
    for (const [name, listener] of fleet.listeners) listeners.set(name, await this.#movedHere(listener));
    this.#server.publish({ fleets: new Map([[fleetName, { ...fleet, listeners }]]) });
    await this.#settled();
    return this.#log.lines
      .slice(before)
      .filter(({ text }) => /^(warn|error)/.test(text))
      .map(({ text, fields }) => `${text} ${JSON.stringify(fields)}`);
  }

  async stop(): Promise<void> {
    await this.#envoy?.stop();
    await this.#server.stop();
  }

  /** Until everything that was sent was answered, and nothing more is sent. */
  async #settled(): Promise<void> {
    const endMs = performance.now() + limitMs;
    for (let quiet = 0, sent = -1; quiet < 4;) {
      await sleep(25);
      const [pushed, acked, refused] = ["pushes", "acks", "nacks"].map((what) =>
        this.#metrics.total(`mcwan_xds_${what}_total`),
      );
      if (pushed === undefined || acked === undefined || refused === undefined) throw new Error("no metrics");
      const isQuiet = pushed === sent && acked + refused >= pushed;
      quiet = isQuiet ? quiet + 1 : 0;
      sent = pushed;
      if (performance.now() > endMs)
        throw new Error(
          `of ${pushed} responses ${acked} were accepted, ${refused} refused.\n${this.#envoy?.output ?? ""}`,
        );
    }
  }

  /** The listener at a free port of the loopback, always the same for the same port. */
  async #movedHere(listener: Listener): Promise<Listener> {
    const bound = listener.address?.address.value;
    if (bound?.$typeName !== "envoy.config.core.v3.SocketAddress" || bound.portSpecifier.case !== "portValue")
      throw new Error(`${listener.name} has no address`);
    const port = this.#ports.get(bound.portSpecifier.value) ?? (await freePort());
    this.#ports.set(bound.portSpecifier.value, port);
    const portSpecifier = { case: "portValue" as const, value: port };
    const value = { ...bound, address: "127.0.0.1", portSpecifier };
    return create(ListenerSchema, {
      ...listener,
      address: create(AddressSchema, { address: { case: "socketAddress", value } }),
    });
  }
}
