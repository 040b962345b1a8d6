import { expect } from "chai";
import type { WanBackend } from "../model/desired.ts";
import { targetsOf } from "./cluster-dummies.ts";

const service = { namespace: "secure", name: "payment" };
const remote = (cluster: string, weight: number, ports?: number[]): WanBackend["remote"][number] => ({
  cluster,
  weight,
  endpoints: [],
  ...(ports && { ports }),
});
const names = new Map([
  ["east", "payment-secure-high-east"],
  ["north", "payment-secure-high-north"],
]);

function shares(
  remotes: WanBackend["remote"],
  homeBackends?: { readonly ready: number; readonly total: number },
): unknown {
  const backend: WanBackend = {
    service,
    policy: "high",
    remote: remotes,
    ...(homeBackends && { home: service }),
  };
  return targetsOf(backend, names, {
    servicePort: 8080,
    policyPort: 31111,
    homeBackends: homeBackends ?? { ready: 0, total: 0 },
  })?.map(({ ref, share }) => [ref.name, ref.port, Number(share.toFixed(3))]);
}

describe("where requests for a service over a policy go, as far as weights can say", () => {
  it("to clusters by their ready backends", () => {
    expect(shares([remote("east", 3), remote("north", 1)])).to.deep.equal([
      ["payment-secure-high-east", 31111, 0.75],
      ["payment-secure-high-north", 31111, 0.25],
    ]);
  });

  it("to home alone while its ready backends bear all, then bit by bit to the others", () => {
    const others = [remote("east", 1), remote("north", 1)];
    expect(shares(others, { ready: 10, total: 10 })).to.deep.equal([["payment", 8080, 1]]);
    expect(shares(others, { ready: 8, total: 10 })).to.deep.equal([["payment", 8080, 1]]);
    expect(shares(others, { ready: 5, total: 10 })).to.deep.equal([
      ["payment", 8080, 0.7],
      ["payment-secure-high-east", 31111, 0.15],
      ["payment-secure-high-north", 31111, 0.15],
    ]);
    expect(shares(others, { ready: 0, total: 10 })).to.deep.equal([
      ["payment-secure-high-east", 31111, 0.5],
      ["payment-secure-high-north", 31111, 0.5],
    ]);
  });

  it("to home alone where nobody else is ready, and nowhere where nobody is", () => {
    expect(shares([], { ready: 1, total: 10 })).to.deep.equal([["payment", 8080, 1]]);
    expect(shares([], { ready: 0, total: 10 })).to.deep.equal([]);
    expect(shares([])).to.deep.equal([]);
  });

  it("only to clusters that take requests for the port", () => {
    expect(shares([remote("east", 1, [9090]), remote("north", 1, [8080])])).to.deep.equal([
      ["payment-secure-high-north", 31111, 1],
    ]);
  });

  it("can't be said where a cluster has no dummy of its own", () => {
    expect(shares([remote("south", 1)])).to.equal(undefined);
  });
});
