/**
 * What an API server, or what stands between, may say instead of a list or a watch, byte by byte over a real connection:
 * what was heard before stays, all that follows is heard, another kind is heard meanwhile, and nobody asks in a hurry.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { KubeClient } from "../../src/drivers/kube/kube-client.ts";
import { realTiming } from "../../src/drivers/timing/real-timing.ts";
import { kinds } from "../../src/model/kinds.ts";
import type { KindInfo } from "../../src/model/kinds.ts";
import { Reflector } from "../../src/observe/reflector.ts";
import { eventually } from "../home-cluster.ts";

const mebi = 1024 * 1024;
const note = "é🙂";
const item = (name: string, resourceVersion: string, uid = name): object => ({
  metadata: { name, namespace: "n", uid, resourceVersion, annotations: { note } },
});
const line = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;
const event = (name: string, version: string, more: object = {}): string =>
  line("ADDED", { kind: "Service", ...item(name, version), ...more });
const list = (resourceVersion: string, items: readonly object[], next = ""): string =>
  JSON.stringify({ metadata: { resourceVersion, continue: next }, items });

type Answer = (response: ServerResponse, elsewhere: string) => void;
const says =
  (body: string | Buffer, status = 200, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(status, headers).end(body);
/** A megabyte at a time, as long as it is taken, without an end of line. */
const endless: Answer = (response) => {
  const some = Buffer.alloc(mebi, "x");
  const more = (left: number): void => {
    if (left > 0 && !response.destroyed)
      response.write(some, () => {
        more(left - 1);
      });
  };
  more(1024);
};
const elsewhere: Answer = (response, url) =>
  response.writeHead(307, { location: `${url}/api/v1/services` }).end();
/** Byte by byte, each a piece of its own. */
const inPieces: Answer = (response) => {
  const bytes = Buffer.from(event("b", "6"));
  const next = (index: number): void => {
    if (index === bytes.length) response.end();
    else response.write(bytes.subarray(index, index + 1), () => setImmediate(next, index + 1));
  };
  next(0);
};
const html = "<html><body>Sign in</body></html>";
const cutGzip = gzipSync(event("b", "6").repeat(100)).subarray(0, 60);
const gzipped = { "content-encoding": "gzip" };

/** Said once, in place of the first watch. What is held afterwards, besides what is listed and watched later. */
const watches: readonly (readonly [
  what: string,
  answer: Answer,
  isListedAgain: boolean,
  holds?: string[],
])[] = [
  [
    "a bookmark without annotations",
    says(line("BOOKMARK", { kind: "Service", metadata: { resourceVersion: "7" } })),
    false,
  ],
  ["a bookmark without a version", says(line("BOOKMARK", { kind: "Service", metadata: {} })), true],
  ["an error whose code 410 is a text", says(line("ERROR", { kind: "Status", code: "410" })), true],
  ["the status 410", says("{}", 410), true],
  ["a type in lower case", says(line("added", { kind: "Service", ...item("b", "6") })), true],
  ["an object of a kind that nobody asked for", says(event("b", "6", { kind: "Pod" })), true],
  ["an object without a name", says(event("", "6")), true],
  [
    "two objects of one uid",
    says(event("b", "6") + line("ADDED", { kind: "Service", ...item("d", "7", "b") })),
    false,
    ["n/b", "n/d"],
  ],
  ["an object whose name is __proto__", says(event("__proto__", "6")), false, ["n/__proto__"]],
  ["HTML", says(`${html}\n`), true],
  ["HTML without an end of line", says(html), false],
  ["gzip that is cut off", says(cutGzip, 200, gzipped), false],
  [
    "gzip that is cut off, with an end of line",
    says(Buffer.concat([cutGzip, Buffer.from("\n")]), 200, gzipped),
    true,
  ],
  ["a redirect to another host", elsewhere, false],
  ["pieces that end inside of characters", inPieces, false, ["n/b"]],
  ["half a line, then nothing more", says(event("b", "6").slice(0, 40)), false],
  ["a line of a gigabyte", endless, true],
];

/** Said once, in place of the first list. */
const lists: readonly (readonly [what: string, answers: readonly Answer[]])[] = [
  ["HTML", [says(html)]],
  ["nothing", [says("")]],
  ["a list without a version", [says(JSON.stringify({ metadata: {}, items: [] }))]],
  ["items that are no list", [says(JSON.stringify({ metadata: { resourceVersion: "5" }, items: {} }))]],
  ["gzip that is cut off", [says(cutGzip, 200, gzipped)]],
  ["a redirect to another host", [elsewhere]],
  ["an answer of a gigabyte", [endless]],
  [
    "an end in the middle",
    [(response) => response.writeHead(200, { "content-length": "100" }).write("{", () => response.destroy())],
  ],
  ["a token that expires between two pages", [says(list("5", [item("gone", "1")], "next")), says("{}", 410)]],
];

