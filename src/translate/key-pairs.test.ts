import { expect } from "chai";
import { readAuthorities, readKeyPair } from "./key-pairs.ts";

/** As much as fits into a Secret or a ConfigMap. */
const mebibyte = 1024 * 1024;
/** Milliseconds of CPU: a search from each beginning to the end takes several seconds. */
const limitMs = 1_000;

const filledWith = (text: string): string => text.repeat(Math.floor(mebibyte / text.length));

function cpuMs(work: () => void): number {
  const before = process.cpuUsage().user;
  work();
  return (process.cpuUsage().user - before) / 1_000;
}

describe("PEM that anybody may write", () => {
  it("takes no long time where certificates only begin", () => {
    const text = filledWith("-----BEGIN CERTIFICATE-----");
    let read: unknown;
    expect(cpuMs(() => (read = readAuthorities(text)))).to.be.below(limitMs);
    expect(read).to.deep.equal({ fault: "ca.crt holds no certificate in PEM" });
    expect(cpuMs(() => (read = readKeyPair(text, text)))).to.be.below(limitMs);
    expect(read).to.deep.equal({ fault: "tls.crt holds no certificate in PEM" });
  });

  it("takes no long time where certificates are empty", () => {
    const text = filledWith("-----BEGIN CERTIFICATE----------END CERTIFICATE-----");
    let read: unknown;
    expect(cpuMs(() => (read = readAuthorities(text)))).to.be.below(limitMs);
    expect(read).to.deep.equal({ fault: "ca.crt holds a certificate (number 1) that can't be read" });
  });
});
