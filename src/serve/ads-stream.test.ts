import { expect } from "chai";
import fc from "fast-check";
import { xdsType } from "../model/xds-types.ts";
import { movesArbitrary, play, Rig, smallArbitrary } from "../../test/serve/stream-rig.ts";
import type { Small } from "../../test/serve/stream-rig.ts";
import type { Meaning } from "../../test/serve/model-envoy.ts";
import { gateTimeoutMs, isWaiting } from "./stream-response.ts";

const { secret, cluster, clusterLoadAssignment, listener, routeConfiguration } = xdsType;

/** How many times as many runs as in an ordinary test. */
const runsFactor = Number(process.env["MCWAN_FUZZ"] ?? 1);

/** What the Envoy should hold in the end. */
function expectConverged(rig: Rig): void {
  for (const type of [cluster, listener] as const) {
    const wanted = [...rig.snapshot![type]].map(([name, { version }]) => [name, version] as const);
    expect(Object.fromEntries(rig.envoy.held[type]), type).to.deep.equal(Object.fromEntries(wanted));
  }
  for (const type of [secret, clusterLoadAssignment, routeConfiguration] as const) {
    for (const [name, version] of rig.envoy.held[type])
      expect(version, name).to.equal(rig.snapshot![type].get(name)?.version);
  }
}

describe("an ADS stream", function () {
  this.timeout(300_000 * runsFactor);

  it("keeps make before break, resends nothing and converges without any time-out, whatever comes when (X1, X2, X16)", () => {
    fc.assert(
      fc.property(movesArbitrary(smallArbitrary(fc.constant(false))), (all) => {
        const rig = new Rig();
        play(rig, all, () => {
          expect(rig.envoy.faults).to.deep.equal([]);
        });
        rig.settle();
        expect(rig.envoy.faults).to.deep.equal([]);
        if (rig.snapshot === undefined) {
          expect(rig.sent).to.deep.equal([]);
          return;
        }
        expectConverged(rig);
        expect([...rig.envoy.warming]).to.deep.equal([]);
        expect(rig.envoy.resends, "resends").to.equal(0);
        expect(isWaiting(rig.state)).to.equal(false);
      }),
      { numRuns: 800 * runsFactor },
    );
  });

  const good = smallArbitrary(fc.constant(false));
  const badness = fc.oneof(
    { weight: 4, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  );
  const mend = (rig: Rig, last: Small): void => {
    // A gate that an Envoy never opens gives way after a while; one snapshot may wait behind another.
    for (let round = 0; round < 4; round += 1) {
      rig.tick(gateTimeoutMs);
      rig.settle();
    }
    for (const type of rig.snapshot === undefined ? [] : ([cluster, listener] as const)) {
      for (const [name, { version }] of rig.snapshot![type]) {
        const isGood = (JSON.parse(version) as Meaning).isBad !== true;
        if (isGood) expect(rig.envoy.held[type].get(name), name).to.equal(version);
      }
    }
    // So it is with tables, which are closed where they lead to what the Envoy refuses.
    for (const [name, version] of rig.envoy.held[routeConfiguration]) {
      const wanted = rig.snapshot?.[routeConfiguration].get(name);
      if (wanted === undefined) continue;
      const meaning = JSON.parse(wanted.version) as Meaning;
      if (meaning.isBad === true) continue;
      const held = JSON.parse(version) as Meaning;
      expect(held.revision).to.equal(meaning.revision);
      expect(meaning.names).to.include.members([...(held.names ?? [])]);
      const isGood = (each: string): boolean =>
        (JSON.parse(rig.snapshot?.[cluster].get(each)?.version ?? "{}") as Meaning).isBad !== true;
      expect(held.names).to.include.members(meaning.names?.filter(isGood) ?? []);
    }
    rig.publish(last);
    for (let round = 0; round < 4; round += 1) {
      rig.settle();
      rig.tick(gateTimeoutMs);
    }
    rig.settle();
    expectConverged(rig);
  };

  it("keeps make before break whatever is refused, lets nothing bad keep the good away, and recovers when it is mended (X1, X2, X5, X6)", () => {
    fc.assert(
      fc.property(movesArbitrary(smallArbitrary(badness, badness), gateTimeoutMs), good, (all, last) => {
        const rig = new Rig();
        play(rig, all, () => {
          expect(rig.envoy.faults).to.deep.equal([]);
        });
        rig.settle();
        mend(rig, last);
        expect(rig.envoy.faults).to.deep.equal([]);
      }),
      { numRuns: 300 * runsFactor },
    );
  });
});