describe("bad answers of an API server", function () {
  this.timeout(60_000);
  let server: Server;
  let stranger: Server;
  let client: KubeClient;
  let ended: AbortController;
  let script: { lists: Answer[]; watches: Answer[] };
  let asked: string[];
  let bytes = 0;
  let toStranger = 0;
  const urlOf = (of: Server): string => `http://127.0.0.1:${(of.address() as AddressInfo).port}`;

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url ?? "";
    const isWatch = url.includes("watch=true");
    const quiet = list("1", [item("quiet", "1")]);
    if (!url.startsWith("/api/v1/services")) {
      if (!isWatch) response.end(quiet);
      else if (!url.includes("resourceVersion=1&")) response.flushHeaders();
      else
        setTimeout(
          () =>
            response.write(
              line("ADDED", { kind: "Namespace", metadata: { name: "later", resourceVersion: "2" } }),
            ),
          20,
        );
      return;
    }
    asked.push(isWatch ? "watch" : "list");
    const { socket } = request;
    response.on("close", () => (bytes = Math.max(bytes, socket.bytesWritten)));
    const next = (isWatch ? script.watches : script.lists).shift();
    if (next !== undefined) next(response, urlOf(stranger));
    else if (isWatch) response.write(event("c", "20"));
    else response.end(list("10", [item("a", "1")]));
  }

  before(async () => {
    server = createServer(answer).listen(0, "127.0.0.1");
    stranger = createServer((_request, response) => {
      toStranger += 1;
      response.end(list("99", [item("strange", "1")]));
    }).listen(0, "127.0.0.1");
    await Promise.all([once(server, "listening"), once(stranger, "listening")]);
  });
  beforeEach(() => {
    [asked, bytes, toStranger] = [[], 0, 0];
    ended = new AbortController();
    client = new KubeClient({
      server: new URL(urlOf(server)),
      tls: {},
      maxAnswerBytes: 8 * mebi,
      authorization: () => Promise.resolve("Bearer secret"),
    });
  });
  afterEach(async () => {
    ended.abort();
    await client.close();
    server.closeAllConnections();
  });
  after(() => {
    server.close();
    stranger.close();
  });

  function follow(kind: KindInfo, changed: (reflector: Reflector) => void = () => undefined): Reflector {
    const events = {
      changed: () => {
        changed(reflector);
      },
      listing: () => undefined,
      failed: () => undefined,
      recovered: () => undefined,
      received: () => undefined,
    };
    const reflector = new Reflector({ kind, selection: {}, reader: client, timing: realTiming, events });
    void reflector.run(ended.signal);
    return reflector;
  }
  const names = (reflector: Reflector): string[] => [...reflector.objects().keys()].sort();

  /** Follows Services until what comes last is heard; meanwhile another kind is heard, and nothing is lost. */
  async function heard(first: { lists: Answer[]; watches: Answer[] }): Promise<Reflector> {
    script = first;
    let isLost = false;
    const memory = process.memoryUsage().rss;
    const services = follow(kinds.Service, (reflector) => (isLost ||= !names(reflector).includes("n/a")));
    const others = follow(kinds.Namespace);
    await eventually(
      () => [...names(services), ...names(others)],
      (all) => all.includes("n/c") && all.includes("later"),
      30_000,
    );
    expect(isLost, "something was held no more").to.equal(false);
    expect(asked.length, asked.join()).to.be.at.most(5);
    expect(toStranger, "requests to another host").to.equal(0);
    expect(bytes, "bytes that were sent").to.be.below(64 * mebi);
    expect((process.memoryUsage().rss - memory) / mebi, "MiB taken").to.be.below(256);
    expect(JSON.stringify(services.objects().get("n/c"))).to.contain(note);
    return services;
  }

  for (const [what, bad, isListedAgain, holds = []] of watches)
    it(`as a watch: ${what}`, async () => {
      const services = await heard({ lists: [says(list("5", [item("a", "1")]))], watches: [bad] });
      expect(asked.filter((one) => one === "list")).to.have.length(isListedAgain ? 2 : 1);
      expect(names(services)).to.deep.equal(["n/a", ...holds, "n/c"].sort());
      for (const object of services.objects().values()) expect(JSON.stringify(object)).to.contain(note);
    });

  for (const [what, bad] of lists)
    it(`as a list: ${what}`, async () => {
      expect(names(await heard({ lists: [...bad], watches: [] }))).to.deep.equal(["n/a", "n/c"]);
    });
});
