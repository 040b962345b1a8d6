/**
 * Everything that a real API server lets in, in the tables beside this file: it is told where it was written, what stands
 * beside it goes on as before to the byte, nothing leads where it may not, and a running Envoy takes all of it.
 */
import { expect } from "chai";
import { toJsonString } from "@bufbuild/protobuf";
import { VirtualHostSchema } from "../../src/envoy/envoy/config/route/v3/route_components_pb.ts";
import { envoyRegistry } from "../../src/envoy/registry.ts";
import { kinds } from "../../src/model/kinds.ts";
import type { KindInfo } from "../../src/model/kinds.ts";
import type { KubeObject } from "../../src/model/kube-object.ts";
import { homeKinds } from "../../src/model/world.ts";
import { egressPool } from "../../src/model/names.ts";
import type { World } from "../../src/model/world.ts";
import { Planner } from "../../src/apply/planner.ts";
import { readObject } from "../../src/observe/watch-event.ts";
import { kindOf, worldFrom } from "../../src/reconcile/world-from-yaml.ts";
import { dangling, forbiddenRefs, forbiddenWays } from "../fuzz/invariants.ts";
import { waysOf } from "../fuzz/ways.ts";
import { createPass } from "../fuzz/pass.ts";
import type { Outcome } from "../fuzz/pass.ts";
import { RunningEnvoy } from "../fuzz/running-envoy.ts";
import { createNamespace, startHomeCluster } from "../home-cluster.ts";
import type { HomeCluster } from "../home-cluster.ts";
import { anyObject } from "./any-object.ts";
import { namespace, peer, ruled, sound } from "./case.ts";
import type { BadInput } from "./case.ts";
import { endpointSlices } from "./endpoint-slices.ts";
import { exports } from "./exports.ts";
import { gateways } from "./gateways.ts";
import { secrets } from "./secrets.ts";
import { serviceImports } from "./service-imports.ts";

const infoOf = (object: KubeObject): KindInfo =>
  object.kind === "Secret" ? kinds.Secret : kinds[kindOf(object)];

