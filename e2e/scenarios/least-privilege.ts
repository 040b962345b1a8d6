/**
 * What the accounts of mc-wan were seen to need in all scenarios before this one: all that they are granted, and nothing
 * beyond. Runs after all others but the end of the installation.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { auditLog } from "../../src/lab/inside/audit.ts";
import type { InstallTarget } from "../../src/lab/install.ts";
import { gatewayClassName, systemNamespace } from "../../src/model/names.ts";
import { grantsOf, unusedGrants, usesOf } from "../audit.ts";
import type { RbacRole, Use } from "../audit.ts";
import type { Claim, Scenario } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import { namespace, service } from "../manifests.ts";
import { applyObjects, deleteObjects } from "../mistake.ts";
import type { Manifest } from "../mistake.ts";

const judged = "judged";
const at = (name: string): { name: string; namespace: string } => ({ name, namespace: judged });
const gatewayApi = "gateway.networking.k8s.io/v1";
const hostnames = ["judged.test"];
const parentRefs = [{ name: "edge" }];
const backendRefs = [{ name: "backend", port: 8080 }];

/** An object of each kind of Gateway API that people write and mc-wan judges, and that no other scenario has. */
const objects: readonly Manifest[] = [
  namespace(judged),
  service(at("backend")),
  {
    apiVersion: gatewayApi,
    kind: "Gateway",
    metadata: at("edge"),
    spec: {
      gatewayClassName,
      allowedListeners: { namespaces: { from: "Same" } },
      listeners: [
        { name: "http", port: 8080, protocol: "HTTP" },
        { name: "tls", port: 8443, protocol: "TLS", tls: { mode: "Passthrough" } },
      ],
    },
  },
  {
    apiVersion: gatewayApi,
    kind: "ListenerSet",
    metadata: at("more"),
    spec: { parentRef: { name: "edge" }, listeners: [{ name: "more", port: 8081, protocol: "HTTP" }] },
  },
  {
    apiVersion: gatewayApi,
    kind: "GRPCRoute",
    metadata: at("calls"),
    spec: { parentRefs, hostnames, rules: [{ backendRefs }] },
  },
  {
    apiVersion: gatewayApi,
    kind: "TLSRoute",
    metadata: at("passed"),
    spec: { parentRefs, hostnames, rules: [{ backendRefs }] },
  },
  {
    apiVersion: gatewayApi,
    kind: "BackendTLSPolicy",
    metadata: at("checked"),
    spec: {
      targetRefs: [{ group: "", kind: "Service", name: "backend" }],
      validation: {
        hostname: "backend.test",
        caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "authorities" }],
      },
    },
  },
];

const judgesEveryKind: Claim = {
  title: "a ListenerSet, a GRPCRoute, a TLSRoute and a BackendTLSPolicy of a user are judged",
  prove: async (environment) => {
    const { kubectl, consumer } = environment;
    const kinds = ["listenersets", "grpcroutes", "tlsroutes", "backendtlspolicies"];
    const { value, afterMs } = await eventually("a status of each", 20_000, async () => {
      const list = (await kubectl.json(consumer.context, ["get", "-n", judged, kinds.join(",")])) as {
        items: { kind: string; status?: object }[];
      };
      const told = list.items.filter(({ status }) => JSON.stringify(status ?? {}).includes('"Accepted"'));
      return told.length === kinds.length ? told.map(({ kind }) => kind) : undefined;
    });
    return { kinds: value, afterMs };
  },
};

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
        .filter(({ isForbidden }) => isForbidden)
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
  setUp: async (environment) => {
    await applyObjects(environment, { in: environment.consumer, objects });
  },
  claims: [judgesEveryKind, refusedNothing, usedEverything, secretsAtHome],
  tearDown: async (environment) => {
    await deleteObjects(environment, { in: environment.consumer, objects: [namespace(judged)] });
  },
};
