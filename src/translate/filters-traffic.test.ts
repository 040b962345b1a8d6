import { once } from "node:events";
import { createServer, request } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { Http2Server } from "node:http2";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { envoyProgram, portOf, runCase } from "../../test/translate/run-case.ts";
import type { RunningCase } from "../../test/translate/run-case.ts";

interface Seen {
  readonly backend: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}
interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}
type Asked = Readonly<{ port?: number; method?: string; headers?: Record<string, string> }>;

describe("filters through a real Envoy", function () {
  this.timeout(60_000);
  const seen: Seen[] = [];
  const servers: (Server | Http2Server)[] = [];
  const sockets = new Set<Socket>();
  let running: RunningCase | undefined;

  async function start(server: Server | Http2Server): Promise<number> {
    server.on("connection", (socket: Socket) => sockets.add(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    servers.push(server);
    return portOf(server);
  }

  const startHttp1 = (backend: string): Promise<number> =>
    start(
      createServer(({ url = "", headers }, response) => {
        seen.push({ backend, url, headers });
        // As told: the first answers of a request that is sent again.
        const [, status = "", times = ""] = /[?]fail=([0-9]+)x([0-9]+)/.exec(url) ?? [];
        if (seen.length <= Number(times)) response.writeHead(Number(status));
        if (!url.startsWith("/slow")) response.end(backend);
        else if (url.startsWith("/slow/never"))
          setTimeout(() => {
            response.end(backend);
          }, 500);
      }),
    );

  before(async function () {
    if (envoyProgram() === undefined) return this.skip();
    const echo = createServer().on("upgrade", ({ headers }: IncomingMessage, socket: Socket) => {
      sockets.add(socket);
      socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
      socket.write(`${headers.upgrade ?? ""}:`);
      socket.pipe(socket);
    });
    const http2 = createHttp2Server(({ url, headers }, response) => {
      seen.push({ backend: "h2", url, headers });
      response.end("h2");
    });
    const ports = {
      ONE: await startHttp1("one"),
      TWO: await startHttp1("two"),
      H2: await start(http2),
      WS: await start(echo),
    };
    running = await runCase(new URL("traffic/filters.yaml", import.meta.url), ports, [10080, 8080]);
  });

  after(async () => {
    await running?.stop();
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
  });

  async function ask(
    path: string,
    { port = 10080, method = "GET", headers = {} }: Asked = {},
  ): Promise<Answer> {
    const place = { host: "127.0.0.1", port: running?.portOf(port), path, method, agent: false };
    const sent = request({ ...place, headers: { host: "shop.example.com", ...headers } });
    sent.end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    let body = "";
    for await (const chunk of response) body += String(chunk);
    return { status: response.statusCode ?? 0, headers: response.headers, body };
  }

  describe("CORS", () => {
    const preflight = (path: string, origin: string, more: Record<string, string> = {}): Promise<Answer> =>
      ask(path, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "PUT", ...more },
      });
    const grants = ({ headers }: Answer): Record<string, unknown> =>
      Object.fromEntries(
        Object.entries(headers)
          .filter(([name]) => name.startsWith("access-control-"))
          .map(([name, value]) => [name.slice("access-control-".length), value]),
      );

    it("answers the preflight of an origin that is listed, and the backend doesn't see it", async () => {
      seen.length = 0;
      for (const origin of ["https://www.foo.com", "https://a.b.bar.com", "http://ports.com:8080"]) {
        const answer = await preflight("/cors/listed", origin);
        expect(answer.status).to.equal(200);
        expect(grants(answer)).to.deep.equal({
          "allow-origin": origin,
          "allow-methods": "GET, OPTIONS",
          "allow-headers": "x-header-1, x-header-2",
          "expose-headers": "x-header-3, x-header-4",
          "allow-credentials": "true",
          "max-age": "3600",
        });
      }
      expect(seen).to.deep.equal([]);
    });

    it("grants nothing to other origins, neither in a preflight nor after", async () => {
      const others = [
        "https://foo.com",
        "http://www.foo.com",
        "https://www.foo.com.evil.org",
        "http://ports.com",
      ];
      for (const origin of others) {
        // Without the origin the rest grants nothing.
        expect(grants(await preflight("/cors/listed", origin))).not.to.have.property("allow-origin");
        const answer = await ask("/cors/listed", { headers: { origin } });
        expect([answer.status, grants(answer)]).to.deep.equal([200, {}]);
      }
      const { status, headers } = await ask("/cors/listed", { headers: { origin: "https://www.foo.com" } });
      expect([status, headers["access-control-allow-origin"]]).to.deep.equal([200, "https://www.foo.com"]);
    });

    it("repeats what was asked for where everything is allowed, so that it holds with credentials too", async () => {
      const wanted = { "access-control-request-headers": "x-header-1, x-header-2" };
      for (const credentials of [false, true]) {
        const path = credentials ? "/cors/any-with-credentials" : "/cors/any";
        const answer = await preflight(path, "https://foobar.com:12345", wanted);
        expect([answer.status, grants(answer)]).to.deep.equal([
          200,
          {
            "allow-origin": "https://foobar.com:12345",
            "allow-methods": "PUT",
            "allow-headers": "x-header-1, x-header-2",
            "max-age": "5",
            ...(credentials ? { "allow-credentials": "true" } : {}),
          },
        ]);
      }
    });
  });

  describe("backends", () => {
    it("are spoken to in HTTP/2 or by WebSocket as their Service says", async () => {
      expect((await ask("/h2c")).body).to.equal("h2");
      const port = running?.portOf(10080);
      const upgrade = { connection: "upgrade", upgrade: "websocket", host: "shop.example.com" };
      const sent = request({ host: "127.0.0.1", port, path: "/ws", headers: upgrade });
      sent.end();
      const [, socket, head] = (await once(sent, "upgrade")) as [IncomingMessage, Socket, Buffer];
      sockets.add(socket);
      let text = head.toString();
      socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
      socket.write("hello");
      while (!text.endsWith("hello")) await sleep(10);
      expect(text).to.equal("websocket:hello");
    });

    it("get and give headers of their own beside the rule's", async () => {
      const headers = { "x-added": "zero", "x-removed": "gone", "x-set": "old" };
      const from = new Set<unknown>();
      for (let index = 0; index < 30; index++) {
        seen.length = 0;
        const answer = await ask("/by-backend", { headers });
        expect(answer.headers["x-from"]).to.equal(answer.body);
        from.add(answer.body);
        const got: IncomingHttpHeaders = seen[0]?.headers ?? {};
        expect(got["x-rule"]).to.equal("rule");
        if (answer.body !== "one") continue;
        expect([got["x-added"], got["x-removed"], got["x-set"]]).to.deep.equal([
          "zero, one",
          undefined,
          "one",
        ]);
      }
      expect([...from]).to.have.members(["one", "two"]);
    });
  });

  describe("mirrors", () => {
    const counts = async (path: string, requests: number): Promise<Record<string, number>> => {
      seen.length = 0;
      for (let index = 0; index < requests; index++) expect((await ask(path)).body).to.equal("one");
      // Mirrors are sent beside the request: all are there when no more come.
      let known: number;
      do {
        known = seen.length;
        await sleep(200);
      } while (known !== seen.length);
      return Object.fromEntries(
        ["one", "two", "h2"].map((name) => [name, seen.filter(({ backend }) => backend === name).length]),
      );
    };

    it("get every request, whatever their number", async () => {
      expect(await counts("/mirrored", 5)).to.deep.equal({ one: 5, two: 5, h2: 5 });
    });

    it("get their percent or fraction", async () => {
      const { one, two = 0, h2 = 0 } = await counts("/tenth", 400);
      expect(one).to.equal(400);
      expect(two).to.be.within(45, 120);
      expect(h2).to.be.within(150, 250);
    });
  });

  it("tries again for the answers that a rule names, as often as it says, and for time-outs of a try", async () => {
    const statusOf = async (path: string, method = "POST"): Promise<readonly [number, number]> => {
      seen.length = 0;
      const { status } = await ask(path, { method });
      return [status, seen.length];
    };
    expect(await statusOf("/again?fail=500x2")).to.deep.equal([200, 3]);
    expect(await statusOf("/again?fail=500x4")).to.deep.equal([500, 4]);
    expect(await statusOf("/again?fail=503x2")).to.deep.equal([503, 1]);
    expect(await statusOf("/slow/again")).to.deep.equal([504, 2]);
    expect(await statusOf("/again/not?fail=500x1")).to.deep.equal([500, 1]);
  });

  it("ends a request after its own time and a try after the backend's, with 504; 0s is no time-out", async () => {
    expect((await ask("/slow/request")).status).to.equal(504);
    expect((await ask("/slow/try")).status).to.equal(504);
    expect((await ask("/slow/never")).status).to.equal(200);
  });

  describe("redirects", () => {
    const rows: readonly (readonly [path: string, port: number, status: number, location: string])[] = [
      ["/to/host", 10080, 302, "http://example.org/to/host"],
      ["/to/301", 10080, 301, "http://example.org/to/301"],
      ["/to/303", 10080, 303, "http://example.org/to/303"],
      ["/to/307", 10080, 307, "http://example.org/to/307"],
      ["/to/308", 10080, 308, "http://example.org/to/308"],
      ["/to/host", 8080, 302, "http://example.org:8080/to/host"],
      ["/to/port", 10080, 302, "http://shop.example.com:8083/to/port"],
      ["/to/own-port", 10080, 302, "http://shop.example.com/to/own-port"],
      ["/to/own-port", 8080, 302, "http://shop.example.com/to/own-port"],
      ["/to/scheme", 10080, 302, "https://example.org/to/scheme"],
      ["/to/scheme", 8080, 302, "https://example.org/to/scheme"],
      ["/to/scheme-here", 10080, 302, "https://shop.example.com/to/scheme-here"],
      ["/to/scheme-here", 8080, 302, "https://shop.example.com/to/scheme-here"],
      ["/to/same-scheme", 8080, 302, "http://example.org/to/same-scheme"],
      ["/to/scheme-and-port", 10080, 302, "https://shop.example.com:8443/to/scheme-and-port"],
      ["/to/own-scheme-port", 8080, 302, "https://shop.example.com/to/own-scheme-port"],
      ["/to/path/x?q=1", 10080, 301, "http://shop.example.com/all?q=1"],
      ["/to/prefix/x?q=1", 10080, 302, "http://shop.example.com/new/x?q=1"],
      ["/to/root/x", 10080, 302, "http://shop.example.com/x"],
      ["/to/root", 8080, 302, "http://shop.example.com:8080/"],
    ];
    for (const [path, port, status, location] of rows) {
      it(`lead from ${path} at port ${port === 10080 ? 80 : port} to ${location}`, async () => {
        const host = port === 10080 ? "shop.example.com" : `shop.example.com:${port}`;
        const answer = await ask(path, { port, headers: { host } });
        const found = answer.headers.location?.replace(
          /:(?:80(?=\/)(?<=http:.*)|443(?=\/)(?<=https:.*))/,
          "",
        );
        expect([answer.status, found]).to.deep.equal([status, location]);
      });
    }
  });
});
