/**
 * A service of two clusters behind WANPolicies of mode MutualTLS, one on each tunnel, and one of mode Plain to compare with;
 * the third cluster's rules choose between them by path.
 */
import type { InstallTarget } from "../src/lab/install.ts";
import { systemNamespace } from "../src/model/names.ts";
import { eventually } from "./claim.ts";
import type { Environment } from "./environment.ts";
import { rollout } from "./example.ts";
import type { Workload } from "./example.ts";
import {
  client,
  echo,
  namespace,
  overPolicy,
  rules,
  service,
  serviceExport,
  wanPolicy,
} from "./manifests.ts";
import { applyObjects, deleteObjects } from "./mistake.ts";
import type { Manifest } from "./mistake.ts";
import { probe } from "./traffic.ts";

/** Names of all that is here: the namespace, and the service in it. */
export const sealed = { namespace: "sealed", name: "vault" };
/** The policies, and the path that the rules send over each. */
export const sealedPolicies = {
  business: {
    name: "sealed-business",
    tunnel: "business",
    port: 31_151,
    mode: "MutualTLS",
    path: "/business",
  },
  default: { name: "sealed-default", tunnel: "default", port: 31_152, mode: "MutualTLS", path: "/default" },
  open: { name: "open-business", tunnel: "business", port: 31_153, mode: "Plain", path: "/open" },
} as const;
const all = Object.values(sealedPolicies);

/** Without a path. */
export const sealedUrl = `http://${sealed.name}.${sealed.namespace}.svc.clusterset.local:8080`;
/** The name that gateways ask each other for. */
export const sealedHost = `${sealed.name}.${sealed.namespace}.svc.clusterset.local`;

/** An object of the namespace. */
export const inSealed = (name: string): { name: string; namespace: string } => ({
  name,
  namespace: sealed.namespace,
});

/** The Pod of the consumer's cluster to call from. */
export const sealedClient = ({ consumer }: Environment): Workload => ({
  cluster: consumer,
  namespace: sealed.namespace,
  deployment: "client",
});

/** A Service that leads to the Pods of {@link sealed}. */
export const sealedService = (name: string): Manifest =>
  service(inSealed(name), {
    selector: { app: sealed.name },
    ports: [{ name: "http", port: 8080, targetPort: "http" }],
  });

const policies = all.map(({ name, tunnel, port, mode }) => wanPolicy(name, { tunnel, port, mode }));

/** Makes all of it; fulfils when both exporters answer over every policy. */
export async function openSealed(environment: Environment): Promise<void> {
  const { clusters, consumer, exporters } = environment;
  const { name } = sealed;
  await Promise.all(
    clusters.map((cluster) =>
      applyObjects(environment, { in: cluster, objects: [namespace(sealed.namespace), ...policies] }),
    ),
  );
  const choices = all.map((policy) => ({
    matches: [{ path: { type: "PathPrefix", value: policy.path } }],
    backendRefs: [overPolicy(policy.name)],
  }));
  await applyObjects(environment, {
    in: consumer,
    objects: [client(inSealed("client")), rules(sealed, choices)],
  });
  await Promise.all(
    exporters.map((cluster) =>
      applyObjects(environment, {
        in: cluster,
        objects: [echo(sealed), sealedService(name), serviceExport(sealed, sealedPolicies.business.name)],
      }),
    ),
  );
  await Promise.all([
    ...exporters.map((cluster) =>
      rollout(environment, { cluster, namespace: sealed.namespace, deployment: name }),
    ),
    rollout(environment, sealedClient(environment)),
  ]);
  for (const { path } of all)
    await eventually(`answers of both exporters to ${path}`, 60_000, async () => {
      const result = await probe(environment, sealedClient(environment), [
        ...[`${sealedUrl}${path}`, "--count", "40"],
      ]);
      const isAnswered = result.statuses["200"] === 40 && Object.keys(result.clusters).length === 2;
      return isAnswered ? true : undefined;
    });
}

/** Deletes all of it; fulfils when it is gone. */
export async function closeSealed(environment: Environment): Promise<void> {
  await Promise.all(
    environment.clusters.map((cluster) =>
      deleteObjects(environment, { in: cluster, objects: [namespace(sealed.namespace), ...policies] }),
    ),
  );
}

/** What a cluster tells of its ingress gateways. */
export interface SeenPool {
  readonly spec: {
    readonly endpoints: readonly {
      readonly address: string;
      readonly ports: Readonly<Record<string, number>>;
      readonly modes?: Readonly<Record<string, string>>;
    }[];
    readonly identity?: {
      readonly bundle: string;
      readonly trusted?: readonly { readonly cluster: string; readonly fingerprint: string }[];
    };
  };
}

/** Reads it. */
export const poolOf = async ({ kubectl }: Environment, { context }: InstallTarget): Promise<SeenPool> =>
  (await kubectl.json(context, [
    ...["get", "-n", systemNamespace, "gatewayadvertisements.mc-wan.l7mp.io/mc-wan-ingress"],
  ])) as SeenPool;
