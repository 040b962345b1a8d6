import { expect } from "chai";
import type { TlsSecret } from "../model/tls-objects.ts";
import type { Timing } from "../model/timing.ts";
import { CertificateClock } from "./certificate-clock.ts";

describe("The clock of certificates", () => {
  it("reads no certificate again because another Secret changed", () => {
    let reads = 0;
    const secret = (name: string): TlsSecret => ({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { namespace: "shop", name },
      get certificate() {
        reads += 1;
        return "none that can be read";
      },
    });
    const timing: Timing = { now: () => 0, today: () => 0, random: () => 0, after: () => () => undefined };
    const clock = new CertificateClock(timing, () => undefined);
    const standing = Array.from({ length: 50 }, (_, index) => [`shop/${index}`, secret(`${index}`)] as const);
    clock.expired(new Map(standing));
    expect(reads).to.equal(50);
    clock.expired(new Map([...standing, ["shop/new", secret("new")]]));
    expect(reads).to.equal(51);
  });
});
