import { expect } from "chai";
import { certificateMaker } from "../drivers/x509/certificate-maker.ts";
import { bundleProblems } from "./trust-bundle.ts";

const day = { fromMs: Date.UTC(2030, 0, 1), untilMs: Date.UTC(2030, 0, 2) };

describe("a bundle of authorities that a peer tells", () => {
  let roots: string[];
  let leaf: string;
  let key: string;

  before(async () => {
    const pairs = await Promise.all([1, 2, 3].map(() => certificateMaker.authority(day)));
    const [first] = pairs;
    if (first === undefined) throw new Error("there is no authority");
    roots = pairs.map(({ certificatePem }) => certificatePem);
    key = first.keyPem.reveal();
    leaf = (await certificateMaker.issue(first, { ...day, spiffeId: "spiffe://x/y" })).certificatePem;
  });

  const messages = (bundle: string): string[] => bundleProblems(bundle).map(({ message }) => message);

  it("is one authority, or two while one replaces the other", () => {
    expect(messages(roots[0] ?? "")).to.deep.equal([]);
    expect(messages(roots.slice(0, 2).join(""))).to.deep.equal([]);
    expect(messages(roots.join(""))).to.deep.equal(["spec.identity.bundle holds 3 certificates: at most 2."]);
  });

  it("is refused where it is anything but authorities", () => {
    const [root = ""] = roots;
    expect(messages(leaf)).to.deep.equal([
      "spec.identity.bundle holds a certificate (number 1) that is no authority's.",
    ]);
    const broken = root.replace(/\n[^-]*/, "\nAAAA\n");
    expect(messages(broken)).to.deep.equal([
      "spec.identity.bundle holds a certificate (number 1) that can't be read.",
    ]);
    for (const text of ["", "x", `${root}${key}`, `${root}x`, `x${root}`, root.trim()])
      expect(messages(text)).to.deep.equal(["spec.identity.bundle is not PEM of certificates alone."]);
  });

  it("is judged in a moment however long it is", () => {
    const long = `-----BEGIN CERTIFICATE-----\n${"A\n".repeat(8000)}`;
    const startedMs = performance.now();
    expect(messages(long)).to.have.length(1);
    expect(performance.now() - startedMs).to.be.lessThan(200);
  });
});
