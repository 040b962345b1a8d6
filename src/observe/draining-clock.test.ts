import { expect } from "chai";
import type { GatewayAdvertisement } from "../api/gateway-advertisement.ts";
import type { Timing } from "../model/timing.ts";
import { DrainingClock } from "./draining-clock.ts";

describe("The clock of draining ports", () => {
  it("tells each that was seen for so long, by the monotonic clock alone, and wakes for the next", () => {
    let nowMs = 0;
    const due: number[] = [];
    const timing: Timing = {
      now: () => nowMs,
      // The time of day jumps: nothing depends on it.
      today: () => 1e12 + Math.sin(nowMs) * 1e10,
      random: () => 0,
      after: (delayMs) => {
        due.push(nowMs + delayMs);
        return () => undefined;
      },
    };
    const clock = new DrainingClock({ timing, limitMs: 600_000, wake: () => undefined });
    const pool = (...ports: number[]): GatewayAdvertisement =>
      ({
        spec: { draining: ports.map((port) => ({ policy: "high", port })) },
      }) as unknown as GatewayAdvertisement;
    expect([...clock.overdue(undefined)]).to.deep.equal([]);
    expect([...clock.overdue(pool(1))]).to.deep.equal([]);
    nowMs = 300_000;
    const both = pool(1, 2);
    expect([...clock.overdue(both)]).to.deep.equal([]);
    nowMs = 600_000;
    const overdue = clock.overdue(both);
    expect([...overdue]).to.deep.equal(["high:1"]);
    nowMs = 600_001;
    expect(clock.overdue(both), "the same while it is the same").to.equal(overdue);
    expect(due).to.deep.equal([600_000, 600_000, 900_000]);
    expect([...clock.overdue(pool(2))]).to.deep.equal([]);
    nowMs = 900_000;
    expect([...clock.overdue(pool(2))]).to.deep.equal(["high:2"]);
  });
});
