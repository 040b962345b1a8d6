import { expect } from "chai";
import { clientPodOf } from "./client-pod.ts";

const pod = (spec: object, status: object) =>
  clientPodOf({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web-1", namespace: "shop", uid: "u", labels: { app: "web" }, resourceVersion: "7" },
    spec,
    status,
  });

describe("what is kept of a client's Pod", () => {
  it("is its account and its IPv4 addresses, each once", () => {
    const podIPs = [{ ip: "198.18.1.9" }, { ip: "fd00::9" }];
    expect(
      pod({ serviceAccountName: "web" }, { phase: "Running", podIP: "198.18.1.9", podIPs }),
    ).to.deep.equal({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "web-1", namespace: "shop" },
      account: "web",
      addresses: ["198.18.1.9"],
    });
  });

  it("says where the address is the node's", () => {
    expect(pod({ hostNetwork: true }, { podIP: "198.18.1.1" })).to.include({
      isOfNode: true,
      account: "default",
    });
  });

  for (const phase of ["Succeeded", "Failed"]) {
    it(`is no address once it has ended: ${phase}`, () => {
      expect(pod({}, { phase, podIP: "198.18.1.9", podIPs: [{ ip: "198.18.1.9" }] }).addresses).to.deep.equal(
        [],
      );
    });
  }

  it("is the address of one that is ending: it may still have something to say", () => {
    const metadata = { name: "a", namespace: "b", deletionTimestamp: "2026-01-01T00:00:00Z" };
    const status = { phase: "Running", podIP: "198.18.1.9" };
    expect(clientPodOf({ apiVersion: "v1", kind: "Pod", metadata, status }).addresses).to.deep.equal([
      "198.18.1.9",
    ]);
  });

  for (const status of [
    {},
    { podIP: "" },
    { podIP: 7, podIPs: "198.18.1.9" },
    { podIPs: [null, "198.18.1.9", { ip: 7 }, { address: "198.18.1.9" }] },
    { podIP: "127.0.0.1", podIPs: [{ ip: "169.254.169.254" }, { ip: "0.0.0.0" }] },
  ]) {
    it(`is no address that is none: ${JSON.stringify(status)}`, () => {
      expect(pod({}, status).addresses).to.deep.equal([]);
    });
  }
});
