import { expect } from "chai";
import fc from "fast-check";
import { kinds } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { mergeList, readObject, readWatchLine } from "./watch-event.ts";

const service = (name: string, resourceVersion: string, more: object = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "n", uid: name, resourceVersion, ...more },
});
const line = (type: string, object: object): unknown => ({ type, object });

describe("readWatchLine", () => {
  const cases: readonly [name: string, line: unknown, type: string, reason?: string][] = [
    ["puts what was added", line("ADDED", service("a", "1")), "Put"],
    ["puts what was changed", line("MODIFIED", service("a", "1")), "Put"],
    ["removes what was deleted", line("DELETED", service("a", "1")), "Remove"],
    [
      "goes on at a bookmark",
      line("BOOKMARK", { kind: "Service", metadata: { resourceVersion: "9" } }),
      "Progress",
    ],
    ["lists anew at an expired version", line("ERROR", { kind: "Status", code: 410 }), "Relist", "Expired"],
    [
      "lists anew at an expired version whose code is a string",
      line("ERROR", { code: "410" }),
      "Relist",
      "Expired",
    ],
    ["lists anew at any other error", line("ERROR", { kind: "Status", code: 500 }), "Relist", "ServerError"],
    ["lists anew at a type in lower case", line("added", service("a", "1")), "Relist", "Malformed"],
    [
      "lists anew at an object of another kind",
      line("ADDED", { ...service("a", "1"), kind: "Pod" }),
      "Relist",
      "Malformed",
    ],
    [
      "lists anew at an object without a name",
      line("ADDED", { metadata: { resourceVersion: "1" } }),
      "Relist",
      "Malformed",
    ],
    ["lists anew at a bookmark without a version", line("BOOKMARK", { metadata: {} }), "Relist", "Malformed"],
    ["lists anew at what is no object", "ADDED", "Relist", "Malformed"],
  ];
  for (const [name, value, type, reason] of cases) {
    it(name, () => {
      const step = readWatchLine(value, kinds.Service);
      expect(step.type).to.equal(type);
      if (step.type === "Relist") expect(step.reason).to.equal(reason);
    });
  }

  it("throws for no value at all", () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        readWatchLine(value, kinds.Service);
        readWatchLine({ type: "ADDED", object: value }, kinds.Service);
        readWatchLine({ type: "ERROR", object: { details: value } }, kinds.Service);
      }),
    );
  });

  it("keeps of managedFields only what we applied", () => {
    const own = { manager: "mc-wan", operation: "Apply", apiVersion: "v1" };
    const others = [
      { manager: "kubectl", operation: "Apply" },
      { manager: "mc-wan", operation: "Update" },
    ];
    const read = readObject(service("a", "1", { managedFields: [...others, own] }), kinds.Service);
    expect(read?.metadata).to.have.deep.property("managedFields", [own]);
    expect(
      readObject(service("a", "1", { managedFields: others }), kinds.Service)?.metadata,
    ).not.to.have.property("managedFields");
  });
});

describe("mergeList", () => {
  const objects = fc.uniqueArray(
    fc.record({ name: fc.constantFrom("a", "b", "c", "d"), version: fc.constantFrom("1", "2") }),
    { selector: ({ name }) => name },
  );
  const built = objects.map((list) => list.map(({ name, version }) => service(name, version)));

  it("gives exactly what was listed, the same objects where their version is the same, the same Map if all are", () => {
    fc.assert(
      fc.property(built, built, (before, listed) => {
        const held = new Map(before.map((object) => [keyOf(object.metadata), object]));
        const merged = mergeList(held, listed);
        expect([...merged.keys()].sort()).to.deep.equal(listed.map(({ metadata }) => keyOf(metadata)).sort());
        for (const object of listed) {
          const key = keyOf(object.metadata);
          const was = held.get(key);
          const isSame = was?.metadata.resourceVersion === object.metadata.resourceVersion;
          expect(merged.get(key)).to.equal(isSame ? was : object);
        }
        const isAll =
          held.size === listed.length &&
          listed.every((object) =>
            [...held.values()].some(
              (was) =>
                was.metadata.name === object.metadata.name &&
                was.metadata.resourceVersion === object.metadata.resourceVersion,
            ),
          );
        expect(merged === held).to.equal(isAll);
      }),
    );
  });

  it("takes an object that was deleted and made again under the same version for another one", () => {
    const held = new Map([["n/a", service("a", "1")]]);
    const listed = service("a", "1", { uid: "other" });
    expect(mergeList(held, [listed]).get("n/a")).to.equal(listed);
  });
});
