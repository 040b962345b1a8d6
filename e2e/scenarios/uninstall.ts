/** The end of the installation: what mc-wan wrote goes with it, what others wrote stays. Runs last. */
import type { Claim, Scenario } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import { manifests } from "../environment.ts";
import { applyExample, deleteExample } from "../example.ts";
import { managedObjects } from "../objects.ts";
import { readerLabel } from "../../src/clusterset/member-objects.ts";

const leavesNothing: Claim = {
  title: "kubectl delete -k deploy/ leaves nothing of mc-wan, and the CRDs of Gateway API and MCS untouched",
  prove: async (environment) => {
    const { kubectl, clusters } = environment;
    const crds = async (context: string): Promise<string[]> =>
      (await kubectl.run(context, ["get", "crd", "-o", "name"])).trim().split("\n").sort();
    const before = await Promise.all(clusters.map((cluster) => managedObjects(environment, cluster)));
    const objectsBefore = before.reduce((sum, { size }) => sum + size, 0);
    must(objectsBefore > 0, "there was nothing to begin with", { objectsBefore });
    const crdsBefore = await Promise.all(clusters.map(({ context }) => crds(context)));
    await Promise.all(
      clusters.map(({ context }) => kubectl.run(context, ["delete", "--timeout=120s", "-k", manifests])),
    );
    const { afterMs } = await eventually("nothing left", 60_000, async () => {
      const left = await Promise.all(
        clusters.map((cluster) => managedObjects(environment, cluster, { withOwnKinds: false })),
      );
      return left.every(({ size }) => size === 0) ? true : undefined;
    });
    const namespaces = await Promise.all(
      clusters.map(({ context }) =>
        kubectl.attempt(context, [
          "get",
          "namespace",
          "mc-wan",
          "mc-wan-system",
          "--ignore-not-found",
          "-o",
          "name",
        ]),
      ),
    );
    const bindings = await Promise.all(
      clusters.map(({ context }) =>
        kubectl.run(context, ["get", "clusterrolebindings", "-l", readerLabel, "-o", "name"]),
      ),
    );
    const crdsAfter = await Promise.all(clusters.map(({ context }) => crds(context)));
    const gone = crdsBefore.map((names, index) => names.filter((name) => !crdsAfter[index]?.includes(name)));
    const evidence = {
      objectsBefore,
      goneAfterMs: afterMs,
      namespaces: namespaces.map(({ stdout }) => stdout.trim()),
      accountsOfPeers: bindings.map((names) => names.trim()),
      crdsGone: gone[0],
    };
    must(
      namespaces.every(({ stdout }) => stdout.trim() === ""),
      "a namespace is left",
      evidence,
    );
    must(
      bindings.every((names) => names.trim() === ""),
      "an account of a peer is left",
      evidence,
    );
    must(
      gone.every((names) => names.length > 0 && names.every((name) => name.endsWith(".mc-wan.l7mp.io"))),
      "CRDs of others are gone, or ours are not",
      evidence,
    );
    return evidence;
  },
};

export const uninstall: Scenario = {
  title: "uninstall",
  setUp: (environment) => applyExample(environment, "payment"),
  claims: [leavesNothing],
  tearDown: (environment) => deleteExample(environment, "payment"),
};
