/** What changes at a target without changing where a route leads leaves the route's table as it is. */
import { readFileSync } from "node:fs";
import { expect } from "chai";
import type { FleetConfig } from "../model/envoy-config.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { buildCase, parseCase, type CaseFile } from "./case-file.ts";
import { createTranslate } from "./translate.ts";

const dir = new URL("testdata/", import.meta.url);
const read = (name: string): CaseFile => parseCase(readFileSync(new URL(`${name}.in.yaml`, dir), "utf8"));

/** The tables of all fleets before and after one object was replaced. */
function tables(file: CaseFile, change: (object: KubeObject) => KubeObject): readonly (readonly unknown[])[] {
  const translate = createTranslate();
  const routesOf = ({ routes }: FleetConfig): unknown[] =>
    [...routes.values()].flatMap(({ virtualHosts }) => virtualHosts);
  const [before, after] = [file, { ...file, objects: file.objects.map(change) }].map(buildCase);
  if (before === undefined || after === undefined) throw new Error("there are two");
  // The same objects but for the one: what stands in a World is replaced only when it changes.
  const first = translate(before.world, before.desired);
  const second = translate(after.world, before.desired);
  return [first, second].map(({ config }) => [...config.fleets.values()].flatMap(routesOf));
}

const at = (name: string, change: (object: KubeObject) => KubeObject) => (object: KubeObject) =>
  object.kind === "Service" && object.metadata.name === name ? change(object) : object;

const labelled = (object: KubeObject): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, labels: { seen: "yes" } },
});

function expectSame([before = [], after = []]: readonly (readonly unknown[])[]): void {
  expect(before).to.not.be.empty;
  expect(after).to.have.length(before.length);
  for (const [index, host] of before.entries()) expect(after[index]).to.equal(host);
}

describe("a target that changes without effect", () => {
  it("keeps the routes to a Service that gets a label", () => {
    expectSame(tables(read("backends-weights-and-refusals"), at("cart", labelled)));
  });

  it("keeps the routes that are closed because of a Service that gets a label", () => {
    expectSame(tables(read("backends-weights-and-refusals"), at("outside", labelled)));
  });

  it("keeps the routes to a service here and at peers when the one here gets a label", () => {
    expectSame(tables(read("egress-pool"), at(homeOf("egress-pool"), labelled)));
  });

  it("makes the routes anew when a Service begins to speak HTTP/2", () => {
    const [before = [], after = []] = tables(
      read("backends-weights-and-refusals"),
      at("cart", (object) => ({
        ...object,
        spec: { ports: [{ name: "http", port: 80, appProtocol: "kubernetes.io/h2c" }] },
      })),
    );
    expect(after[0]).to.not.equal(before[0]);
  });

  it("makes the routes anew when a Service loses its port", () => {
    const [before = [], after = []] = tables(
      read("backends-weights-and-refusals"),
      at("cart", (object) => ({ ...object, spec: { ports: [{ name: "http", port: 81 }] } })),
    );
    expect(after[0]).to.not.equal(before[0]);
  });
});

function homeOf(name: string): string {
  for (const { home } of Object.values(read(name).wanBackends ?? {}))
    if (home !== undefined) return home.name;
  throw new Error(`no service of ${name} is served at home too`);
}
