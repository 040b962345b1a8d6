import { once } from "node:events";
import { createServer as createHttp2Server } from "node:http2";
import type { Http2Server, ServerHttp2Stream } from "node:http2";
import { Agent, request } from "node:http";
import type { IncomingMessage } from "node:http";
import { expect } from "chai";
import { egressOf } from "../../test/translate/egress-case.ts";
import type { ImportedService } from "../../test/translate/egress-case.ts";
import { envoyProgram, portOf, startCase } from "../../test/translate/run-case.ts";
import type { RunningCase } from "../../test/translate/run-case.ts";

const perSecond = 40;
const atOnce = 3;
/** Container ports at the egress. */
const places = { counted: 20_001, crowded: 20_002, free: 20_003 } as const;
type Service = keyof typeof places;

describe("limits of an import, by a real Envoy", function () {
  this.timeout(60_000);
  let running: RunningCase;
  let gateway: Http2Server;
  /** Requests that wait for their answers, while they are held. */
  const held: ServerHttp2Stream[] = [];
  let isHolding = false;
  let reached = 0;
  const agent = new Agent({ keepAlive: true });

  before(async function () {
    if (envoyProgram() === undefined) return this.skip();
    gateway = createHttp2Server();
    gateway.on("stream", (stream) => {
      reached += 1;
      if (isHolding) held.push(stream);
      else stream.respond({ ":status": 200 }, { endStream: true });
    });
    gateway.listen(0, "127.0.0.1");
    await once(gateway, "listening");
    const service = (name: Service, more: Partial<ImportedService> = {}): ImportedService => ({
      ...{ name, containerPort: places[name], clusters: ["east"], port: portOf(gateway) },
      ...more,
    });
    const services = [
      service("counted", { pooled: { requestsPerSecond: perSecond } }),
      service("crowded", { backend: { concurrentRequests: atOnce } }),
      service("free"),
    ];
    running = await startCase(egressOf(services), Object.values(places));
  });
  after(async () => {
    agent.destroy();
    for (const stream of held) stream.destroy();
    await (running as RunningCase | undefined)?.stop();
    (gateway as Http2Server | undefined)?.close();
  });

  async function ask(
    service: Service,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<IncomingMessage> {
    const sent = request({
      host: "127.0.0.1",
      port: running.portOf(places[service]),
      headers: { host: service, ...headers },
      agent,
    });
    sent.end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");
    return response;
  }
  const statuses = async (service: Service, count: number): Promise<Map<number | undefined, number>> => {
    const seen = new Map<number | undefined, number>();
    for (let sent = 0; sent < count; sent += 1) {
      const { statusCode } = await ask(service);
      seen.set(statusCode, (seen.get(statusCode) ?? 0) + 1);
    }
    return seen;
  };

  it("answers 429 to what is more than so many requests in a second, and nothing of it crosses the WAN", async () => {
    reached = 0;
    const startedMs = performance.now();
    const seen = await statuses("counted", perSecond * 5);
    const seconds = (performance.now() - startedMs) / 1000;
    const passed = seen.get(200) ?? 0;
    expect([...seen.keys()].sort()).to.deep.equal([200, 429]);
    expect(reached).to.equal(passed);
    // The bucket is full at first, and is filled again once in a second.
    expect(passed).to.be.within(perSecond, perSecond * (2 + Math.ceil(seconds)));
  });

  it("says RESOURCE_EXHAUSTED to gRPC", async () => {
    const said = new Set<string>();
    // The bucket may be filled again in the middle.
    for (let sent = 0; sent < perSecond * 3; sent += 1) {
      const { statusCode, headers } = await ask("counted", { "content-type": "application/grpc" });
      said.add(`${statusCode} ${String(headers["grpc-status"])}`);
    }
    expect([...said]).to.include("200 8");
  });

  it("lets requests through again when a second has passed", async () => {
    await statuses("counted", perSecond * 3);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect((await ask("counted")).statusCode).to.equal(200);
  });

  it("answers 503 to what is more than so many requests at once, without trying again, and other services notice nothing", async () => {
    reached = 0;
    isHolding = true;
    const waiting = Array.from({ length: atOnce }, () => ask("crowded"));
    while (held.length < atOnce) await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await ask("crowded")).statusCode).to.equal(503);
    expect(reached).to.equal(atOnce);
    isHolding = false;
    expect((await ask("free")).statusCode).to.equal(200);
    for (const stream of held.splice(0)) stream.respond({ ":status": 200 }, { endStream: true });
    expect((await Promise.all(waiting)).map(({ statusCode }) => statusCode)).to.deep.equal([200, 200, 200]);
    expect((await ask("crowded")).statusCode).to.equal(200);
  });

  it("limits nothing where nothing is said", async () => {
    expect([...(await statuses("free", perSecond * 3)).keys()]).to.deep.equal([200]);
  });
});
