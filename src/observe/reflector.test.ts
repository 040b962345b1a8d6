import { expect } from "chai";
import { RefusedError, UnavailableError } from "../model/errors.ts";
import { kinds } from "../model/kinds.ts";
import type { Timing } from "../model/timing.ts";
import { HoldOff } from "./hold-off.ts";
import { MalformedLineError } from "./kube-reader.ts";
import type { KubeReader, ListPage } from "./kube-reader.ts";
import { Reflector } from "./reflector.ts";

/** Time that stands until it is moved. */
class ManualTiming implements Timing {
  #nowMs = 0;
  #timers: { atMs: number; callback: () => void }[] = [];
  now(): number {
    return this.#nowMs;
  }
  today(): number {
    return this.#nowMs;
  }
  random(): number {
    return 0.5;
  }
  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }
  /** Lets time pass, timer by timer, and lets what waits for promises go on in between. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = this.#timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = next.atMs;
      next.callback();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const item = (name: string, resourceVersion: string): object => ({
  metadata: { name, namespace: "n", uid: name, resourceVersion },
});
const event = (type: string, name: string, version: string): object => ({
  type,
  object: { kind: "Service", ...item(name, version) },
});
const page = (resourceVersion: string, ...items: object[]): ListPage => ({ resourceVersion, items });

/** What a server answers to each call, in order: an answer, an error, or for a watch its lines, then silence or an end. */
class Script implements KubeReader {
  readonly lists: (ListPage | Error)[] = [];
  readonly watches: (readonly (object | Error | "End")[] | Error)[] = [];
  readonly calls: string[] = [];
  isAllowed = true;

  mayList(): Promise<boolean> {
    this.calls.push("may list");
    return Promise.resolve(this.isAllowed);
  }

  list(_kind: unknown, options: { continue?: string; limit?: number }): Promise<ListPage> {
    this.calls.push(
      `list${options.continue === undefined ? "" : ` from ${options.continue}`}${options.limit === undefined ? " whole" : ""}`,
    );
    const next = this.lists.shift() ?? new UnavailableError("no answer");
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  }

  watch(
    _kind: unknown,
    options: { resourceVersion: string; signal: AbortSignal },
  ): Promise<AsyncIterable<unknown>> {
    this.calls.push(`watch from ${options.resourceVersion}`);
    const next = this.watches.shift() ?? [];
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(lines(next, options.signal));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function* lines(script: readonly (object | Error | "End")[], signal: AbortSignal): AsyncGenerator {
  for (const line of script) {
    if (line instanceof Error) throw line;
    if (line === "End") return;
    await Promise.resolve();
    yield line;
  }
  await new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => {
      reject(new UnavailableError("aborted"));
    });
  });
}

