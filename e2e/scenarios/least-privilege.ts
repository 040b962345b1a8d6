/**
 * What the accounts of mc-wan were seen to need in all scenarios before this one: all that they are granted, and nothing
 * beyond. Runs after all others but the end of the installation.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { auditLog } from "../../src/lab/inside/audit.ts";
import type { InstallTarget } from "../../src/lab/install.ts";
import { systemNamespace } from "../../src/model/names.ts";
import { grantsOf, unusedGrants, usesOf } from "../audit.ts";
import type { RbacRole, Use } from "../audit.ts";
import type { Claim, Scenario } from "../claim.ts";
import { must } from "../claim.ts";
import type { Environment } from "../environment.ts";

const ofMcWan = "app.kubernetes.io/part-of=mc-wan";

async function seen({ lab, clusters }: Environment): Promise<Use[]> {
  if (lab === undefined) throw new Error("only the lab keeps audit logs");
  const logs = await Promise.all(clusters.map(({ id }) => readFile(join(lab.runDir, id, auditLog), "utf8")));
  return logs.flatMap(usesOf);
}

async function roles({ kubectl }: Environment, { context }: InstallTarget): Promise<RbacRole[]> {
  const args = ["get", "clusterroles,roles", "-A", "-l", ofMcWan];
  return ((await kubectl.json(context, args)) as { items: RbacRole[] }).items;
}

const refusedNothing: Claim = {
  title: "no account of mc-wan was refused a request, in all that was done before",
  needsLab: true,
  prove: async (environment) => {
    const uses = await seen(environment);
    const refused = new Set(
      uses
        .filter(({ code }) => code === 403)
        .map(
          ({ user, verb, group, resource, namespace }) =>
            `${user}: ${verb} ${resource} of "${group}" in "${namespace}"`,
        ),
    );
    const evidence = { requests: uses.length, refused: [...refused].slice(0, 20) };
    must(uses.length > 1000, "the audit logs hold next to nothing", evidence);
    must(refused.size === 0, "requests were refused", evidence);
    return evidence;
  },
};

const usedEverything: Claim = {
  title: "the roles of deploy/ hold no wildcard, and no verb of a resource that nothing used",
  needsLab: true,
  prove: async (environment) => {
    const [uses, held] = await Promise.all([seen(environment), roles(environment, environment.consumer)]);
    const grants = grantsOf(held);
    const unused = unusedGrants(grants, uses);
    const wildcards = grants.filter(({ verb, group, resource }) => [verb, group, resource].includes("*"));
    const evidence = {
      grants: grants.length,
      unused: unused.map(({ role, verb, resource }) => `${role}: ${verb} ${resource}`),
      wildcards: wildcards.length,
    };
    must(grants.length > 50, "the roles were not found", evidence);
    must(wildcards.length === 0, "a role has a wildcard", evidence);
    must(unused.length === 0, "roles grant what nothing used", evidence);
    return evidence;
  },
};

const secretsAtHome: Claim = {
  title: `Secrets and ConfigMaps were read in ${systemNamespace} only`,
  needsLab: true,
  prove: async (environment) => {
    const uses = await seen(environment);
    const ofSecrets = uses.filter(({ resource }) => resource === "secrets" || resource === "configmaps");
    const namespaces = [...new Set(ofSecrets.map(({ namespace }) => namespace))];
    const evidence = { requests: ofSecrets.length, namespaces };
    must(
      namespaces.length === 1 && namespaces[0] === systemNamespace,
      "Secrets were read elsewhere",
      evidence,
    );
    return evidence;
  },
};

export const leastPrivilege: Scenario = {
  title: "least privilege",
  setUp: () => Promise.resolve(),
  claims: [refusedNothing, usedEverything, secretsAtHome],
  tearDown: () => Promise.resolve(),
};
