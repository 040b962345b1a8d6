/** What holds for every world, however odd: the pure stages are run over random ones. MCWAN_FUZZ=n runs n times as many. */
import { expect } from "chai";
import fc from "fast-check";
import { Planner } from "../../src/apply/planner.ts";
import type { Plan } from "../../src/apply/planner.ts";
import type { World } from "../../src/model/world.ts";
import { worldFrom } from "../../src/reconcile/world-from-yaml.ts";
import type { WorldFile } from "../../src/reconcile/world-from-yaml.ts";
import {
  dangling,
  forbiddenRefs,
  forbiddenWays,
  idleClusters,
  sharedEndpoints,
  strayHosts,
} from "./invariants.ts";
import { strayClients } from "./clients.ts";
import { ModelApiServer } from "./model-api-server.ts";
import { createPass, printOutcome, reversed } from "./pass.ts";
import type { Outcome } from "./pass.ts";
import { storyArbitrary, tell } from "./stories.ts";
import { worldFile } from "./worlds.ts";

const runsFactor = Number(process.env["MCWAN_FUZZ"] ?? 1);
const runs = (count: number) => ({ numRuns: count * runsFactor });
const nowIso = "2026-06-01T00:00:00Z";

/** Finds worlds of which something is wrong. */
function expectNone(wrong: (outcome: Outcome) => readonly string[]): void {
  fc.assert(
    fc.property(worldFile, (file) => {
      expect(wrong(createPass()(worldFrom(file)))).to.deep.equal([]);
    }),
    runs(30),
  );
}

const planned = (world: World, pass: (world: World) => Outcome, planner: Planner): Plan =>
  planner.plan(pass(world), nowIso);

/** Writes until nothing more is to be written; gives the world then. */
function settled(file: WorldFile): World {
  const server = new ModelApiServer();
  const pass = createPass();
  const planner = new Planner();
  let world = worldFrom(file);
  for (let round = 0; round < 8; round++) {
    const { writes } = planned(world, pass, planner);
    if (writes.size === 0) return world;
    world = server.carryOut(world, writes.values());
  }
  const { writes } = planned(world, pass, planner);
  expect([...writes.values()].map((write) => (write.type === "Object" ? write.change : write))).to.deep.equal(
    [],
  );
  return world;
}

describe("in every world, what the pure stages make of it", function () {
  this.timeout(120_000 * runsFactor);

  it("is never an exception", () => {
    expectNone((outcome) => (printOutcome(outcome) === "" ? ["nothing at all"] : []));
  });

  it("is the same to the byte in whatever order things come", () => {
    fc.assert(
      fc.property(worldFile, (file) => {
        expect(printOutcome(createPass()(worldFrom(reversed(file))))).to.equal(
          printOutcome(createPass()(worldFrom(file))),
        );
      }),
      runs(20),
    );
  });

  it("leads to no service that is not exported, and to none that the route's owner may not name", () => {
    expectNone((outcome) => [...forbiddenWays(outcome), ...forbiddenRefs(outcome)]);
  });

  it("has no cluster that nothing leads to", () => {
    expectNone(idleClusters);
  });

  it("has endpoints of its own for every cluster", () => {
    expectNone(sharedEndpoints);
  });

  it("lets no service answer for the name of another at a shared pool", () => {
    expectNone(strayHosts);
  });

  it("takes no address for a client but that of the one Pod that has it", () => {
    expectNone(strayClients);
  });

  it("names no table, cluster, endpoints or secret that is not there", () => {
    expectNone(dangling);
  });

  it("does not depend on the worlds before", () => {
    fc.assert(
      fc.property(storyArbitrary, (story) => {
        const pass = createPass();
        const outcomes = tell(story).map(pass);
        const last = outcomes.at(-1);
        if (last === undefined) return;
        expect(printOutcome(last)).to.equal(printOutcome(createPass()(last.world)));
      }),
      runs(20),
    );
  });

  it("is written within a few rounds, then never again, and a restart writes nothing", () => {
    fc.assert(
      fc.property(worldFile, (file) => {
        const world = settled(file);
        const { writes } = planned({ ...world, listening: new Map() }, createPass(), new Planner());
        expect([...writes.keys()]).to.deep.equal([]);
      }),
      runs(20),
    );
  });
});
