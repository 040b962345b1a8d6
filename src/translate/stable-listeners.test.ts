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

const asItIs: Change = (object) => object;

/** The listeners of a case before and after a change, by fleet and name. */
function listeners(
  file: CaseFile,
  change: Change,
  clients = file.clients ?? {},
): readonly ReadonlyMap<string, unknown>[] {
  const translate = createTranslate();
  const after = {
    ...file,
    clients,
    objects: file.objects.map(change).filter((object) => object !== undefined),
  };
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
  it("are what they were when clients' Pods come and go, and so is every other table", () => {
    const file = parseCase(readFileSync(new URL("clients-of-imports.in.yaml", dir), "utf8"));
    const known = (clients: CaseFile["clients"]): void => {
      const [before, after] = listeners(file, asItIs, clients);
      for (const [name, listener] of before ?? []) expect(after?.get(name), name).to.equal(listener);
      expect(before?.size).to.equal(3);
    };
    known({});
    known({ "secure/payment": { "shop/web": ["198.18.1.4"] } });
    known({ "secure/payment": {}, "secure/ledger": { "shop/web": ["198.18.1.4"] } });
    const translate = createTranslate();
    const [one, other] = [{ "shop/web": ["198.18.1.4"] }, { "shop/web": ["198.18.1.5"] }].map((clients) => {
      const { world, desired } = buildCase({ ...file, clients: { "secure/payment": clients } });
      return translate(world, desired).config.fleets.get("mc-wan-egress")?.routes;
    });
    expect(other?.get("egress/secure/ledger/http")).to.equal(one?.get("egress/secure/ledger/http"));
    expect(other?.get("egress/secure/payment/http")).not.to.equal(one?.get("egress/secure/payment/http"));
  });

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
