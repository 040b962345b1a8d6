import { expect } from "chai";
import type { Problem } from "../model/problem.ts";
import { parseGatewayAdvertisement } from "./gateway-advertisement.ts";
import { parseClusterProperty, parseMcsServiceImport, parseServiceExport } from "./multicluster.ts";
import { parseServiceAdvertisement } from "./service-advertisement.ts";
import { parseServiceImport } from "./service-import.ts";
import { isPolicyPort, parseWANPolicy } from "./wan-policy.ts";
import type { Parsed } from "./custom-object.ts";

const apiVersion = "mc-wan.l7mp.io/v1alpha1";
const problemsOf = (parsed: Parsed<unknown>): readonly Problem[] => (parsed.ok ? [] : parsed.problems);
const messages = (parsed: Parsed<unknown>): string =>
  problemsOf(parsed)
    .map(({ message }) => message)
    .join("\n");

const advertisement = (spec: Record<string, unknown> = {}): unknown => ({
  apiVersion,
  kind: "ServiceAdvertisement",
  metadata: { name: "payment", namespace: "secure" },
  spec: {
    formatVersion: 1,
    type: "ClusterSetIP",
    exportTime: "2026-01-02T03:04:05Z",
    ports: [{ protocol: "TCP", port: 8080 }],
    ipFamilies: ["IPv4"],
    pool: "mc-wan-ingress",
    readyBackends: [],
    ...spec,
  },
});

describe("parsing of API objects", () => {
  it("gives back the very object, so that identity keeps its meaning", () => {
    const input = Object.freeze(advertisement()) as { spec: object };
    Object.freeze(input.spec);
    const parsed = parseServiceAdvertisement(input);
    expect(parsed.ok && parsed.value).to.equal(input);
  });

  it("tells all problems, with where each is", () => {
    const parsed = parseServiceAdvertisement(advertisement({ type: "Both", pool: 7, exportTime: "soon" }));
    expect(messages(parsed)).to.include(
      "spec.type must be equal to one of the allowed values: ClusterSetIP, Headless.",
    );
    expect(messages(parsed)).to.include("spec.pool must be string.");
    expect(messages(parsed)).to.include("spec.exportTime ");
    expect(problemsOf(parsed)).to.have.length(3);
  });

  it("passes over unknown fields of a peer", () => {
    expect(parseServiceAdvertisement(advertisement({ since: "later" })).ok).to.equal(true);
  });

  it("refuses a newer format and says what to do", () => {
    expect(problemsOf(parseServiceAdvertisement(advertisement({ formatVersion: 2 })))).to.deep.equal([
      {
        reason: "UnsupportedFormatVersion",
        message:
          "spec.formatVersion is 2; this controller understands up to 1. Upgrade mc-wan in this cluster.",
      },
    ]);
    const pool = {
      apiVersion,
      kind: "GatewayAdvertisement",
      metadata: { name: "p" },
      spec: { formatVersion: 9, mode: "PodIP", endpoints: [] },
    };
    expect(problemsOf(parseGatewayAdvertisement(pool))[0]?.reason).to.equal("UnsupportedFormatVersion");
  });

  for (const input of [
    undefined,
    null,
    7,
    "x",
    [],
    {},
    { apiVersion },
    { apiVersion, kind: "WANPolicy" },
    { apiVersion, kind: "WANPolicy", metadata: null },
  ]) {
    it(`refuses ${input === undefined ? "nothing" : JSON.stringify(input)}`, () => {
      expect(problemsOf(parseWANPolicy(input))).to.have.length(1);
    });
  }

  it("refuses a peer's address that is none", () => {
    const pool = (address: string): unknown => ({
      apiVersion,
      kind: "GatewayAdvertisement",
      metadata: { name: "p" },
      spec: { formatVersion: 1, mode: "PodIP", endpoints: [{ address, ports: {} }] },
    });
    expect(parseGatewayAdvertisement(pool("198.18.1.130")).ok).to.equal(true);
    expect(problemsOf(parseGatewayAdvertisement(pool("a.b")))).to.deep.equal([
      { reason: "UnusableAddress", message: '"a.b" is no IP address.' },
    ]);
    const headless = advertisement({ type: "Headless", endpoints: [{ addresses: ["a.b"], ready: true }] });
    expect(problemsOf(parseServiceAdvertisement(headless))[0]?.reason).to.equal("UnusableAddress");
  });

  it("does not mistake one ServiceImport for the other", () => {
    const mcs = {
      apiVersion: "multicluster.x-k8s.io/v1beta1",
      kind: "ServiceImport",
      metadata: { name: "a" },
      spec: { type: "ClusterSetIP", ports: [] },
    };
    expect(parseMcsServiceImport(mcs).ok).to.equal(true);
    expect(messages(parseServiceImport(mcs))).to.include(
      "found ServiceImport of multicluster.x-k8s.io/v1beta1",
    );
  });

  it("judges a peer's WANPolicy as the API server would", () => {
    const policy = (name: string, port: number): unknown => ({
      apiVersion,
      kind: "WANPolicy",
      metadata: { name },
      spec: { tunnel: "t", port },
    });
    expect(parseWANPolicy(policy("a".repeat(40), 31111)).ok).to.equal(true);
    expect(problemsOf(parseWANPolicy(policy("a".repeat(41), 22)))).to.have.length(2);
    expect([1023, 1024, 9901, 19999, 20000, 29999, 30000, 65535, 65536].filter(isPolicyPort)).to.deep.equal([
      1024, 19999, 30000, 65535,
    ]);
  });

  it("takes ServiceExports of both versions, with and without a spec", () => {
    for (const version of ["v1alpha1", "v1beta1"]) {
      const input = {
        apiVersion: `multicluster.x-k8s.io/${version}`,
        kind: "ServiceExport",
        metadata: { name: "a" },
      };
      expect(parseServiceExport(input).ok).to.equal(true);
      expect(parseServiceExport({ ...input, spec: { exportedLabels: { a: "b" } } }).ok).to.equal(true);
      expect(parseServiceExport({ ...input, spec: { exportedLabels: { a: 1 } } }).ok).to.equal(false);
    }
  });

  it("wants a value in a ClusterProperty", () => {
    const property = (value: unknown): unknown => ({
      apiVersion: "about.k8s.io/v1alpha1",
      kind: "ClusterProperty",
      metadata: { name: "cluster.clusterset.k8s.io" },
      spec: { value },
    });
    expect(parseClusterProperty(property("c1")).ok).to.equal(true);
    expect(parseClusterProperty(property("")).ok).to.equal(false);
  });
});
