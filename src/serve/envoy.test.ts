import { expect } from "chai";
import { setTimeout as sleep } from "node:timers/promises";
import { createAdsServer } from "../drivers/grpc/create-ads-server.ts";
import type { Log } from "../model/log.ts";
import type { Metrics } from "../model/metrics.ts";
import type { AdsServer } from "../model/served.ts";
import { envoyConfigOf, fleetName } from "../../test/serve/small-config.ts";
import type { SmallConfig } from "../../test/serve/small-config.ts";
import { ask, freePort, startBackend, startLoad, TestEnvoy, until } from "../../test/serve/test-envoy.ts";
import { TestDoor } from "../../test/serve/test-door.ts";
import type { Started } from "../../test/serve/test-envoy.ts";

const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};

describe("a real Envoy under the ADS server", function () {
  this.timeout(120_000);
  const started: Started[] = [];
  const counts = new Map<string, number>();
  const metrics: Metrics = {
    increment: (name) => counts.set(name, (counts.get(name) ?? 0) + 1),
    set: () => undefined,
    forget: () => undefined,
    observe: () => undefined,
  };
  let door: TestDoor;
  let server: AdsServer;
  let xdsPort = 0;
  let envoy: TestEnvoy;
  const ports = { a: 0, b: 0, first: 0, second: 0 };

  const startServer = async (port: number): Promise<void> => {
    server = createAdsServer({
      log: silent,
      metrics,
      listen: `127.0.0.1:${port}`,
      identifyPod: door.identifyPod,
      token: () => door.replicaToken("one"),
      maxConnectionAgeMs: 1_800_000,
    });
    server.admit(door.admission(fleetName));
    started.push(server);
    xdsPort = (await server.start()).port;
  };
  const config = (small: Partial<SmallConfig> = {}): SmallConfig => ({
    clusters: { a: ports.a },
    tables: { table: { "test.local": "a" } },
    listeners: { first: { port: ports.first, table: "table" } },
    ...small,
  });
  const publish = (small: SmallConfig): void => {
    server.publish(envoyConfigOf(small));
  };
  const answers = async (answer: string, port = ports.first): Promise<void> => {
    await until(answer, async () => (await ask(port, "test.local")) === answer);
  };
  const stat = async (name: string): Promise<number> =>
    Number((await envoy.admin(`/stats?filter=^${name}$`)).split(": ")[1]);

  before(async () => {
    door = await TestDoor.create();
    const [a, b] = [await startBackend("a"), await startBackend("b")];
    started.push(a, b);
    Object.assign(ports, { a: a.port, b: b.port, first: await freePort(), second: await freePort() });
    await startServer(0);
    envoy = await TestEnvoy.start(xdsPort, fleetName, door);
    started.push(envoy);
  });

  after(async () => {
    for (const each of started.reverse()) await each.stop();
  });

  it("is not answered before the first publication, and becomes ready with an empty one", async () => {
    await until("a stream", async () => (await stat("control_plane.connected_state")) === 1);
    await sleep(200);
    expect(await envoy.isLive()).to.equal(false);
    publish({});
    await until("readiness", async () => await envoy.isLive());
  });

  it("serves a configuration soon, and says so", async () => {
    publish(config());
    await answers("200 a");
    await until("the acknowledgement", async () =>
      Promise.resolve(server.acknowledgements().get("ns/gateway")?.programmed === 1),
    );
    expect([...server.listening().get("test-envoy")!]).to.deep.equal([ports.first]);
  });

  it("takes two of the 128 instances of inotify that a user has on a node: to follow its token", async () => {
    expect(await envoy.inotifyInstances()).to.equal(2);
  });

  it("loses no request while a route is swapped fifty times to a cluster that comes and goes", async () => {
    const load = startLoad("test.local", () => ports.first);
    for (let round = 0; round < 50; round += 1) {
      const name = round % 2 === 0 ? `b${round}` : `a${round}`;
      const clusters = { [name]: round % 2 === 0 ? ports.b : ports.a };
      publish(config({ clusters, tables: { table: { "test.local": name } } }));
      await sleep(40);
    }
    const counted = await load.stop();
    expect([...counted.keys()].sort()).to.deep.equal(["200 a", "200 b"]);
    publish(config());
    await until("only one cluster", async () => {
      const names = (await envoy.admin("/clusters")).match(/^[^:]+(?=::observability_name)/gm) ?? [];
      return names.sort().join() === "a,xds";
    });
  });

  it("warms a changed cluster at once, with endpoints that did not change", async () => {
    const load = startLoad("test.local", () => ports.first);
    const beforeMs = performance.now();
    publish(config({ connectTimeoutS: 7 }));
    await until("the warm cluster", async () => {
      const dump = await envoy.admin("/config_dump?resource=dynamic_active_clusters");
      return dump.includes('"connect_timeout": "7s"');
    });
    expect(performance.now() - beforeMs).to.be.below(10_000);
    await sleep(300);
    expect([...(await load.stop()).keys()]).to.deep.equal(["200 a"]);
    publish(config());
  });

  it("keeps the others when it refuses a listener, and takes the mended one", async () => {
    const blocker = await startBackend("in the way");
    try {
      const bad = { port: blocker.port, table: "table" };
      const good = { port: ports.second, table: "table" };
      publish(
        config({ generation: 2, listeners: { first: { port: ports.first, table: "table" }, bad, good } }),
      );
      await answers("200 a", ports.second);
      await answers("200 a");
      const refused = await until("the refusal", async () =>
        Promise.resolve(server.acknowledgements().get("ns/gateway")?.refused),
      );
      expect(refused).to.include("bad");
    } finally {
      await blocker.stop();
    }
    publish(config({ generation: 3 }));
    await until("the recovery", async () =>
      Promise.resolve(server.acknowledgements().get("ns/gateway")?.programmed === 3),
    );
  });

  it("loses no request when a listener's port changes and the clients follow late", async () => {
    let port = ports.first;
    const load = startLoad("test.local", () => port);
    const next = await freePort();
    publish(config({ listeners: { moved: { port: next, table: "table" } } }));
    await answers("200 a", next);
    await sleep(300);
    port = next;
    await sleep(300);
    expect([...(await load.stop()).keys()]).to.deep.equal(["200 a"]);
    publish(config());
    await answers("200 a");
  });

  it("is sent nothing when the server comes back with the same content, and goes on meanwhile", async () => {
    const load = startLoad("test.local", () => ports.first);
    // What lingers of the test before is gone then.
    publish(config({ listeners: { first: { port: ports.first, table: "table" } } }));
    await until("the end of what lingers", async () => {
      const dump = await envoy.admin("/config_dump?resource=dynamic_listeners&name_regex=moved");
      return !dump.includes('"active_state"');
    });
    await server.stop();
    await sleep(200);
    counts.clear();
    await startServer(xdsPort);
    publish(config());
    await until("a stream", async () => {
      const programmed = server.acknowledgements().get("ns/gateway")?.programmed;
      return Promise.resolve(programmed === 1);
    });
    await sleep(300);
    expect(counts.get("mcwan_xds_pushes_total") ?? 0).to.equal(0);
    expect([...(await load.stop()).keys()]).to.deep.equal(["200 a"]);
    publish(config({ tables: { table: { "test.local": "b" } }, clusters: { b: ports.b } }));
    await answers("200 b");
  });

  it("drops everything when the configuration is empty again", async () => {
    publish({});
    await answers("ECONNREFUSED");
    await until("no cluster but the bootstrap's", async () => {
      const names = (await envoy.admin("/clusters")).match(/^[^:]+(?=::observability_name)/gm) ?? [];
      return names.join() === "xds";
    });
    expect(envoy.output).not.to.include("[critical]");
  });
});
