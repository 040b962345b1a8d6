import { setImmediate as soon } from "node:timers/promises";
import { expect } from "chai";
import type { Timing } from "../model/timing.ts";
import type { DesiredObject } from "../model/desired.ts";
import { pauseMs } from "./pace.ts";
import { WriteQueue, type QueuedWrite } from "./write-queue.ts";

/** A clock that stands until it is moved. */
class Clock implements Timing {
  #nowMs = 0;
  #timers: { readonly dueMs: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  today(): number {
    return this.#nowMs;
  }

  random(): number {
    return 0;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  async pass(ms: number): Promise<void> {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ dueMs }) => dueMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ dueMs }) => dueMs > this.#nowMs);
    for (const { callback } of due) callback();
    await settled();
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await soon();
}

interface Started {
  readonly clock: Clock;
  readonly written: string[];
  /** Wants this state of the object, as the next World would. */
  readonly want: (intent: string, asked?: number) => Promise<void>;
}

const ended: (() => Promise<void>)[] = [];

function start(): Started {
  const clock = new Clock();
  const written: string[] = [];
  let version = 0;
  const queue = new WriteQueue<QueuedWrite>({
    concurrency: 4,
    timing: clock,
    write: (_key, { intent }) => {
      written.push(intent);
      version += 1;
      return Promise.resolve();
    },
    failed: () => undefined,
    contested: () => undefined,
  });
  ended.push(() => queue.stop());
  const want = async (intent: string, asked?: number): Promise<void> => {
    const item = { intent, base: String(version), ...(asked !== undefined && { pauseMs: asked }) };
    queue.set(new Map([["a", item]]));
    await settled();
  };
  return { clock, written, want };
}

describe("the queue of writes", () => {
  afterEach(async () => {
    for (const end of ended.splice(0)) await end();
  });

  it("writes what asks for no pause at once", async () => {
    const { written, want } = start();
    for (const intent of ["1", "2", "3"]) await want(intent);
    expect(written).to.deep.equal(["1", "2", "3"]);
  });

  it("writes an object that asks for a pause at most so often, and then the newest state of it", async () => {
    const { clock, written, want } = start();
    for (let ms = 0; ms < 1000; ms += 20) {
      await want(String(ms), 200);
      await clock.pass(20);
    }
    expect(written.length).to.be.within(4, 6);
    await clock.pass(200);
    expect(written.at(-1)).to.equal("980");
  });

  it("does not let what is urgent wait for the pause of an earlier write", async () => {
    const { clock, written, want } = start();
    await want("5 ready", 200);
    await want("4 ready", 200);
    expect(written).to.deep.equal(["5 ready"]);
    await clock.pass(10);
    await want("none ready", 0);
    expect(written).to.deep.equal(["5 ready", "none ready"]);
    await clock.pass(1000);
    expect(written, "what was waiting is outdated").to.deep.equal(["5 ready", "none ready"]);
  });
});

describe("the queue of writes, with urgent ones", () => {
  /** A queue whose writes end when they are told to; gives what runs, in the order of its beginning. */
  function startHeld(): { queue: WriteQueue<QueuedWrite>; running: Map<string, () => void> } {
    const running = new Map<string, () => void>();
    const queue = new WriteQueue<QueuedWrite>({
      concurrency: 4,
      timing: new Clock(),
      write: (key) =>
        new Promise((resolve) => {
          running.set(key, () => {
            running.delete(key);
            resolve();
          });
        }),
      failed: () => undefined,
      contested: () => undefined,
    });
    ended.push(async () => {
      const stopped = queue.stop();
      for (let turn = 0; turn < 20; turn++) {
        for (const end of running.values()) end();
        await settled();
      }
      await stopped;
    });
    return { queue, running };
  }

  const some = (names: string, isUrgent: boolean): [string, QueuedWrite][] =>
    names.split(" ").map((name) => [name, { intent: name, base: "", isUrgent }]);

  afterEach(async () => {
    for (const end of ended.splice(0)) await end();
  });

  it("writes the others one at a time while urgent ones run, and many at once when they have ended", async () => {
    const { queue, running } = startHeld();
    queue.set(new Map([...some("A B", true), ...some("c d e f g", false)]));
    await settled();
    expect([...running.keys()]).to.deep.equal(["A", "B", "c"]);
    running.get("A")?.();
    running.get("c")?.();
    await settled();
    expect([...running.keys()], "none of the others starves").to.deep.equal(["B", "d"]);
    running.get("B")?.();
    await settled();
    expect([...running.keys()]).to.deep.equal(["d", "e", "f", "g"]);
  });
});

describe("the pace of writes", () => {
  const advertisement = (...counts: number[]): DesiredObject => ({
    kind: "ServiceAdvertisement",
    object: {
      apiVersion: "mc-wan.l7mp.io/v1alpha1",
      kind: "ServiceAdvertisement",
      metadata: { namespace: "shop", name: "cart" },
      spec: { readyBackends: counts.map((count) => ({ zone: "", count })) },
    },
  });

  it("is five a second for a ServiceAdvertisement whose count changes, whatever the zones", () => {
    expect(pauseMs(advertisement(2, 1), advertisement(2).object)).to.equal(200);
  });

  it("is at once for the first one, for the last ready backend that goes, and for the first that comes", () => {
    expect(pauseMs(advertisement(2), undefined)).to.equal(0);
    expect(pauseMs(advertisement(0, 0), advertisement(2).object)).to.equal(0);
    expect(pauseMs(advertisement(), advertisement(2).object)).to.equal(0);
    expect(pauseMs(advertisement(2), advertisement(0).object)).to.equal(0);
  });

  it("is at once for every other kind", () => {
    const slice: DesiredObject = { ...advertisement(3), kind: "EndpointSlice" };
    expect(pauseMs(slice, advertisement(2).object)).to.equal(0);
  });
});
