/**
 * Requests that no library would send, byte by byte, at a user's Gateway and at an ingress gateway: each is answered once,
 * and only what the route offers (`/open`) reaches the backend, in the form that the route was chosen by.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, Server } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { expect } from "chai";
import { envoyProgram, portOf, runCase } from "../../test/translate/run-case.ts";
import type { RunningCase } from "../../test/translate/run-case.ts";

interface Seen {
  readonly asked: string;
  readonly headers: IncomingHttpHeaders;
}

/** A request: its head, line by line, and what follows it; the statuses that come back; what the backend sees. */
interface Row {
  readonly what: string;
  readonly lines: readonly string[];
  readonly body?: string;
  readonly statuses: readonly number[];
  readonly seen?: string;
  /** The answer may be lost with what the gateway did not read any more. */
  readonly mayBeCut?: true;
}

const gateways = {
  "a user's Gateway": {
    port: 8080,
    host: "shop.example.com",
    // Envoy's own words, for the backend.
    believed: {
      "x-envoy-external-address": "127.0.0.1",
      "x-forwarded-for": "its address",
      "x-forwarded-host": "shop.example.com",
      "x-forwarded-proto": "http",
    },
  },
  "an ingress gateway": {
    port: 31_111,
    host: "one.shop.svc.cluster.local",
    // The egress gateway has taken away what its client said; its own word counts.
    believed: {
      forwarded: "for=203.0.113.9;host=bank.example",
      "x-forwarded-for": "203.0.113.9",
      "x-forwarded-host": "bank.example",
      "x-forwarded-proto": "https",
      "x-mc-wan-hop": "1",
      "x-mc-wan-unserved": "true",
    },
  },
} as const;
const closing = "connection: close";
const get = (target: string): string => `GET ${target} HTTP/1.1`;

function hosts(host: string): readonly Row[] {
  const own = `host: ${host}`;
  const named = (what: string, value: string, status: number): Row => ({
    what: `the Host ${what}`,
    lines: [get("/open"), `host:${value}`, closing],
    statuses: [status],
    ...(status === 200 && { seen: "GET /open" }),
  });
  const row = (what: string, lines: readonly string[], status: number): Row => ({
    what,
    lines: [...lines, closing],
    statuses: [status],
  });
  return [
    named("with a port", ` ${host}:8080`, 200),
    named("in upper case", ` ${host.toUpperCase()}`, 200),
    named("with a dot at its end", ` ${host}.`, 200),
    named("with a dot and a port", ` ${host}.:8080`, 200),
    named("127.0.0.1", " 127.0.0.1", 404),
    named("[::1]:8080", " [::1]:8080", 404),
    named("of nothing", "", 404),
    named("with a user", ` ${host}@evil.example`, 404),
    named("with a path", ` ${host}/../`, 400),
    named("of two names", ` ${host},evil.example`, 404),
    row("no Host", [get("/open")], 400),
    row("Host twice", [get("/open"), own, "host: evil.example"], 404),
    row("Host twice, its own last", [get("/open"), "host: evil.example", own], 404),
    row("an absolute target of another host", [get("http://evil.example/open"), own], 404),
    {
      ...row(
        "an absolute target beside another Host",
        [get(`http://${host}/open`), "host: evil.example"],
        200,
      ),
      seen: "GET /open",
    },
  ];
}

function paths(host: string): readonly Row[] {
  const asked = (target: string, status: number, seen?: string): Row => ({
    what: `the path ${target.length > 60 ? `of ${target.length} characters` : JSON.stringify(target)}`,
    lines: [get(target), `host: ${host}`, closing],
    statuses: [status],
    ...(seen !== undefined && { seen }),
  });
  const long = `/open/${"a".repeat(64 * 1024)}`;
  return [
    ...["//open", "/./open", "/closed/../open", "/closed/..%2fopen", "/closed/%2e%2e/open"].map((target) =>
      asked(target, 200, "GET /open"),
    ),
    ...["/open/../closed", "/open/..%2fclosed", "/open/..%2Fclosed", "/open/..%5cclosed"].map((target) =>
      asked(target, 404),
    ),
    ...["/open/%2e%2e/closed", "/open/..;/closed", "/OPEN"].map((target) => asked(target, 404)),
    ...["/open%00", "/open/%00/..", "/open\0", "/open#/../closed", "open", "*"].map((target) =>
      asked(target, 400),
    ),
    // An empty element is an element: it is what /.. takes away.
    asked("/open/.//..//closed", 200, "GET /open/closed"),
    // What is escaped twice is unescaped once: it is a name below /open.
    asked("/open/..%252fclosed", 200, "GET /open/..%252fclosed"),
    asked(long, 200, `GET ${long}`),
    { ...asked(long.repeat(2), 431), mayBeCut: true },
  ];
}

