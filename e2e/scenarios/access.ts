/**
 * An AccessPolicy that names a service account of another cluster, over a policy of mode MutualTLS: the exporter's ingress
 * gateways let its Pods in and nobody else, on the word of the consumer's egress gateways.
 */
import { clientHeader } from "../../src/model/names.ts";
import type { Claim, Scenario } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import { rollout } from "../example.ts";
import type { Workload } from "../example.ts";
import { echo, namespace, service, serviceExport, wanPolicy } from "../manifests.ts";
import { applyObjects, deleteObjects } from "../mistake.ts";
import type { Manifest } from "../mistake.ts";
import { probe } from "../traffic.ts";
import { crossings } from "../wire.ts";

const own = "vault";
const ledger = { name: "ledger", namespace: own };
const policyName = "secured";
const policyPort = 31_130;
const base = "http://ledger.vault.svc.clusterset.local:8080";
const policy = wanPolicy(policyName, { tunnel: "business", port: policyPort, mode: "MutualTLS" });

/** A Deployment whose Pods are clients, of a service account. */
function clientsOf(name: string, serviceAccountName: string): Manifest {
  const { spec, ...deployment } = echo({ name, namespace: own }, 1) as Manifest & {
    readonly spec: { readonly template: { readonly spec: object } };
  };
  const { template } = spec;
  return {
    ...deployment,
    spec: { ...spec, template: { ...template, spec: { ...template.spec, serviceAccountName } } },
  };
}

const account = (name: string): Manifest => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: { name, namespace: own },
});

const client = ({ consumer }: Environment, deployment: string): Workload => ({
  cluster: consumer,
  namespace: own,
  deployment,
});

const exporterOf = ({ exporters: [first] }: Environment): Environment["consumer"] => {
  must(first !== undefined, "there is no exporter", {});
  return first;
};

const accessPolicy = (cluster: string): Manifest => ({
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "AccessPolicy",
  metadata: ledger,
  spec: {
    targetRefs: [{ group: "multicluster.x-k8s.io", kind: "ServiceExport", name: "ledger" }],
    rules: [
      { from: [{ cluster, namespace: own, serviceAccount: "reader" }], to: [{ methods: ["GET"] }] },
      { from: [{ cluster }], to: [{ path: { value: "/open" } }] },
    ],
  },
});

/** The answers that a client gets to requests, each over a connection of its own. */
async function statuses(
  environment: Environment,
  deployment: string,
  [path, ...args]: readonly [string, ...string[]],
): Promise<Readonly<Record<string, number>>> {
  const all = [`${base}${path}`, "--count", "10", ...args];
  return (await probe(environment, client(environment, deployment), all)).statuses;
}

const told: Claim = {
  title:
    "the Pods of the service account that a rule names are let in, over mutual TLS; no others, and no forged header",
  needsLab: true,
  prove: async (environment) => {
    const { result: seen, crossed } = await crossings(environment, environment.consumer.id, async () => ({
      reader: await statuses(environment, "reader", ["/read"]),
      readerPosts: await statuses(environment, "reader", ["/read", "--method", "POST"]),
      other: await statuses(environment, "other", ["/read"]),
      forged: await statuses(environment, "other", ["/read", "--header", `${clientHeader}:${own}/reader`]),
      otherAsks: await statuses(environment, "other", ["/open"]),
    }));
    const ports = [...new Set(crossed.filter(({ bytes }) => bytes > 0).map(({ port }) => port))];
    const evidence = { ...seen, ports };
    const wanted = { reader: 200, readerPosts: 403, other: 403, forged: 403, otherAsks: 200 };
    for (const [who, status] of Object.entries(wanted))
      must(seen[who as keyof typeof wanted][String(status)] === 10, `${who} got something else`, evidence);
    must(ports.length === 1 && ports[0] === policyPort, "something went another way", evidence);
    return evidence;
  },
};

const follows: Claim = {
  title: "Pods that take the place of others are known by their new addresses",
  prove: async (environment) => {
    const { kubectl, consumer } = environment;
    const addressOf = async (): Promise<string[]> => {
      const list = (await kubectl.json(consumer.context, ["get", "pods", "-n", own, "-l", "app=reader"])) as {
        items: { status: { podIP?: string; phase: string } }[];
      };
      return list.items.flatMap(({ status }) => status.podIP ?? []);
    };
    const before = await addressOf();
    await kubectl.run(consumer.context, ["rollout", "restart", "-n", own, "deployment/reader"]);
    await rollout(environment, client(environment, "reader"));
    const { value: after } = await eventually("the end of the earlier Pod", 60_000, async () => {
      const now = await addressOf();
      return now.length === 1 ? now : undefined;
    });
    const seen = await statuses(environment, "reader", ["/read"]);
    const evidence = { before, after, seen };
    must(before[0] !== after[0], "the Pod has the address of the one before", evidence);
    must(seen["200"] === 10, "a new Pod is not known", evidence);
    return evidence;
  },
};

