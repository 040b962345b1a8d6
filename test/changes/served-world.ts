/**
 * A World whose objects change one by one, and the Envoys of one Gateway in it, as in a cluster but without Kubernetes:
 *
 *     object → World → reconcile → translate → ADS server → whoever connects
 *
 * Ports are those of 127.0.0.1, for which {@link thisHost} stands in addresses.
 */
import { create } from "@bufbuild/protobuf";
import { createAdsServer } from "../../src/drivers/grpc/create-ads-server.ts";
import { AddressSchema } from "../../src/envoy/envoy/config/core/v3/address_pb.ts";
import type { Address } from "../../src/envoy/envoy/config/core/v3/address_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../src/envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { ClusterLoadAssignment } from "../../src/envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../src/envoy/envoy/config/listener/v3/listener_pb.ts";
import type { Listener } from "../../src/envoy/envoy/config/listener/v3/listener_pb.ts";
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
import { thisHost } from "../translate/run-case.ts";
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
  readonly #localized = new WeakMap<object, object>();
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
    return {
      ...found,
      listeners: mapped(found.listeners, (each) => this.#once(each, localListener)),
      endpoints: mapped(found.endpoints, (each) => this.#once(each, localEndpoints)),
    };
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

  /** The same copy of the same message: what did not change is not encoded again. */
  #once<T extends object>(message: T, make: (message: T) => T): T {
    let made = this.#localized.get(message) as T | undefined;
    if (made === undefined) {
      made = make(message);
      this.#localized.set(message, made);
    }
    return made;
  }
}

function mapped<T>(from: ReadonlyMap<string, T>, make: (value: T) => T): Map<string, T> {
  return new Map([...from].map(([name, value]) => [name, make(value)]));
}

/** Envoy is in no namespace of its own: what is meant for its Pod's addresses is on the loopback here. */
function localAddress(address: Address | undefined, from: string): Address | undefined {
  const socket = address?.address;
  if (socket?.case !== "socketAddress" || socket.value.address !== from) return address;
  const value = { ...socket.value, address: "127.0.0.1" };
  return create(AddressSchema, { address: { case: "socketAddress", value } });
}

function localListener(listener: Listener): Listener {
  const address = localAddress(listener.address, "0.0.0.0");
  return create(ListenerSchema, { ...listener, ...(address && { address }) });
}

function localEndpoints(assignment: ClusterLoadAssignment): ClusterLoadAssignment {
  const endpoints = assignment.endpoints.map((locality) => ({
    ...locality,
    lbEndpoints: locality.lbEndpoints.map((each) => {
      if (each.hostIdentifier.case !== "endpoint") return each;
      const { value } = each.hostIdentifier;
      const address = localAddress(value.address, thisHost);
      return {
        ...each,
        hostIdentifier: { case: "endpoint" as const, value: { ...value, ...(address && { address }) } },
      };
    }),
  }));
  return create(ClusterLoadAssignmentSchema, { ...assignment, endpoints });
}