function heads(host: string): readonly Row[] {
  const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `x-${index}: 1`);
  const row = (what: string, headers: readonly string[], status: number): Row => ({
    what,
    lines: [get("/open"), `host: ${host}`, ...headers, closing],
    statuses: [status],
    ...(status === 200 && { seen: "GET /open" }),
  });
  const other = (what: string, line: string, status: number): Row => ({
    what,
    lines: [line, `host: ${host}`, closing],
    statuses: [status],
  });
  return [
    row("200 headers", many(200), 200),
    row("600 headers", many(600), 431),
    row("a header without a name", [": x"], 400),
    row("a header with a space in its name", ["x a: x"], 400),
    row("a header with a space after its name", ["transfer-encoding : chunked"], 400),
    row("a header with NUL", ["x-a: b\0c"], 400),
    row(
      "an upgrade to h2c",
      ["connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABk"],
      200,
    ),
    row("an upgrade to something else", ["connection: upgrade", "upgrade: raw"], 403),
    other("CONNECT to the admin interface", "CONNECT 127.0.0.1:9901 HTTP/1.1", 404),
    other("CONNECT to its own name", `CONNECT ${host}:80 HTTP/1.1`, 404),
    other("HTTP/0.9", "GET /open", 426),
    other("HTTP/9.9", "GET /open HTTP/9.9", 426),
    other("the beginning of TLS", "\x16\x03\x01\x02\0", 400),
  ];
}

/** A request inside of what one reader takes for the body of another, and another reader doesn't. */
function smuggled(host: string): readonly Row[] {
  const hidden = `GET /open/hidden HTTP/1.1\r\nhost: ${host}\r\n${closing}\r\n\r\n`;
  const chunked = "transfer-encoding: chunked";
  const ended = `0\r\n\r\n${hidden}`;
  const row = (what: string, headers: readonly string[], [status, body]: readonly [number, string]): Row => ({
    what,
    lines: ["POST /open HTTP/1.1", `host: ${host}`, ...headers],
    body,
    statuses: [status],
  });
  return [
    row("Content-Length with Transfer-Encoding", ["content-length: 4", chunked], [400, ended]),
    row("Transfer-Encoding with Content-Length", [chunked, `content-length: ${ended.length}`], [400, ended]),
    row("a length of 0 with Transfer-Encoding", ["content-length: 0", chunked], [400, ended]),
    row("two lengths", ["content-length: 0", `content-length: ${hidden.length}`], [400, hidden]),
    row("two lengths in one header", [`content-length: 0, ${hidden.length}`], [400, hidden]),
    row("a length with a sign", ["content-length: +0"], [400, hidden]),
    row("a length below 0", ["content-length: -1"], [400, hidden]),
    row("an unknown Transfer-Encoding", ["transfer-encoding: xchunked"], [501, ended]),
    row("Transfer-Encoding twice", [chunked, "transfer-encoding: identity"], [501, ended]),
    row("a chunk without a size", [chunked], [400, `z\r\n\r\n${hidden}`]),
    {
      ...row("Transfer-Encoding in HTTP/1.0", [], [426, ended]),
      lines: ["POST /open HTTP/1.0", `host: ${host}`, chunked],
    },
  ];
}

/** What a client may not say of itself, in some spellings. */
const forged = [
  "x-envoy-original-path: /closed",
  "X-Envoy-Upstream-Rq-Timeout-Ms: 1",
  "x-envoy-retry-on: 5xx",
  "x-envoy-external-address: 203.0.113.9",
  "x-envoy-internal: true",
  "X-Forwarded-For: 203.0.113.9",
  "x-forwarded-host: bank.example",
  "x-forwarded-proto: https",
  "x-forwarded-client-cert: URI=spiffe://bank.example",
  "forwarded: for=203.0.113.9;host=bank.example",
  "X-MC-WAN-Arrival: 31112",
  "x-mc-wan-server-name: bank.example",
  "x-mc-wan-port: 5432",
  "x-mc-wan-unserved: true",
];

