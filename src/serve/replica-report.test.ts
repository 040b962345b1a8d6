import { expect } from "chai";
import fc from "fast-check";
import type { RefusedRoute } from "../model/envoy-config.ts";
import { departedReport, mergeReports } from "./replica-report.ts";
import type { GatewayReport, Report } from "./replica-report.ts";

const of = (...acknowledgements: Partial<GatewayReport>[]): Report => ({
  acknowledgements: acknowledgements.map((one) => ({ gateway: "ns/g", generation: 1, ...one })),
  listening: {},
  refusedRoutes: [],
});
const merged = (...reports: Report[]): unknown => mergeReports(reports).acknowledgements.get("ns/g");

describe("reports of replicas", () => {
  it("count an Envoy that serves more than one that refused the same or an older generation", () => {
    expect(merged(of({ programmed: 1 }), of({ refused: "no" }))).to.deep.equal({ programmed: 1 });
    expect(merged(of({ programmed: 2, generation: 2 }), of({ refused: "no" }))).to.deep.equal({
      programmed: 2,
    });
  });

  it("tell both, what is served and that something newer was refused", () => {
    const refused = of({ refused: "no", generation: 2 });
    expect(merged(of({ programmed: 1 }), refused)).to.deep.equal({ programmed: 1, refused: "no" });
    expect(merged(refused)).to.deep.equal({ refused: "no" });
    expect(merged(of({ refused: "old" }), refused)).to.deep.equal({ refused: "no" });
  });

  it("say nothing of a Gateway that nobody has spoken of", () => {
    expect(merged(of())).to.equal(undefined);
    expect(mergeReports([]).listening.size).to.equal(0);
  });

  it("take the ports from where an Envoy is connected, else from where it was last", () => {
    const there: Report = { ...of(), listening: { pod: { ports: [1], isConnected: true } } };
    const gone = departedReport({
      ...of(),
      listening: { pod: { ports: [1, 2], isConnected: true } },
    });
    expect(mergeReports([gone]).listening.get("pod")).to.deep.equal(new Set([1, 2]));
    expect(mergeReports([gone, there]).listening.get("pod")).to.deep.equal(new Set([1]));
    expect(departedReport(of({ programmed: 1 })).acknowledgements).to.deep.equal([]);
  });

  it("tell each refused route once per fleet, with words where somebody heard them, and of nobody who is gone", () => {
    const refused = (reason: string, fleet = "f"): RefusedRoute => ({
      fleet,
      kind: "HTTPRoute",
      key: "n/r",
      reason,
    });
    const report = (...refusedRoutes: RefusedRoute[]): Report => ({ ...of(), refusedRoutes });
    const reports = [
      report(refused("")),
      report(refused("no"), refused("no", "e")),
      report(refused("maybe")),
    ];
    for (const some of [reports, reports.toReversed()])
      expect(mergeReports(some).refusedRoutes).to.deep.equal([refused("no", "e"), refused("no")]);
    expect(departedReport(report(refused("no"))).refusedRoutes).to.deep.equal([]);
  });

  it("give the same result in any order", () => {
    const entry = fc.record({
      generation: fc.nat(3),
      programmed: fc.option(fc.nat(3), { nil: undefined }),
      refused: fc.option(fc.constantFrom("x", "y"), { nil: undefined }),
    });
    const plain = ({ programmed, refused, generation }: Record<string, unknown>): Partial<GatewayReport> =>
      JSON.parse(JSON.stringify({ programmed, refused, generation })) as Partial<GatewayReport>;
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 4 }), (entries) => {
        const reports = entries.map((one) => of(plain(one)));
        expect(merged(...reports.toReversed())).to.deep.equal(merged(...reports));
      }),
    );
  });
});