describe("a Reflector", () => {
  let timing: ManualTiming;
  let script: Script;
  let ended: AbortController;
  let told: string[];
  beforeEach(() => {
    timing = new ManualTiming();
    script = new Script();
    ended = new AbortController();
    told = [];
  });
  afterEach(() => {
    ended.abort();
  });

  function start(isOptional = false, mayBeForbidden = false): Reflector {
    const tell = (what: string) => () => {
      told.push(what);
    };
    const reflector = new Reflector({
      kind: kinds.Service,
      selection: {},
      reader: script,
      timing,
      isOptional,
      mayBeForbidden,
      events: {
        changed: tell("changed"),
        listing: (reason) => told.push(`listing ${reason}`),
        failed: tell("failed"),
        recovered: tell("recovered"),
        received: () => undefined,
      },
    });
    void reflector.run(ended.signal);
    return reflector;
  }
  const names = (reflector: Reflector): string[] => [...reflector.objects().keys()];

  it("is not synced, and shows nothing, before the last page of the first list", async () => {
    script.lists.push(
      new UnavailableError("down"),
      { ...page("5", item("a", "1")), continue: "c" },
      page("5", item("b", "2")),
    );
    const reflector = start();
    await timing.pass(0);
    expect(reflector.isSynced).to.equal(false);
    await timing.pass(1000);
    expect(reflector.isSynced).to.equal(true);
    expect(names(reflector)).to.deep.equal(["n/a", "n/b"]);
    expect(script.calls).to.deep.equal(["list", "list", "list from c", "watch from 5"]);
  });

  it("lists without pages when a page expires", async () => {
    script.lists.push(
      { ...page("5", item("a", "1")), continue: "c" },
      new RefusedError("gone", { status: 410 }),
      page("6", item("z", "6")),
    );
    const reflector = start();
    await timing.pass(0);
    expect(names(reflector)).to.deep.equal(["n/z"]);
    expect(script.calls).to.deep.equal(["list", "list from c", "list whole", "watch from 6"]);
  });

  it("watches again from the last version when a stream ends or breaks, and never empties what it holds", async () => {
    script.lists.push(page("5", item("a", "1")));
    script.watches.push(
      [event("ADDED", "b", "7"), new UnavailableError("reset")],
      new UnavailableError("refused"),
      [],
    );
    const reflector = start();
    await timing.pass(10_000);
    expect(script.calls).to.deep.equal(["list", "watch from 5", "watch from 7", "watch from 7"]);
    expect(names(reflector)).to.deep.equal(["n/a", "n/b"]);
    expect(told.filter((what) => what !== "changed")).to.deep.equal([
      "listing First",
      "failed",
      "failed",
      "recovered",
    ]);
  });

  it("lists once when the version expired, as a status or as an event, and keeps objects that are the same", async () => {
    for (const expired of [
      new RefusedError("gone", { status: 410 }),
      [{ type: "ERROR", object: { code: 410 } }],
    ]) {
      timing = new ManualTiming();
      script = new Script();
      script.lists.push(page("5", item("a", "1"), item("b", "2")), page("9", item("a", "1")));
      script.watches.push(expired);
      const reflector = start();
      await timing.pass(0);
      expect(script.calls).to.deep.equal(["list", "watch from 5", "list", "watch from 9"]);
      expect(names(reflector)).to.deep.equal(["n/a"]);
    }
    expect(told).not.to.include("failed");
  });

  it("lists anew after a line that it can't read, and after any other error event, not in a hurry", async () => {
    script.lists.push(page("5"), page("6"), page("7", item("a", "7")));
    script.watches.push([new MalformedLineError("bad")], [{ type: "ERROR", object: { code: 500 } }]);
    const reflector = start();
    await timing.pass(0);
    expect(script.calls).to.deep.equal(["list", "watch from 5"]);
    await timing.pass(2000);
    expect(script.calls).to.deep.equal([
      "list",
      "watch from 5",
      "list",
      "watch from 6",
      "list",
      "watch from 7",
    ]);
    expect(names(reflector)).to.deep.equal(["n/a"]);
  });

  it("takes a stream for dead that is silent for longer than bookmarks are apart", async () => {
    script.lists.push(page("5"));
    const bookmark = { type: "BOOKMARK", object: { kind: "Service", metadata: { resourceVersion: "8" } } };
    script.watches.push([bookmark]);
    start();
    await timing.pass(74_000);
    expect(script.calls).to.have.length(2);
    await timing.pass(17_000);
    expect(script.calls).to.deep.equal(["list", "watch from 5", "watch from 8"]);
  });

  it("refuses a list that is older than what it has seen, but not for ever", async () => {
    script.lists.push(
      page("5", item("a", "1")),
      page("3"),
      page("3"),
      page("3"),
      page("3", item("old", "2")),
    );
    script.watches.push([event("ADDED", "b", "9"), { type: "ERROR", object: { code: 410 } }]);
    const reflector = start();
    await timing.pass(500);
    expect(names(reflector)).to.deep.equal(["n/a", "n/b"]);
    await timing.pass(20_000);
    expect(names(reflector)).to.deep.equal(["n/old"]);
  });

  it("waits longer after each failure, up to a limit, and as long as the server asks", async () => {
    start();
    await timing.pass(60_000);
    const tries = script.calls.length;
    expect(tries).to.be.within(20, 40);
    script.lists.push(new UnavailableError("slow down", { status: 429, retryAfterMs: 20_000 }));
    await timing.pass(3000);
    const asked = script.calls.length;
    await timing.pass(15_000);
    expect(script.calls.length).to.equal(asked);
  });

  it("counts as synced without its CRD only if it is optional", async () => {
    const missing = new RefusedError("no such kind", { status: 404 });
    script.lists.push(missing, missing);
    expect(start(true).isSynced || (await timing.pass(0), true)).to.equal(true);
    const required = start();
    await timing.pass(0);
    expect(required.isSynced).to.equal(false);
    expect(required.isFailing).to.equal(true);
  });

  it("asks before it lists what may be forbidden, asks again now and then, and lists once it may", async () => {
    script.isAllowed = false;
    const reflector = start(false, true);
    await timing.pass(0);
    expect(reflector.isSynced).to.equal(true);
    expect(script.calls).to.deep.equal(["may list"]);
    await timing.pass(10_000);
    expect(script.calls).to.deep.equal(["may list", "may list"]);
    script.isAllowed = true;
    script.lists.push(page("5", item("a", "1")));
    await timing.pass(10_000);
    expect(script.calls.slice(2)).to.deep.equal(["may list", "list", "watch from 5"]);
    expect(names(reflector)).to.deep.equal(["n/a"]);
  });
});

describe("HoldOff", () => {
  it("passes the first change on at once, and gathers those that follow until they pause or for so long", async () => {
    const timing = new ManualTiming();
    const runs: number[] = [];
    const holdOff = new HoldOff({ holdOffMs: 5, longestMs: 50, timing, run: () => runs.push(timing.now()) });
    holdOff.touch();
    await timing.pass(0);
    expect(runs).to.deep.equal([0]);
    for (let ms = 0; ms < 120; ms += 2) {
      await timing.pass(2);
      holdOff.touch();
    }
    await timing.pass(100);
    expect(runs.slice(0, 3)).to.deep.equal([0, 52, 102]);
    expect(runs).to.have.length(4);
    holdOff.touch();
    await timing.pass(0);
    expect(runs.at(-1)).to.equal(timing.now());
  });
});
