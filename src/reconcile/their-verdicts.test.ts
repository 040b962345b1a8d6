import { expect } from "chai";
import type { ObjectTypes } from "../model/kinds.ts";
import type { World } from "../model/world.ts";
import { theirVerdicts } from "./their-verdicts.ts";

type HTTPRoute = ObjectTypes["HTTPRoute"];
const metadata = { name: "payment-clusterset", namespace: "secure", generation: 4 };
const wanted = { metadata } as HTTPRoute;

function verdicts(standing: object | undefined, controllerName: string | undefined): unknown {
  const world = {
    home: { HTTPRoute: new Map(standing === undefined ? [] : [["secure/payment-clusterset", standing]]) },
  } as unknown as World;
  const other = {
    controllerName,
    homeBackends: () => ({ ready: 0, total: 0 }),
    ofExport: () => undefined,
    ofImport: () => undefined,
    statuses: [],
  };
  const { refusals, unresolved } = theirVerdicts([wanted], other, world);
  return [refusals.map(({ reason }) => reason), unresolved.map(({ reason }) => reason)];
}

describe("what another implementation says of our routes", () => {
  const said = (type: string, status: string, generation = 4): object => ({
    type,
    status,
    reason: `${type}${status}`,
    message: "",
    observedGeneration: generation,
  });
  const parent = (controllerName: string, ...conditions: object[]): object => ({
    controllerName,
    conditions,
  });
  const route = (...parents: object[]): object => ({ metadata, status: { parents } });

  it("is told where it is bad, of the route that stands, and its own", () => {
    const bad = route(
      parent(
        "theirs",
        said("Accepted", "False"),
        said("PartiallyInvalid", "True"),
        said("ResolvedRefs", "False"),
      ),
      parent("somebody", said("Accepted", "False")),
    );
    expect(verdicts(bad, "theirs")).to.deep.equal([
      ["AcceptedFalse", "PartiallyInvalidTrue"],
      ["ResolvedRefsFalse"],
    ]);
  });

  it("is nothing where all is well, of an older route, of one that does not stand, or while nobody is known", () => {
    const good = route(
      parent(
        "theirs",
        said("Accepted", "True"),
        said("PartiallyInvalid", "False"),
        said("ResolvedRefs", "True"),
      ),
    );
    const old = route(parent("theirs", said("Accepted", "False", 3)));
    for (const [standing, name] of [
      [good, "theirs"],
      [old, "theirs"],
      [{ metadata }, "theirs"],
      [undefined, "theirs"],
      [route(parent("theirs", said("Accepted", "False"))), undefined],
    ] as const)
      expect(verdicts(standing, name)).to.deep.equal([[], []]);
  });
});
