/** Listeners stay as they are whatever varies: a listener that changes drains its connections (X17). */
import { readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";
import type { KubeObject } from "../model/kube-object.ts";
import { buildCase, parseCase } from "./case-file.ts";
import type { CaseFile } from "./case-file.ts";
import { createTranslate } from "./translate.ts";

const dir = new URL("testdata/", import.meta.url);
/** Without what listeners hold themselves: where connections lead that no route table chooses for, and certificates. */
const isOfTables = (text: string): boolean => !/kind: (TLSRoute|TCPRoute|Secret)\b/.test(text);
const inputs = readdirSync(dir)
  .filter((name) => name.endsWith(".in.yaml"))
  .map((name) => ({ name, text: readFileSync(new URL(name, dir), "utf8") }))
  .filter(({ text }) => isOfTables(text));
const chosenByRequest: readonly string[] = ["HTTPRoute", "GRPCRoute"];

/** By object; undefined takes it away. */
type Change = (object: KubeObject) => KubeObject | undefined;

const changes: Readonly<Record<string, Change>> = {
  "every route loses its last rule": (object) => {
    if (!chosenByRequest.includes(object.kind)) return object;
    const spec = object["spec"] as { readonly rules?: readonly object[] };
    return { ...object, spec: { ...spec, rules: (spec.rules ?? []).slice(0, -1) } };
  },
  "every route goes": (object) => (chosenByRequest.includes(object.kind) ? undefined : object),
  "every endpoint goes": (object) =>
    object.kind === "EndpointSlice" ? { ...object, endpoints: [] } : object,
  "every Service goes": (object) => (object.kind === "Service" ? undefined : object),
  "every grant goes": (object) => (object.kind === "ReferenceGrant" ? undefined : object),
};

/** The listeners of a case before and after a change, by fleet and name. */
function listeners(file: CaseFile, change: Change): readonly ReadonlyMap<string, unknown>[] {
  const translate = createTranslate();
  const after = { ...file, objects: file.objects.map(change).filter((object) => object !== undefined) };
  return [file, after].map((each) => {
    const { world, desired } = buildCase(each);
    const { config } = translate(world, desired);
    return new Map(
      [...config.fleets].flatMap(([fleet, parts]) =>
        [...parts.listeners].map(([name, listener]) => [`${fleet} ${name}`, listener] as const),
      ),
    );
  });
}

describe("listeners", () => {
  for (const [what, change] of Object.entries(changes)) {
    it(`are what they were when ${what}`, () => {
      let seen = 0;
      for (const { name: input, text } of inputs) {
        const [before, after] = listeners(parseCase(text), change);
        for (const [name, listener] of before ?? []) {
          seen += 1;
          expect(after?.get(name), `${input}: ${name}`).to.equal(listener);
        }
      }
      expect(seen).to.be.above(20);
    });
  }
});
