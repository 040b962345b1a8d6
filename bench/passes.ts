/**
 * `passes`: what the controller computes for one change among a thousand, stage by stage, in this process and without
 * any cluster.
 *
 *     World + one object → reconcile → translate → publish (encode, diff) → statuses → plan
 */
import { Planner } from "../src/apply/planner.ts";
import type { Desired } from "../src/model/desired.ts";
import type { EnvoyConfig } from "../src/model/envoy-config.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { keyOf } from "../src/model/kube-object.ts";
import type { HomeKind, World } from "../src/model/world.ts";
import { gatewayStatuses } from "../src/reconcile/gateway-status.ts";
import { createReconcile } from "../src/reconcile/reconcile.ts";
import { Fleets } from "../src/serve/fleets.ts";
import { createTranslate } from "../src/translate/translate.ts";
import { quantile, rounded } from "./measurement.ts";
import type { BenchContext, Figure, Measurement } from "./measurement.ts";
import { exportsWorld, namespace, route, routesWorld, withHome, withPeer } from "./worlds.ts";

const stages = ["reconcile", "translate", "publish", "status", "plan"] as const;
type Times = Record<(typeof stages)[number], number>;

/** All stages with their memory, as in a controller that runs. */
class Pipeline {
  readonly #reconcile = createReconcile();
  readonly #translate = createTranslate();
  readonly #fleets = new Fleets();
  readonly #planner = new Planner();
  #config: EnvoyConfig | undefined;