const leaves: Claim = {
  title: "an account that no rule names any more is refused",
  prove: async (environment) => {
    const { kubectl } = environment;
    const exporter = exporterOf(environment);
    const patch = JSON.stringify([{ op: "remove", path: "/spec/rules/0" }]);
    await kubectl.run(exporter.context, [
      ...["patch", "-n", own, "accesspolicy", "ledger", "--type=json", "-p", patch],
    ]);
    const { afterMs } = await eventually("403", 20_000, async () =>
      (await statuses(environment, "reader", ["/read"]))["403"] === 10 ? true : undefined,
    );
    return { afterMs, open: await statuses(environment, "reader", ["/open"]) };
  },
};

const limited: Claim = {
  title: "an import's limit answers 429 in the calling cluster to what is more, until it is taken off",
  needsLab: true,
  prove: async (environment) => {
    const { kubectl, consumer } = environment;
    const rules: Manifest = {
      apiVersion: "mc-wan.l7mp.io/v1alpha1",
      kind: "ServiceImport",
      metadata: ledger,
      spec: { limits: { requestsPerSecond: 5 } },
    };
    const ask = async (): Promise<Readonly<Record<string, number>>> =>
      (await probe(environment, client(environment, "other"), [`${base}/open`, "--count", "200"])).statuses;
    await applyObjects(environment, { in: consumer, objects: [rules] });
    const { value: condition } = await eventually("LimitsApplied", 20_000, async () => {
      const { status } = (await kubectl.json(consumer.context, [
        ...["get", "serviceimports.mc-wan.l7mp.io", "-n", own, "ledger"],
      ])) as { status?: { conditions?: { type: string; status: string; message: string }[] } };
      return status?.conditions?.find(({ type }) => type === "LimitsApplied");
    });
    const { value: seen } = await eventually("429", 20_000, async () => {
      const found = await crossings(environment, consumer.id, ask);
      return (found.result["429"] ?? 0) > 0 ? found : undefined;
    });
    await deleteObjects(environment, { in: consumer, objects: [rules] });
    const { afterMs } = await eventually("200 for all", 20_000, async () =>
      (await ask())["200"] === 200 ? true : undefined,
    );
    const evidence = { condition, answers: seen.result, crossed: seen.crossed, afterMs };
    must(condition.status === "True", "the limit is not told as applied", evidence);
    must((seen.result["200"] ?? 0) > 0, "nobody was let through", evidence);
    must(Object.keys(seen.result).sort().join() === "200,429", "there are other answers", evidence);
    return evidence;
  },
};

export const access: Scenario = {
  title: "access: who may call, by cluster, namespace and service account, and how often",
  setUp: async (environment, progress) => {
    const { clusters, consumer } = environment;
    const exporter = exporterOf(environment);
    for (const cluster of clusters)
      await applyObjects(environment, { in: cluster, objects: [namespace(own), policy] });
    const ports = [{ name: "http", port: 8080, targetPort: "http" }];
    await applyObjects(environment, {
      in: exporter,
      objects: [
        echo(ledger),
        service(ledger, { selector: { app: "ledger" }, ports }),
        serviceExport(ledger, policyName),
        accessPolicy(consumer.id),
      ],
    });
    await applyObjects(environment, {
      in: consumer,
      objects: [
        account("reader"),
        account("other"),
        clientsOf("reader", "reader"),
        clientsOf("other", "other"),
      ],
    });
    await Promise.all([
      rollout(environment, { cluster: exporter, namespace: own, deployment: "ledger" }),
      ...["reader", "other"].map((name) => rollout(environment, client(environment, name))),
    ]);
    await eventually("answers to both clients", 60_000, async () => {
      const [one, two] = [
        await statuses(environment, "reader", ["/read"]),
        await statuses(environment, "other", ["/open"]),
      ];
      return one["200"] === 10 && two["200"] === 10 ? true : undefined;
    });
    progress("access: the service answers those that it lets in");
  },
  claims: [told, follows, leaves, limited],
  tearDown: async (environment) => {
    for (const cluster of environment.clusters)
      await deleteObjects(environment, { in: cluster, objects: [namespace(own), policy] });
  },
};
