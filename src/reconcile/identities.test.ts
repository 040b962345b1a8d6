import { expect } from "chai";
import type { AdvertisedIdentity } from "../api/gateway-advertisement.ts";
import type { World } from "../model/world.ts";
import { advertisedIdentity, trustOf, unawareOf, wantedIdentities } from "./identities.ts";
import { worldFrom } from "./world-from-yaml.ts";

const ofHome = { trustDomain: "home.mc-wan.l7mp.io", bundle: "authorities of home", gateways: new Map() };
const sha256OfHome = "fcb7d0f1";

function world(
  said: AdvertisedIdentity | undefined,
  state: "Synced" | "Stale" | "Unsynced" = "Synced",
): World {
  const advertisement = {
    apiVersion: "mc-wan.l7mp.io/v1alpha1",
    kind: "GatewayAdvertisement",
    metadata: { name: "mc-wan-ingress", namespace: "mc-wan-system" },
    spec: { formatVersion: 1, mode: "PodIP", endpoints: [], ...(said && { identity: said }) },
  };
  const peers = [{ id: "west", state, objects: [advertisement] }];
  return { ...worldFrom({ homeId: "home", peers }), identity: ofHome };
}

describe("identities", () => {
  it("are wanted for the controller alone while the cluster has no id", () => {
    expect(wantedIdentities(worldFrom({}), [])).to.deep.equal([
      { fleet: "mc-wan-controller", dnsNames: ["mc-wan-xds.mc-wan-system.svc"] },
    ]);
  });

  it("are trusted for a peer's own trust domain, stale or not, and for no other", () => {
    const said = { trustDomain: "west.mc-wan.l7mp.io", bundle: "authorities of west" };
    for (const state of ["Synced", "Stale"] as const) {
      const { authorities, problems } = trustOf(world(said, state));
      expect(authorities.map(({ cluster, bundle }) => [cluster, bundle])).to.deep.equal([
        ["home", "authorities of home"],
        ["west", "authorities of west"],
      ]);
      expect(problems).to.deep.equal([]);
    }
    expect(trustOf(world(said, "Unsynced")).authorities).to.have.length(1);
    for (const trustDomain of ["home.mc-wan.l7mp.io", "east.mc-wan.l7mp.io", "west.example"]) {
      const { authorities, problems } = trustOf(world({ ...said, trustDomain }));
      expect(authorities.map(({ cluster }) => cluster)).to.deep.equal(["home"]);
      expect(problems.map(({ reason }) => reason)).to.deep.equal(["WrongTrustDomain"]);
      expect(problems[0]?.message).to.include('Cluster "west"').and.include(trustDomain);
    }
  });

  it("wait for every peer that knows of them before an authority signs", () => {
    const said = { trustDomain: "west.mc-wan.l7mp.io", bundle: "authorities of west" };
    expect(unawareOf(world(undefined))).to.deep.equal([]);
    expect(unawareOf(world(undefined, "Unsynced"))).to.deep.equal(["west"]);
    expect(unawareOf(world(said))).to.deep.equal(["west"]);
    const old = [{ cluster: "home", fingerprint: sha256OfHome.padEnd(64, "0") }];
    expect(unawareOf(world({ ...said, trusted: old }))).to.deep.equal(["west"]);
    // The peer says of us what we would say of it.
    const swapped = trustOf(world({ trustDomain: "west.mc-wan.l7mp.io", bundle: ofHome.bundle }));
    const fingerprint = advertisedIdentity(ofHome, swapped)?.trusted?.[0]?.fingerprint ?? "";
    expect(unawareOf(world({ ...said, trusted: [{ cluster: "home", fingerprint }] }))).to.deep.equal([]);
  });
});
