import { expect } from "chai";
import type { KubeObject } from "../model/kube-object.ts";
import { labels } from "../model/names.ts";
import { readPeerSecrets } from "./peer-secrets.ts";

const secret = (
  name: string,
  [id, age]: readonly [string | undefined, string],
  data: unknown = { kubeconfig: "a3ViZWNvbmZpZw==" },
): KubeObject => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: {
    name,
    namespace: "mc-wan-system",
    uid: name,
    creationTimestamp: `2026-01-0${age}T00:00:00Z`,
    ...(id !== undefined && { labels: { [labels.peer]: id } }),
  },
  data,
});

describe("readPeerSecrets", () => {
  it("follows the older of two Secrets for one cluster, in whatever order they come, and tells the younger", () => {
    const both = [secret("a-younger", ["east", "2"]), secret("z-older", ["east", "1"])];
    for (const secrets of [both, both.toReversed()]) {
      const { peers, refused } = readPeerSecrets(secrets, "west");
      expect(peers.map(({ id, secret: name }) => [id, name])).to.deep.equal([["east", "z-older"]]);
      expect(refused.map(({ secret: name, problem }) => [name, problem.reason])).to.deep.equal([
        ["a-younger", "DuplicateClusterId"],
      ]);
    }
  });

  const wrong: readonly (readonly [what: string, object: KubeObject, reason: string])[] = [
    ["this cluster's own id", secret("s", ["west", "1"]), "OwnClusterId"],
    ["no id", secret("s", [undefined, "1"]), "InvalidClusterId"],
    ["an id with a dot", secret("s", ["a.b", "1"]), "InvalidClusterId"],
    ["an id of 64 characters", secret("s", ["a".repeat(64), "1"]), "InvalidClusterId"],
    ["an id in upper case", secret("s", ["East", "1"]), "InvalidClusterId"],
    ["the id __proto__", secret("s", ["__proto__", "1"]), "InvalidClusterId"],
    ["no data", secret("s", ["east", "1"], null), "InvalidKubeconfig"],
    ["data that is a list", secret("s", ["east", "1"], ["kubeconfig"]), "InvalidKubeconfig"],
    ["an empty kubeconfig", secret("s", ["east", "1"], { kubeconfig: "" }), "InvalidKubeconfig"],
    ["a kubeconfig under another key", secret("s", ["east", "1"], { config: "YQ==" }), "InvalidKubeconfig"],
  ];
  for (const [what, object, reason] of wrong)
    it(`refuses a Secret with ${what}, and no other for that`, () => {
      const { peers, refused } = readPeerSecrets([object, secret("good", ["north", "3"])], "west");
      expect(refused.map(({ problem }) => problem.reason)).to.deep.equal([reason]);
      expect(peers.map(({ id }) => id)).to.deep.equal(["north"]);
    });

  it("follows the cluster constructor like any other", () => {
    const { peers } = readPeerSecrets([secret("s", ["constructor", "1"])], "west");
    expect(peers.map(({ id }) => id)).to.deep.equal(["constructor"]);
  });
});
