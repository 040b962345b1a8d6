import { expect } from "chai";
import fc from "fast-check";
import { create } from "@bufbuild/protobuf";
import { RouteConfigurationSchema } from "../envoy/envoy/config/route/v3/route_pb.ts";
import { VirtualHostSchema } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { routeResourceOf } from "./resource.ts";
import type { Resource } from "./resource.ts";
import { maxSteps, TableSift } from "./table-sift.ts";

/** How many times as many runs as in an ordinary test. */
const runsFactor = Number(process.env["MCWAN_FUZZ"] ?? 1);

/** What an Envoy has against a virtual host: its routes, or even its names. */
type Fault = "none" | "routes" | "names";

/** Virtual hosts by name: their revision and what is bad about them. */
type Hosts = Readonly<Record<string, { readonly revision: number; readonly fault: Fault }>>;

const head = create(RouteConfigurationSchema, { name: "table" });
const made = new Map<string, VirtualHost>();

function virtualHost(name: string, revision: number, fault: Fault): VirtualHost {
  const content = `${name} ${revision} ${fault}`;
  let host = made.get(content);
  if (host === undefined) {
    const domains = fault === "names" ? [name, "bad*name"] : [name];
    const action = { case: "directResponse" as const, value: { status: 200 } };
    const match = { pathSpecifier: { case: "prefix" as const, value: "/" } };
    host = create(VirtualHostSchema, { name, domains, routes: [{ name: content, match, action }] });
    made.set(content, host);
  }
  return host;
}

function tableOf(hosts: Hosts): Resource {
  const virtualHosts = Object.entries(hosts).map(([name, { revision, fault }]) =>
    virtualHost(name, revision, fault),
  );
  return routeResourceOf("table", { head, virtualHosts });
}

/** An Envoy and its server, as far as one table goes. */
class Pair {
  sift: TableSift;
  held: Resource | undefined;
  pushes = 0;
  refusals = 0;
  readonly proven: Set<string>;

  constructor(proven = new Set<string>()) {
    this.proven = proven;
    this.sift = new TableSift(proven);
  }

  /** What Envoy says of a table: bad routes, bad names, a name twice. */
  static fault({ table }: Resource): string | undefined {
    const hosts = table?.hosts ?? [];
    const bad = hosts.find(
      ({ source }) =>
        source.routes.some(({ name }) => name.endsWith(" routes")) || source.domains.includes("bad*name"),
    );
    if (bad !== undefined) return `bad: ${bad.source.name}`;
    const domains = hosts.flatMap(({ source }) => source.domains);
    return new Set(domains).size === domains.length ? undefined : "a name twice";
  }

  /** One message each way. True if there was anything to say. */
  step(whole: Resource): boolean {
    const wanted = this.sift.wanted(whole);
    if (this.sift.holds(wanted)) {
      if (!this.sift.isSearching) return false;
      this.sift.skip();
      return true;
    }
    this.pushes += 1;
    const fault = Pair.fault(wanted);
    if (fault === undefined) {
      this.held = wanted;
      this.sift.accepted(wanted);
      return true;
    }
    this.refusals += 1;
    return this.sift.refused(wanted, fault);
  }

  settle(whole: Resource): void {
    for (let steps = 0; this.step(whole); steps += 1) if (steps > 10_000) throw new Error("It never ends.");
  }

  /** How each name is answered: revision of its routes, closed, or nothing. */
  answers(): Record<string, string> {
    return Object.fromEntries(
      (this.held?.table?.hosts ?? []).map(({ source }) => [
        source.name,
        source.routes[0]?.name === "refused" ? "closed" : (source.routes[0]?.name ?? ""),
      ]),
    );
  }
}

function expected(hosts: Hosts): Record<string, string> {
  return Object.fromEntries(
    Object.entries(hosts).flatMap(([name, { revision, fault }]) => {
      if (fault === "names") return [];
      return [[name, fault === "routes" ? "closed" : `${name} ${revision} none`] as const];
    }),
  );
}

const many = (count: number, bad: readonly number[], revision = 1): Hosts =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `h${index}`,
      { revision, fault: bad.includes(index) ? ("routes" as const) : ("none" as const) },
    ]),
  );

const hostsArbitrary: fc.Arbitrary<Hosts> = fc.dictionary(
  fc.constantFrom(...Array.from({ length: 12 }, (_, index) => `h${index}`)),
  fc.record({
    revision: fc.nat(2),
    fault: fc.oneof(
      { weight: 6, arbitrary: fc.constant<Fault>("none") },
      { weight: 1, arbitrary: fc.constant<Fault>("routes") },
      { weight: 1, arbitrary: fc.constant<Fault>("names") },
    ),
  }),
);

