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

describe("a Gateway or a route that changes without effect", () => {
  const counted = (generation: number) => (object: KubeObject) => ({
    ...object,
    metadata: { ...object.metadata, uid: `of ${object.kind} ${object.metadata.name}`, generation },
  });
  const changed = (file: CaseFile, change: (object: KubeObject) => KubeObject): CaseFile => ({
    ...file,
    objects: file.objects.map(change),
  });
  const standing = changed(read("backends-weights-and-refusals"), counted(1));
  const isRouted = ({ kind }: KubeObject): boolean => kind === "Gateway" || kind === "HTTPRoute";

  it("makes nothing new where a status was written", () => {
    const translate = createTranslate();
    const [before, after] = [
      standing,
      changed(standing, (object) => (isRouted(object) ? { ...object, status: {} } : object)),
    ].map((file) => {
      const { world, desired } = buildCase(file);
      return translate(world, desired);
    });
    for (const [name, fleet] of before?.config.fleets ?? [])
      for (const [table, { virtualHosts }] of fleet.routes)
        expect(after?.config.fleets.get(name)?.routes.get(table)?.virtualHosts).to.deep.equal(virtualHosts);
    for (const [key, verdicts] of before?.verdicts.httpRoutes ?? [])
      expect(after?.verdicts.httpRoutes.get(key)).to.equal(verdicts);
  });

  it("takes up a spec of a new generation, and an object of the same name that is another", () => {
    const hostnames = ["new.example.com"];
    const hosts = (file: CaseFile, translate = createTranslate()): string[] => {
      const { world, desired } = buildCase(file);
      return [...translate(world, desired).config.fleets.values()].flatMap(({ routes }) =>
        [...routes.values()].flatMap(({ virtualHosts }) => virtualHosts.flatMap(({ domains }) => domains)),
      );
    };
    const next = (metadata: object) =>
      changed(standing, (object) =>
        object.kind === "HTTPRoute"
          ? {
              ...object,
              metadata: { ...object.metadata, ...metadata },
              spec: { ...(object["spec"] as object), hostnames },
            }
          : object,
      );
    for (const metadata of [{ generation: 2 }, { uid: "another" }]) {
      const translate = createTranslate();
      expect(hosts(standing, translate)).not.to.include("new.example.com");
      expect(hosts(next(metadata), translate)).to.deep.equal(hosts(next(metadata)));
      expect(hosts(next(metadata), translate)).to.include("new.example.com");
    }
  });
});

function homeOf(name: string): string {
  for (const { home } of Object.values(read(name).wanBackends ?? {}))
    if (home !== undefined) return home.name;
  throw new Error(`no service of ${name} is served at home too`);
}
