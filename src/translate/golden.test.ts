import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import { buildCase, parseCase, printTranslation, reversed } from "./case-file.ts";
import { createTranslate } from "./translate.ts";

const dir = new URL("testdata/", import.meta.url);
const files = readdirSync(dir);
const cases = files
  .filter((name) => name.endsWith(".in.yaml"))
  .map((name) => name.slice(0, -".in.yaml".length));

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  const parts: unknown[] =
    value instanceof Map ? [...(value as Map<string, unknown>).values()] : Object.values(value);
  for (const part of parts) deepFreeze(part);
  return value;
}

describe("translate, by example", () => {
  for (const name of cases) {
    const read = () => parseCase(readFileSync(new URL(`${name}.in.yaml`, dir), "utf8"));

    it(name, () => {
      const { world, desired } = deepFreeze(buildCase(read()));
      const got = printTranslation(createTranslate()(world, desired));
      const out = new URL(`${name}.out.yaml`, dir);
      if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(out, got);
      expect(got).to.equal(readFileSync(out, "utf8"));
    });

    it(`${name}: the order of the input does not matter`, () => {
      const [one, other] = [buildCase(read()), buildCase(reversed(read()))];
      expect(printTranslation(createTranslate()(other.world, other.desired))).to.equal(
        printTranslation(createTranslate()(one.world, one.desired)),
      );
    });

    it(`${name}: nothing that stays the same is made anew`, () => {
      const { world, desired } = buildCase(read());
      const translate = createTranslate();
      const first = translate(world, desired);
      const second = translate({ ...world }, { ...desired });
      for (const [fleet, config] of first.config.fleets)
        expect(second.config.fleets.get(fleet)).to.equal(config);
      for (const [key, verdict] of first.verdicts.gateways)
        expect(second.verdicts.gateways.get(key)).to.equal(verdict);
    });
  }

  it("what is remembered never shows: after each object went and came back, the answer is that of a fresh start", function () {
    this.timeout(120_000);
    const translate = createTranslate();
    for (const name of cases) {
      const file = parseCase(readFileSync(new URL(`${name}.in.yaml`, dir), "utf8"));
      // A case names the Gateways and ListenerSets that are served: these stay.
      const going = file.objects.filter(({ kind }) => kind !== "Gateway" && kind !== "ListenerSet");
      const without = going.map((object) => ({
        ...file,
        objects: file.objects.filter((other) => other !== object),
      }));
      for (const step of [file, ...without, file]) {
        const { world, desired } = buildCase(step);
        const fresh = buildCase(step);
        expect(printTranslation(translate(world, desired)), name).to.equal(
          printTranslation(createTranslate()(fresh.world, fresh.desired)),
        );
      }
    }
  });

  it("every expected output belongs to an input", () => {
    const outputs = files.filter((name) => name.endsWith(".out.yaml"));
    expect(outputs.filter((name) => !cases.includes(name.slice(0, -".out.yaml".length)))).to.deep.equal([]);
  });
});