describe("a route table that an Envoy refuses", function () {
  this.timeout(60_000 * runsFactor);

  it("is served without its bad virtual hosts, whatever they are and however it changes meanwhile (X6)", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(hostsArbitrary, fc.nat(6)), { minLength: 1, maxLength: 6 }), (tables) => {
        const pair = new Pair();
        for (const [hosts, steps] of tables) {
          const whole = tableOf(hosts);
          for (let step = 0; step < steps; step += 1) pair.step(whole);
        }
        const [last] = tables.at(-1) ?? [{}];
        pair.settle(tableOf(last));
        expect(pair.answers()).to.deep.equal(expected(last));
      }),
      { numRuns: 1_000 * runsFactor },
    );
  });

  it("never takes a good virtual host away while it looks for the bad ones", () => {
    fc.assert(
      fc.property(hostsArbitrary, hostsArbitrary, (before, after) => {
        const pair = new Pair();
        const good = Object.fromEntries(Object.entries(before).filter(([, { fault }]) => fault === "none"));
        pair.settle(tableOf(good));
        const whole = tableOf(after);
        while (pair.step(whole)) {
          const answers = pair.answers();
          for (const [name, { revision, fault }] of Object.entries(after)) {
            if (fault !== "none" || !(name in good)) continue;
            expect([`${name} ${good[name]?.revision ?? 0} none`, `${name} ${revision} none`]).to.include(
              answers[name],
            );
          }
        }
      }),
      { numRuns: 1_000 * runsFactor },
    );
  });

  it("costs few tries: one bad among a thousand new ones, one that changed among a thousand", () => {
    const cold = new Pair();
    cold.settle(tableOf(many(1_000, [700])));
    expect(cold.answers()["h700"]).to.equal("closed");
    expect(cold.refusals).to.be.below(14);
    expect(cold.pushes).to.be.below(28);

    const pair = new Pair();
    pair.settle(tableOf(many(1_000, [])));
    pair.pushes = 0;
    const changed = { ...many(1_000, []), h700: { revision: 2, fault: "routes" as const } };
    pair.settle(tableOf(changed));
    expect(pair.answers()["h700"]).to.equal("closed");
    expect([pair.pushes, pair.refusals]).to.deep.equal([2, 1]);
    expect(
      pair.sift.refusals(tableOf(changed)).map(({ host, reason }) => [host.source.name, reason]),
    ).to.deep.equal([["h700", "bad: h700"]]);
  });

  it("takes back a virtual host at once when its content changes", () => {
    const pair = new Pair();
    pair.settle(tableOf(many(10, [3])));
    pair.pushes = 0;
    pair.settle(tableOf({ ...many(10, [3]), h3: { revision: 2, fault: "none" } }));
    expect(pair.pushes).to.equal(1);
    expect(pair.answers()["h3"]).to.equal("h3 2 none");
    expect(pair.sift.refusals(tableOf(many(10, [])))).to.deep.equal([]);
  });

  it("is not sought nor sent again when the Envoy comes back to another replica (X12, X13)", () => {
    const pair = new Pair();
    const whole = tableOf({ ...many(10, [3]), h5: { revision: 1, fault: "names" } });
    pair.settle(whole);
    const version = pair.held?.version ?? "";
    expect(version.length).to.be.below(64);
    pair.sift = new TableSift(new Set(), version);
    pair.pushes = 0;
    pair.settle(whole);
    expect(pair.pushes).to.equal(0);
    expect(pair.sift.refusals(whole).length).to.equal(2);
    // What comes next is sought among what is new alone.
    pair.settle(
      tableOf({
        ...many(10, [3]),
        h5: { revision: 1, fault: "names" },
        h7: { revision: 2, fault: "routes" },
      }),
    );
    expect([pair.pushes, pair.answers()["h7"], pair.answers()["h6"]]).to.deep.equal([
      2,
      "closed",
      "h6 1 none",
    ]);
  });

  it("is sought only among what no other Envoy has accepted, unless that was wrong", () => {
    const proven = new Set<string>();
    const first = new Pair(proven);
    first.settle(tableOf(many(1_000, [7, 8])));
    const second = new Pair(proven);
    second.settle(tableOf(many(1_000, [7, 8])));
    expect(second.answers()).to.deep.equal(first.answers());
    expect(second.refusals).to.be.below(4);
    // An Envoy that accepts everything misleads nobody for long.
    for (const { id } of tableOf(many(1_000, [7])).table?.hosts ?? []) proven.add(id);
    const third = new Pair(proven);
    third.settle(tableOf(many(1_000, [7])));
    expect(third.answers()).to.deep.equal(expected(many(1_000, [7])));
  });

  it("is refused as a whole when it isn't the virtual hosts, and when there is no end of bad ones", () => {
    const pair = new Pair();
    pair.settle(tableOf(many(4, [])));
    const answers = pair.answers();
    const other = { ...tableOf(many(4, [])), version: "other head" };
    expect(pair.sift.refused(other, "bad head")).to.equal(false);

    let steps = 0;
    const all = tableOf(many(1_000, [], 2));
    for (let isOn = true; isOn; steps += 1) isOn = pair.sift.refused(pair.sift.wanted(all), "no");
    expect(steps).to.be.below(maxSteps + 2);
    expect(pair.answers()).to.deep.equal(answers);
    expect(pair.sift.isSearching).to.equal(false);
  });

  it("takes notes from a version only as it would write them", () => {
    const whole = tableOf(many(3, []));
    for (const version of ["!", "!x", "!c", `!c${"g".repeat(12)}`, `!${"c".repeat(100_000)}`, "!__proto__"])
      expect(new TableSift(new Set(), version).wanted(whole)).to.equal(whole);
  });
});
