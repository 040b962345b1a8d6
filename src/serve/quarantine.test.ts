/** What a real Envoy refuses though our own checks let it through harms itself only, is told, and comes back when mended. */
import { create } from "@bufbuild/protobuf";
import { expect } from "chai";
import { createAdsServer } from "../drivers/grpc/create-ads-server.ts";
import { ClusterSchema } from "../envoy/envoy/config/cluster/v3/cluster_pb.ts";
import {
  RouteActionSchema,
  RouteMatchSchema,
  RouteSchema,
  VirtualHostSchema,
} from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { envoyRouteName } from "../model/names.ts";
import type { EnvoyConfig } from "../model/envoy-config.ts";
import type { AdsServer } from "../model/served.ts";
import { envoyConfigOf, fleetName } from "../../test/serve/small-config.ts";
import { silentLog, silentMetrics } from "../../test/serve/silent.ts";
import { TestDoor } from "../../test/serve/test-door.ts";
import { ask, freePort, startBackend, startLoad, TestEnvoy, until } from "../../test/serve/test-envoy.ts";
import type { Started } from "../../test/serve/test-envoy.ts";

const count = 300;
const hostOf = (index: number): string => `s${index}.test.local`;

describe("an Envoy that refuses one of many virtual hosts", function () {
  this.timeout(120_000);
  const started: Started[] = [];
  let server: AdsServer;
  let envoy: TestEnvoy;
  const ports = { backend: 0, listener: 0, xds: 0 };

  /** All hosts in one table, the routes of each named after an HTTPRoute; `change` is done to some. */
  const configOf = (
    change: (host: VirtualHost, index: number) => VirtualHost = (host) => host,
  ): EnvoyConfig => {
    const names = Array.from({ length: count }, (_, index) => hostOf(index));
    const plain = envoyConfigOf({
      clusters: { a: ports.backend },
      tables: { table: Object.fromEntries(names.map((name) => [name, "a"])) },
      listeners: { first: { port: ports.listener, table: "table" } },
    }).fleets.get(fleetName)!;
    const table = plain.routes.get("table")!;
    const virtualHosts = table.virtualHosts.map((host, index) => {
      const name = envoyRouteName(
        "HTTPRoute",
        { namespace: "shop", name: `r${index}` },
        { rule: 0, match: 0 },
      );
      const routes = host.routes.map((route) => ({ ...route, name }));
      return change(create(VirtualHostSchema, { ...host, routes }), index);
    });
    return {
      fleets: new Map([[fleetName, { ...plain, routes: new Map([["table", { ...table, virtualHosts }]]) }]]),
    };
  };
  /** Envoy's expression engine refuses this; nobody checks it on the way here. */
  const withBadRegex = (host: VirtualHost): VirtualHost => {
    const pathSpecifier = { case: "safeRegex" as const, value: { regex: "a(?=b)" } };
    const match = create(RouteMatchSchema, { pathSpecifier });
    return create(VirtualHostSchema, {
      ...host,
      routes: host.routes.map((route) => create(RouteSchema, { ...route, match })),
    });
  };
  const withBadNames = (host: VirtualHost): VirtualHost =>
    create(VirtualHostSchema, { ...host, domains: [...host.domains, "no\nname.test.local"] });
  const bad = configOfBad();
  function configOfBad(): (host: VirtualHost, index: number) => VirtualHost {
    return (host, index) => {
      if (index === 7) return withBadRegex(host);
      return index === 200 ? withBadNames(host) : host;
    };
  }
  let door: TestDoor;
  const startServer = async (): Promise<void> => {
    server = createAdsServer({
      log: silentLog,
      metrics: silentMetrics,
      listen: `127.0.0.1:${ports.xds}`,
      identifyPod: door.identifyPod,
      token: () => door.replicaToken("one"),
      maxConnectionAgeMs: 1_800_000,
    });
    server.admit(door.admission(fleetName));
    started.push(server);
    ports.xds = (await server.start()).port;
  };
  const answer = async (index: number): Promise<string> => (await ask(ports.listener, hostOf(index))).trim();
  const answers = async (index: number, wanted: string): Promise<void> => {
    await until(wanted, async () => (await answer(index)) === wanted);
  };
  const pushes = async (): Promise<number> =>
    Number(
      /attempt: ([0-9]+)/.exec(await envoy.admin("/stats?filter=rds.table.update_(attempt|rejected)$"))?.[1],
    );

  before(async () => {
    door = await TestDoor.create();
    const backend = await startBackend("a");
    started.push(backend);
    ports.backend = backend.port;
    ports.listener = await freePort();
    await startServer();
    envoy = await TestEnvoy.start(ports.xds, fleetName, door);
    started.push(envoy);
  });

  after(async () => {
    for (const each of started.reverse()) await each.stop();
  });

  it("starts with all the others, though it had nothing before, and names the routes that are to blame (X6)", async () => {
    server.publish(configOf(bad));
    await answers(0, "200 a");
    await until("the refusals", async () => Promise.resolve(server.refusedRoutes().length === 2));
    for (const index of [6, 8, 199, 201, count - 1]) await answers(index, "200 a");
    await answers(7, "500");
    await answers(200, "404");
    const told = server.refusedRoutes().map(({ kind, key, fleet }) => `${kind} ${key} ${fleet}`);
    expect(told).to.deep.equal([`HTTPRoute shop/r200 ${fleetName}`, `HTTPRoute shop/r7 ${fleetName}`]);
    expect(server.refusedRoutes()[1]?.reason).to.match(/regex|perl|repetition/i);
    expect(await pushes()).to.be.below(50);
  });

  it("goes on with everything, is asked nothing again and is not forgotten when the controller comes back (X13)", async () => {
    const load = startLoad(hostOf(3), () => ports.listener);
    await server.stop();
    const before = await pushes();
    await startServer();
    server.publish(configOf(bad));
    await until("the refusals", async () => Promise.resolve(server.refusedRoutes().length === 2));
    expect(await pushes()).to.equal(before);
    expect([...(await load.stop()).keys()]).to.deep.equal(["200 a"]);
    await answers(7, "500");
  });

  it("serves what was mended within a second, and takes the words back", async () => {
    server.publish(configOf());
    const startedMs = performance.now();
    await answers(7, "200 a");
    await answers(200, "200 a");
    expect(performance.now() - startedMs).to.be.below(process.env["CI"] === undefined ? 1_000 : 5_000);
    await until("no refusal", async () => Promise.resolve(server.refusedRoutes().length === 0));
  });

  it("loses no request of others while one goes bad, and closes that one only (X5, X6)", async () => {
    const load = startLoad(hostOf(8), () => ports.listener);
    server.publish(configOf((host, index) => (index === 7 ? withBadRegex(host) : host)));
    await answers(7, "500");
    for (const index of [0, 6, 8, count - 1]) expect(await answer(index)).to.equal("200 a");
    // Others go on to change.
    const added = "x-added";
    server.publish(
      configOf((host, index) => {
        if (index === 7) return withBadRegex(host);
        return index === 9 ? create(VirtualHostSchema, { ...host, requestHeadersToRemove: [added] }) : host;
      }),
    );
    await until("the change of another", async () =>
      (await envoy.admin("/config_dump?resource=dynamic_route_configs")).includes(added),
    );
    expect([...(await load.stop()).keys()]).to.deep.equal(["200 a"]);
  });

  it("tells the routes that lead to a cluster which Envoy refuses, and serves the others", async () => {
    const good = configOf((host, index) => {
      const cluster = index === 5 ? "bad" : "a";
      const clusterSpecifier = { case: "cluster" as const, value: cluster };
      const action = { case: "route" as const, value: create(RouteActionSchema, { clusterSpecifier }) };
      const routes = host.routes.map((route) => create(RouteSchema, { ...route, action }));
      return create(VirtualHostSchema, { ...host, routes });
    }).fleets.get(fleetName)!;
    const refused = create(ClusterSchema, { name: "bad", connectTimeout: { seconds: -1n } });
    const clusters = new Map([...good.clusters, ["bad", refused] as const]);
    server.publish({ fleets: new Map([[fleetName, { ...good, clusters }]]) });
    await until("the refusal", async () => Promise.resolve(server.refusedRoutes()[0]?.key === "shop/r5"));
    expect(server.refusedRoutes()[0]?.reason).to.include("bad");
    await answers(5, "503");
    await answers(7, "200 a");
  });
});