describe("bytes that no library sends, at a real Envoy", function () {
  this.timeout(60_000);
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  let backend: Server | undefined;
  let running: RunningCase | undefined;

  before(async function () {
    if (envoyProgram() === undefined) return this.skip();
    backend = createServer({ maxHeaderSize: 256 * 1024 }, (request, response) => {
      // A request counts once it is whole.
      request.resume().on("end", () => {
        seen.push({ asked: `${request.method ?? ""} ${request.url ?? ""}`, headers: request.headers });
        response.end("served");
      });
    }).on("connection", (socket: Socket) => sockets.add(socket));
    backend.listen(0, "127.0.0.1");
    await once(backend, "listening");
    const file = new URL("traffic/raw-http.yaml", import.meta.url);
    running = await runCase(file, { ONE: portOf(backend) }, [8080, 31_111]);
  });
  after(async () => {
    await running?.stop();
    for (const socket of sockets) socket.destroy();
    backend?.close();
  });

  /** All that comes back until the gateway closes the connection: a second after its answer, where it didn't read all. */
  async function send(port: number, text: string): Promise<string> {
    const socket = connect(running?.portOf(port) ?? 0, "127.0.0.1");
    let answer = "";
    socket.on("data", (piece: Buffer) => (answer += piece.toString("latin1")));
    socket.on("error", () => undefined);
    socket.write(Buffer.from(text, "latin1"));
    await new Promise((resolve) => socket.on("close", resolve));
    return answer;
  }

  for (const [gateway, { port, host, believed }] of Object.entries(gateways))
    describe(gateway, () => {
      const rows = [...hosts(host), ...paths(host), ...heads(host), ...smuggled(host)];
      const marked = (index: number): Seen[] =>
        seen.filter(({ headers }) => headers["x-row"] === `${port}-${index}`);
      let answers: readonly Promise<string>[] = [];
      before(() => {
        answers = rows.map(({ lines: [first = "", ...others], body = "" }, index) =>
          send(port, `${[first, `x-row: ${port}-${index}`, ...others].join("\r\n")}\r\n\r\n${body}`),
        );
      });

      for (const [index, { what, statuses, seen: reached, mayBeCut }] of rows.entries())
        it(`answers once: ${what}`, async () => {
          const answer = (await answers[index]) ?? "";
          const got = [...answer.matchAll(/HTTP\/1\.[01] (\d+)/g)].map(([, status]) => Number(status));
          if (mayBeCut !== true || got.length > 0) expect(got, answer.slice(0, 500)).to.deep.equal(statuses);
          expect(marked(index).map(({ asked }) => asked)).to.deep.equal(
            reached === undefined ? [] : [reached],
          );
          for (const { headers } of marked(index))
            expect(headers).not.to.have.any.keys("upgrade", "http2-settings");
        });

      it("lets nothing through that was hidden in another request", async () => {
        await Promise.all(answers);
        expect(seen.filter(({ headers }) => headers["x-row"] === undefined)).to.deep.equal([]);
      });

      it("takes headers with underscores for what they are, and lines that go on for one", async () => {
        const lines = [
          get("/open"),
          `host: ${host}`,
          `x-row: odd-${port}`,
          "x_mc_wan_arrival: 1",
          "x-a: b",
          " c",
          closing,
        ];
        expect(await send(port, `${lines.join("\r\n")}\r\n\r\n`)).to.match(/^HTTP\/1\.1 200/);
        const { headers } = seen.find((one) => one.headers["x-row"] === `odd-${port}`) ?? {};
        expect(headers?.["x_mc_wan_arrival"]).to.equal("1");
        expect(headers?.["x-a"]).to.match(/^b +c$/);
      });

      it("passes on of what a request says of itself only what gateways may say", async () => {
        const mark = `x-row: forged-${port}`;
        const lines = [get("/open"), `host: ${host}`, mark, ...forged, closing];
        expect(await send(port, `${lines.join("\r\n")}\r\n\r\n`)).to.match(/^HTTP\/1\.1 200/);
        const { headers = {} } = seen.find((one) => `x-row: ${String(one.headers["x-row"])}` === mark) ?? {};
        const own = Object.entries(headers)
          .filter(([name]) => /^(x-envoy-|x-mc-wan-|x-forwarded-|forwarded)/.test(name))
          .map(([name, value]) => [
            name,
            name === "x-forwarded-for" && value !== "203.0.113.9" ? "its address" : value,
          ]);
        expect(Object.fromEntries(own)).to.deep.equal(believed);
      });
    });
});