  /** Milliseconds per stage of one pass. */
  pass(world: World): { readonly times: Times; readonly desired: Desired } {
    const times: Times = { reconcile: 0, translate: 0, publish: 0, status: 0, plan: 0 };
    const timed = <T>(stage: keyof Times, run: () => T): T => {
      const start = cpuMs();
      const result = run();
      times[stage] = cpuMs() - start;
      return result;
    };
    const desired = timed("reconcile", () => this.#reconcile(world));
    const translation = timed("translate", () => this.#translate(world, desired));
    timed("publish", () => {
      if (translation.config !== this.#config) this.#fleets.publish(translation.config, performance.now());
    });
    this.#config = translation.config;
    const ofGateways = timed("status", () =>
      gatewayStatuses({ world, desired, translation, acknowledgements: new Map(), refusedRoutes: [] }),
    );
    timed("plan", () => {
      const statuses = new Map([...desired.statuses, ...ofGateways]);
      return this.#planner.plan({ world, desired, statuses }, "2026-01-01T00:00:00Z");
    });
    return { times, desired };
  }
}

/** Time that this thread has spent on a CPU: a machine that does other things too does not lengthen it. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** The World in which what is wanted stands, statuses apart: writes are done, ports are chosen. */
function settled(start: World): World {
  let world = start;
  for (let round = 0; round < 3; round += 1) {
    for (const [kind, objects] of Map.groupBy(
      createReconcile()(world).objects.values(),
      ({ kind }) => kind,
    )) {
      const store = new Map<string, unknown>(world.home[kind as HomeKind] as ReadonlyMap<string, unknown>);
      for (const { object } of objects) {
        const { metadata } = object;
        const given = {
          uid: `uid-of-${kind}-${keyOf(metadata)}`,
          resourceVersion: `settled-${round}`,
          generation: 1,
          creationTimestamp: "2026-01-01T00:00:01Z",
        };
        store.set(keyOf(metadata), { ...object, metadata: { ...given, ...metadata } });
      }
      world = { ...world, home: { ...world.home, [kind]: store } };
    }
  }
  return world;
}

/** One kind of change, again and again: `change` gives the World after change number `index`. */
function changes(
  start: World,
  count: number,
  change: (world: World, index: number) => World,
): { first: Times; times: Times[] } {
  const pipeline = new Pipeline();
  const first = pipeline.pass(start).times;
  let world = start;
  // The first changes are for the optimising compiler.
  const warmUp = 10;
  const times: Times[] = [];
  for (let index = 0; index < warmUp + count; index += 1) {
    world = change(world, index);
    const { times: pass } = pipeline.pass(world);
    if (index >= warmUp) times.push(pass);
  }
  return { first, times };
}

function figuresOf(
  what: string,
  { first, times }: { readonly first: Times; readonly times: readonly Times[] },
): Figure[] {
  const sum = (pass: Times): number => stages.reduce((total, stage) => total + pass[stage], 0);
  return [
    { name: `${what}: first pass over everything, ms`, value: rounded(sum(first)) },
    ...stages.map((stage) => ({
      name: `${what}: ${stage} p50, ms`,
      value: rounded(
        quantile(
          times.map((pass) => pass[stage]),
          0.5,
        ),
      ),
    })),
    { name: `${what}: sum p50, ms`, value: rounded(quantile(times.map(sum), 0.5)) },
    { name: `${what}: sum p99, ms`, value: rounded(quantile(times.map(sum), 0.99)) },
  ];
}

export function passes({ quick }: BenchContext): Promise<Measurement> {
  const size = quick ? 100 : 1000;
  const count = quick ? 10 : 60;
  const addedRoute = changes(settled(routesWorld(size)), count, (world, index) => {
    const added = route(size + index, 8080);
    // All of the added routes lead to the one Service that no route has named before the first of them.
    const text = JSON.stringify(added).replace(`service-${size + index}`, `service-${size}`);
    return withHome(world, JSON.parse(text) as KubeObject);
  });
  const statusOfRoute = changes(settled(routesWorld(size)), count, (world, index) => {
    const standing = world.home.HTTPRoute.get(`${namespace}/route-${index}`) as unknown as KubeObject;
    return withHome(world, {
      ...standing,
      metadata: { ...standing.metadata, resourceVersion: `status-${index}` },
      status: { parents: [] },
    });
  });
  const start = settled(exportsWorld(size));
  const peersPod = changes(start, count, (world, index) => {
    const standing = world.peers[0]?.objects.ServiceAdvertisement.get(
      `${namespace}/service-${index}`,
    ) as unknown as KubeObject;
    const spec = { ...(standing["spec"] as object), readyBackends: [{ zone: "", count: 2 + index }] };
    return withPeer(world, {
      ...standing,
      spec,
      metadata: { ...standing.metadata, resourceVersion: `pods-${index}` },
    });
  });
  const peersGateway = changes(start, Math.ceil(count / 4), (world, index) => {
    const [standing] = (world.peers[0]?.objects.GatewayAdvertisement.values() ??
      []) as unknown as Iterable<KubeObject>;
    if (standing === undefined) throw new Error("the peer advertises no gateways");
    const ports = { high: 31_111, low: 31_112, bulk: 31_113, voice: 31_114, backup: 31_115 };
    const spec = {
      ...(standing["spec"] as object),
      endpoints: [{ address: `198.18.2.${index + 2}`, ports }],
    };
    return withPeer(world, {
      ...standing,
      spec,
      metadata: { ...standing.metadata, resourceVersion: `gateways-${index}` },
    });
  });
  return Promise.resolve({
    benchmark: "passes",
    title: `time of the controller's stages for one change among ${size}`,
    figures: [
      ...figuresOf("route added", addedRoute),
      ...figuresOf("route's status seen", statusOfRoute),
      ...figuresOf("peer's ready Pods", peersPod),
      ...figuresOf("peer's gateway", peersGateway),
    ],
    notes: [
      `routes: ${size} Services and ${size} HTTPRoutes at one Gateway of a user; no exports`,
      `peer: ${size} Services that home and one peer export, 5 policies, dummyEndpoints All`,
      `${count} changes each after 10 for the compiler, one process, no Envoy connected`,
      "CPU time of the main thread; what is wanted stands in the World, statuses apart, which wait to be written",
    ],
  });
}
