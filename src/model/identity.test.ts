import { expect } from "chai";
import {
  clusterIdentity,
  controllerIdentityOf,
  identitySecretName,
  identitySecretOf,
  phaseSinceMs,
} from "./identity.ts";
import type { IdentitySecret } from "./identity.ts";
import { annotations, authoritySecret, controllerIdentity, labels, systemNamespace } from "./names.ts";

const settings = { trustDomain: "example.org" };
const text = (value: string): string => Buffer.from(value).toString("base64");

function secret(
  name: string,
  label: string,
  more: { readonly data?: Record<string, unknown>; readonly annotations?: Record<string, string> } = {},
): [string, IdentitySecret] {
  const { data, annotations: notes } = more;
  const metadata = {
    name,
    namespace: systemNamespace,
    labels: { [labels.identity]: label },
    ...(notes && { annotations: notes }),
  };
  return [
    `${systemNamespace}/${name}`,
    identitySecretOf({ apiVersion: "v1", kind: "Secret", metadata, ...(data && { data }) }),
  ];
}

const authority = secret(authoritySecret, "authority", {
  data: { "current.crt": text("now"), "previous.crt": text("before"), "current.key": text("never kept") },
});
const pairOf = (fleet: string, label = fleet): [string, IdentitySecret] =>
  secret(identitySecretName(fleet), label, {
    data: { "tls.crt": text(`certificate of ${fleet}`), "tls.key": text("key") },
  });

describe("what is kept of the Secrets of identities", () => {
  it("holds the certificates of the authority, never its key", () => {
    expect(JSON.stringify(authority[1])).not.to.include("never kept");
    expect(clusterIdentity(new Map([authority]), "east", settings)?.bundle).to.equal("now\nbefore\n");
  });

  it("is no identity of the cluster without an authority, or without an id of the cluster", () => {
    const wrong = secret(authoritySecret, "authority", { data: { "current.crt": 7 } });
    expect(clusterIdentity(new Map([wrong]), "east", settings)).to.equal(undefined);
    expect(clusterIdentity(new Map([secret(authoritySecret, "authority")]), "east", settings)).to.equal(
      undefined,
    );
    expect(clusterIdentity(new Map(), "east", settings)).to.equal(undefined);
    expect(clusterIdentity(new Map([authority]), undefined, settings)).to.equal(undefined);
  });

  it("leaves out a pair under another's name, one without a key, and the controller's among those of gateways", () => {
    const secrets = new Map([
      authority,
      pairOf("a"),
      pairOf("b", "a"),
      secret(identitySecretName("c"), "c", { data: { "tls.crt": text("alone"), "tls.key": "" } }),
      pairOf(controllerIdentity),
    ]);
    const identity = clusterIdentity(secrets, "east", settings);
    expect(identity?.trustDomain).to.equal("east.example.org");
    expect([...(identity?.gateways.keys() ?? [])]).to.deep.equal(["a"]);
    expect(controllerIdentityOf(secrets)?.certificatePem).to.equal(`certificate of ${controllerIdentity}`);
    expect(controllerIdentityOf(new Map([authority]))).to.equal(undefined);
    expect(controllerIdentityOf(new Map([pairOf(controllerIdentity)]))).to.equal(undefined);
  });

  it("says since when the authority is in its phase, if it can be read", () => {
    const noted = (since: string): IdentitySecret =>
      secret(authoritySecret, "authority", { annotations: { [annotations.authoritySince]: since } })[1];
    expect(phaseSinceMs(noted("2026-01-01T00:00:00Z"))).to.equal(Date.UTC(2026, 0, 1));
    expect(phaseSinceMs(noted("yesterday"))).to.equal(undefined);
    expect(phaseSinceMs(authority[1])).to.equal(undefined);
  });
});
