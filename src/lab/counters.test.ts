import { expect } from "chai";
import { parseCounters, parseInterfaces } from "./counters.ts";

const end = {
  link: "business",
  peer: "c2",
  interface: "wan0-c2",
  wireInterface: "wire0-c2",
  address: "198.19.240.1",
  peerAddress: "198.19.240.2",
};
const at = { cluster: "c1", ends: [end] };

function element(concat: unknown[], packets: number, bytes: number): unknown {
  return { elem: { val: { concat }, counter: { packets, bytes } } };
}

describe("the counters", () => {
  it("take the headers off, whatever their length, and add up what is of one link and port", () => {
    const elem = [element(["wan0-c2", 31111, 8], 44, 3_002_288), element(["wan0-c2", 31111, 10], 1, 60)];
    const { links } = parseCounters(
      at,
      JSON.stringify({ nftables: [{ set: { name: "out_request", elem } }] }),
    );
    expect(links).to.deep.equal([
      {
        cluster: "c1",
        peer: "c2",
        tunnel: "business",
        port: 31111,
        direction: "out",
        role: "request",
        packets: 45,
        payloadBytes: 3_000_000,
      },
    ]);
  });

  it("keep requests and replies apart", () => {
    const sets = ["out_request", "in_reply"].map((name) => ({
      set: { name, elem: [element(["wan0-c2", 31111, 8], 1, 152)] },
    }));
    const { links } = parseCounters(at, JSON.stringify({ nftables: sets }));
    expect(
      links.map(({ direction, role, payloadBytes }) => `${direction} ${role} ${payloadBytes}`),
    ).to.deep.equal(["out request 100", "in reply 100"]);
  });

  it("tell what was rejected, and where it wanted to go", () => {
    const elem = [element(["198.18.2.130", "tcp", 8080], 3, 180)];
    const { refused } = parseCounters(
      at,
      JSON.stringify({ nftables: [{ set: { name: "refused_out", elem } }] }),
    );
    expect(refused).to.deep.equal([
      { cluster: "c1", direction: "out", of: "198.18.2.130", protocol: "tcp", port: 8080, packets: 3 },
    ]);
  });

  it("are none when the sets are empty", () => {
    expect(parseCounters(at, JSON.stringify({ nftables: [{ set: { name: "out_request" } }] }))).to.deep.equal(
      { links: [], refused: [] },
    );
  });

  it("read an interface's bytes from the kernel's table", () => {
    const text = "Inter-|   Receive\n face |bytes packets\nwan0-c2:  100 1 0 0 0 0 0 0  200 2 0 0 0 0 0 0\n";
    expect(parseInterfaces(at, text)).to.deep.equal([
      { cluster: "c1", peer: "c2", tunnel: "business", receivedBytes: 100, sentBytes: 200 },
    ]);
  });
});
