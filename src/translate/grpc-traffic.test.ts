import { once } from "node:events";
import { Client, Server, ServerCredentials, credentials, Metadata, status } from "@grpc/grpc-js";
import type { ServiceDefinition, ServiceError } from "@grpc/grpc-js";
import { expect } from "chai";
import { envoyProgram, runCase } from "../../test/translate/run-case.ts";
import type { RunningCase } from "../../test/translate/run-case.ts";

const text = {
  serialize: (value: string): Buffer => Buffer.from(value),
  deserialize: (bytes: Buffer): string => bytes.toString(),
};

/** Every method that the test asks for, with a text as request and as response. */
const methods = [
  "/shop.Cart/Add",
  "/shop.Cart/Remove",
  "/shop.Stock/Get",
  "/shop.Weighted/Get",
  "/shop.Half/Get",
  "/any.Health/Check",
];
const service: ServiceDefinition = Object.fromEntries(
  methods.map((path) => [
    path,
    {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: text.serialize,
      requestDeserialize: text.deserialize,
      responseSerialize: text.serialize,
      responseDeserialize: text.deserialize,
    },
  ]),
);

/** A gRPC server that answers with its name and with what the gateway told it. */
async function startServer(name: string): Promise<{ readonly server: Server; readonly port: number }> {
  const server = new Server();
  server.addService(
    service,
    Object.fromEntries(
      methods.map((path) => [
        path,
        (call: { metadata: Metadata }, callback: (error: null, value: string) => void) => {
          callback(null, [name, ...call.metadata.get("x-by")].join(" "));
        },
      ]),
    ),
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { server, port };
}

interface Answer {
  readonly code: status;
  readonly said: string | undefined;
  readonly headers: Metadata | undefined;
}

describe("gRPC through a real Envoy", function () {
  this.timeout(60_000);
  const servers: Server[] = [];
  let running: RunningCase | undefined;
  let client: Client | undefined;

  before(async function () {
    if (envoyProgram() === undefined) return this.skip();
    const [one, two] = [await startServer("one"), await startServer("two")];
    servers.push(one.server, two.server);
    const ports = { ONE: one.port, TWO: two.port };
    running = await runCase(new URL("traffic/grpc.yaml", import.meta.url), ports, [8080]);
    client = new Client(`127.0.0.1:${running.portOf(8080)}`, credentials.createInsecure());
  });

  after(async () => {
    client?.close();
    await running?.stop();
    for (const server of servers) server.forceShutdown();
  });

  async function call(path: string, metadata: Record<string, string> = {}): Promise<Answer> {
    const sent = new Metadata();
    for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
    if (client === undefined) throw new Error("there is no client");
    let answer: { error: ServiceError | null; said: string | undefined } | undefined;
    const asked = client.makeUnaryRequest(
      path,
      text.serialize,
      text.deserialize,
      "hello",
      sent,
      (error, said) => (answer = { error, said }),
    );
    let headers: Metadata | undefined;
    asked.on("metadata", (found: Metadata) => (headers = found));
    await once(asked, "status");
    return { code: answer?.error?.code ?? status.OK, said: answer?.said, headers };
  }
  const saidOf = async (...args: Parameters<typeof call>) => (await call(...args)).said;

  it("chooses by service, method and metadata, the most specific first, and speaks HTTP/2 to every backend", async () => {
    expect(await saidOf("/shop.Cart/Remove")).to.equal("one");
    expect(await saidOf("/shop.Cart/Add")).to.equal("two gateway");
    expect(await saidOf("/shop.Cart/Add", { version: "one" })).to.equal("one");
    expect(await saidOf("/shop.Stock/Get")).to.equal("two");
    expect(await saidOf("/any.Health/Check")).to.equal("two");
  });

  it("changes metadata of the response", async () => {
    expect((await call("/shop.Cart/Add")).headers?.get("x-from")).to.deep.equal(["gateway"]);
  });

  it("answers UNIMPLEMENTED where no rule matches, a service whose name goes on included", async () => {
    expect((await call("/shop.Cartoon/Add")).code).to.equal(status.UNIMPLEMENTED);
    expect((await call("/shop.Stock/Watch")).code).to.equal(status.UNIMPLEMENTED);
  });

  it("answers UNAVAILABLE for a backend that is not there, for its share of the weight", async () => {
    expect((await call("/shop.Absent/Get")).code).to.equal(status.UNAVAILABLE);
    const codes = new Map<status, number>();
    for (let index = 0; index < 100; index++) {
      const { code } = await call("/shop.Half/Get");
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect([...codes.keys()].sort()).to.deep.equal([status.OK, status.UNAVAILABLE]);
    expect(codes.get(status.OK)).to.be.within(25, 75);
  });

  it("splits by weight", async () => {
    let ones = 0;
    for (let index = 0; index < 200; index++) if ((await saidOf("/shop.Weighted/Get")) === "one") ones++;
    expect(ones).to.be.within(120, 180);
  });
});
