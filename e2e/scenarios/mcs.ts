/**
 * The Multi-Cluster Services API (KEP-1645): what each test of the official conformance suite shows, on three clusters, and some more.
 */
import type { Scenario } from "../claim.ts";
import { closeMcsNamespace, openMcsNamespace } from "../mcs.ts";
import { conflictClaims } from "./mcs-conflicts.ts";
import { dnsClaims } from "./mcs-dns.ts";
import { importClaims } from "./mcs-imports.ts";

export const mcs: Scenario = {
  title: "mcs: exports, imports and names of the cluster set are as KEP-1645 has them",
  setUp: async (environment, progress) => {
    await openMcsNamespace(environment);
    progress("mcs: the namespace and the Pods to ask from are there");
  },
  claims: [...importClaims, ...conflictClaims, ...dnsClaims],
  tearDown: closeMcsNamespace,
};