describe("bad input at a real API server", function () {
  this.timeout(120_000);
  let home: HomeCluster;
  let envoy: RunningEnvoy;
  let bystanders: readonly string[];
  const pass = createPass();

  before(async () => {
    home = await startHomeCluster();
    envoy = await RunningEnvoy.start();
    await createNamespace(home.client, namespace);
    for (const object of sound) await home.client.create(infoOf(object), object);
    bystanders = bystandersOf(pass(await look()));
    expect(bystanders[0]).to.contain("shop/good");
    expect(bystanders[1]).to.contain("wan/stats-shop-low");
  });
  after(async () => {
    await envoy.stop();
    await home.stop();
  });

  /** The world as observe would have it. */
  async function look(): Promise<World> {
    const read = homeKinds.filter((name) => name === "TlsSecret" || kinds[name].kind !== "Secret");
    const lists = read.map(async (name) => {
      const info: KindInfo = kinds[name];
      const selection = name === "TlsSecret" ? { fields: "type=kubernetes.io/tls" } : {};
      const page = await home.client
        .list(info, { ...selection, signal: AbortSignal.timeout(30_000) })
        .catch(() => ({ items: [] }));
      return page.items.flatMap((item) => readObject(item, info) ?? []);
    });
    return worldFrom({ homeId: "west", home: (await Promise.all(lists)).flat(), peers: [peer] });
  }

  /** What the API server says against each of the objects; those that it takes stand until `use` is done. */
  async function withObjects(
    objects: readonly KubeObject[],
    use: (refusals: readonly string[]) => Promise<void>,
  ): Promise<void> {
    const [refusals, standing]: [string[], KubeObject[]] = [[], []];
    try {
      for (const object of objects) {
        await home.client.create(infoOf(object), object).then(
          (created) => standing.push(created),
          (error: unknown) => refusals.push(String(error)),
        );
      }
      await use(refusals);
    } finally {
      for (const { metadata, ...rest } of standing.reverse()) await end({ metadata, ...rest });
    }
  }

  async function end(object: KubeObject): Promise<void> {
    const { uid = "", namespace: of, name } = object.metadata;
    const bare = {
      ...object,
      metadata: { name, ...(of !== undefined && { namespace: of }), finalizers: [] },
    };
    delete (bare as { status?: unknown }).status;
    const isHeld = (object.metadata as { finalizers?: unknown }).finalizers !== undefined;
    if (isHeld) await home.client.apply(infoOf(object), bare);
    await home.client.delete(infoOf(object), object.metadata, { uid });
  }

  async function judge({ objects, at, says, endpoints, ways }: BadInput): Promise<void> {
    await withObjects(objects, async (refusals) => {
      const outcome = pass(await look());
      const last = objects.at(-1);
      const key = at ?? (last === undefined ? "" : keyOf(last));
      const status = outcome.statuses.get(key);
      const told = [...refusals, ...(status === undefined ? [] : [JSON.stringify(status)])].join("\n");
      expect(told).to.match(says);
      expect(bystandersOf(outcome)).to.deep.equal(bystanders);
      const wrong = [...forbiddenWays(outcome), ...forbiddenRefs(outcome), ...dangling(outcome)];
      expect(wrong).to.deep.equal([]);
      if (endpoints !== undefined) expect(addressesOf(outcome, "service/shop/odd")).to.deep.equal(endpoints);
      if (ways !== undefined) expect(waysOfPayment(outcome)).to.deep.equal(ways);
      for (const [name, fleet] of outcome.translation.config.fleets)
        expect(await envoy.refuses(fleet), name).to.deep.equal([]);
    });
  }

  for (const [list, rows] of Object.entries({
    gateways,
    exports,
    serviceImports,
    endpointSlices,
    secrets,
    anyObject,
  })) {
    describe(list, () => {
      for (const row of rows) {
        it(row.what, async () => {
          await judge(row);
        });
      }
    });
  }

  it("leaves a list of parents that others have filled to them, and serves the route all the same", async () => {
    await withObjects([ruled("odd")], async () => {
      const [route] = (await home.client.list(kinds.HTTPRoute, { signal: AbortSignal.timeout(30_000) })).items
        .flatMap((item) => readObject(item, kinds.HTTPRoute) ?? [])
        .filter(({ metadata }) => metadata.name === "odd");
      const parents = Array.from({ length: 32 }, (_, index) => ({
        parentRef: { name: `gateway-${index}` },
        controllerName: "example.org/another",
        conditions: [],
      }));
      const world = await look();
      const full = {
        ...route,
        status: { parents },
      } as unknown as World["home"]["HTTPRoute"] extends ReadonlyMap<string, infer T> ? T : never;
      const crowded = {
        ...world,
        home: { ...world.home, HTTPRoute: new Map([...world.home.HTTPRoute, ["shop/odd", full]]) },
      };
      const outcome = pass(crowded);
      expect(hostOf(outcome, "shop.web", "odd.example.org")).to.contain("shop/odd");
      const { writes } = new Planner().plan(outcome, "2026-06-01T00:00:00Z");
      expect([...writes.keys()].filter((key) => key.includes("shop/odd"))).to.deep.equal([]);
    });
  });
});

function keyOf(object: KubeObject): string {
  const { namespace: of, name } = object.metadata;
  return `${kindOf(object)}/${of === undefined ? "" : `${of}/`}${name}`;
}

/** What has to stay: the virtual hosts of a user's route and of an imported service. */
const bystandersOf = (outcome: Outcome): readonly string[] => [
  hostOf(outcome, "shop.web", "good.example.org"),
  hostOf(outcome, egressPool, "stats.shop.svc.clusterset.local"),
];

/** The virtual host of a name at the Gateways of a fleet, as JSON. */
function hostOf({ translation }: Outcome, fleet: string, host: string): string {
  const tables = [...(translation.config.fleets.get(fleet)?.routes.values() ?? [])];
  const found = tables
    .flatMap(({ virtualHosts }) => virtualHosts)
    .find(({ domains }) => domains.includes(host));
  return found === undefined ? "" : toJsonString(VirtualHostSchema, found, { registry: envoyRegistry });
}

/** Clusters that requests to the imported service `payment` may end in. */
function waysOfPayment({ translation }: Outcome): readonly string[] {
  const fleet = translation.config.fleets.get(egressPool);
  if (fleet === undefined) return ["no fleet"];
  const ways = waysOf(fleet).filter(({ route }) => route?.startsWith("shop/payment"));
  return [...new Set(ways.map(({ cluster }) => cluster))].sort();
}

/** Addresses behind an Envoy cluster of the users' Gateway. */
function addressesOf({ translation }: Outcome, cluster: string): readonly string[] {
  const all = translation.config.fleets.get("shop.web")?.endpoints ?? new Map<string, never>();
  return [...all]
    .filter(([name]) => name.startsWith(cluster))
    .flatMap(([, { endpoints }]) => endpoints.flatMap(({ lbEndpoints }) => lbEndpoints))
    .map(({ hostIdentifier: { value } }) => {
      const address = typeof value === "object" ? value.address?.address.value : undefined;
      return address !== undefined && "address" in address ? address.address : "";
    });
}
