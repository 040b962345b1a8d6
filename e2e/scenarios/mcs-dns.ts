/** Names of the cluster set, asked for in Pods of every cluster through real CoreDNS, and the address that they lead to. */
import type { InstallTarget } from "../../src/lab/install.ts";
import { kinds } from "../../src/model/kinds.ts";
import type { Claim } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import {
  exportOf,
  headless,
  helloDeployment,
  helloService,
  helloStatefulSet,
  mcsNamespace,
} from "../mcs-manifests.ts";
import type { HelloPort } from "../mcs-manifests.ts";
import { applyIn, ask, importsThat, mcsSlicesIn, seen, suiteWaitMs, unexport } from "../mcs.ts";
import type { SeenImport } from "../mcs.ts";

const zone = "svc.clusterset.local";
/** The suite's ports, with a name that says HTTP. */
const ports: readonly HelloPort[] = [
  { name: "http", port: 42 },
  { name: "udp", port: 42, protocol: "UDP" },
];
const fullName = (name: string, suffix = zone): string => `${name}.${mcsNamespace}.${suffix}.`;

/** What nslookup says of a name: addresses, or SRV records as `<port> <target>`, sorted; `NXDOMAIN` if the name isn't there. */
async function lookUp(
  environment: Environment,
  cluster: InstallTarget,
  { name, type = "A" }: { readonly name: string; readonly type?: "A" | "AAAA" | "SRV" },
): Promise<string[]> {
  const said = await ask(environment, cluster, `nslookup -type=${type} ${name}`);
  if (said.includes("NXDOMAIN")) return ["NXDOMAIN"];
  const pattern = type === "SRV" ? /service = \d+ \d+ (\d+ \S+)/g : /Name:\s+\S+\s+Address: (\S+)/g;
  return [...said.matchAll(pattern)].map(([, found]) => found ?? "").sort();
}

/** Waits until every cluster gives the same answer to a question; `expected` in any order. */
async function answerIs(
  environment: Environment,
  question: Parameters<typeof lookUp>[2] & { readonly in?: readonly InstallTarget[] },
  expected: (cluster: InstallTarget) => readonly string[],
): Promise<Record<string, readonly string[]>> {
  const evidence: Record<string, readonly string[]> = {};
  for (const cluster of question.in ?? environment.clusters) {
    const wanted = JSON.stringify([...expected(cluster)].sort());
    let last: readonly string[] = [];
    await eventually(`${wanted} for ${question.name} in ${cluster.id}`, suiteWaitMs, async () => {
      last = await lookUp(environment, cluster, question);
      return JSON.stringify(last) === wanted ? true : undefined;
    }).catch((error: unknown) => {
      throw new Error(`${question.name} in ${cluster.id} gives ${JSON.stringify(last)}, not ${wanted}`, {
        cause: error,
      });
    });
    evidence[cluster.id] = last;
  }
  return evidence;
}

/** Exports the service from a cluster and gives each cluster's address of it. */
async function exported(
  environment: Environment,
  name: string,
): Promise<Map<InstallTarget, readonly string[]>> {
  const imports = await importsThat(environment, name, {
    what: "an address",
    holds: ({ spec }) => (spec.ips ?? []).length > 0,
  });
  return new Map(environment.clusters.map((cluster, index) => [cluster, imports[index]?.spec.ips ?? []]));
}

const clusterSetIP: Claim = {
  title:
    "a service's name gives the address of each cluster's own import, one SRV record for two protocols of one port, and nothing of another family",
  prove: async (environment) => {
    const name = "named";
    const { consumer } = environment;
    await applyIn(
      environment,
      consumer,
      helloService(name, { ports }),
      helloDeployment(name),
      exportOf(name),
    );
    const ips = await exported(environment, name);
    const a = await answerIs(environment, { name: fullName(name) }, (cluster) => ips.get(cluster) ?? []);
    const srv = await answerIs(environment, { name: fullName(name), type: "SRV" }, () => [
      `42 ${fullName(name)}`,
    ]);
    await answerIs(environment, { name: `_http._tcp.${fullName(name)}`, type: "SRV" }, () => [
      `42 ${fullName(name)}`,
    ]);
    await answerIs(environment, { name: fullName(name), type: "AAAA" }, () => []);
    await answerIs(environment, { name: `${consumer.id}.${fullName(name)}` }, () => ["NXDOMAIN"]);
    return { a, srv };
  },
};

const clusterLocal: Claim = {
  title: "cluster.local goes on to name the cluster's own Services only",
  prove: async (environment) => {
    const { consumer, exporters } = environment;
    const [name, local] = ["named", "svc.cluster.local"];
    const service = (await seen(environment, consumer, { kind: kinds.Service, name })) as {
      spec: { clusterIP: string };
    };
    const here = await answerIs(environment, { name: fullName(name, local), in: [consumer] }, () => [
      service.spec.clusterIP,
    ]);
    await answerIs(environment, { name: fullName(name, local), in: exporters }, () => ["NXDOMAIN"]);
    return here;
  },
};

const noneReady: Claim = {
  title: "a name is NXDOMAIN while no endpoint is ready, and after the end of the export",
  prove: async (environment) => {
    const name = "named";
    const { consumer, kubectl } = environment;
    const scale = (replicas: number): Promise<string> =>
      kubectl.run(consumer.context, [
        "scale",
        "-n",
        mcsNamespace,
        `deployment/${name}`,
        `--replicas=${replicas}`,
      ]);
    const ips = await exported(environment, name);
    await scale(0);
    await answerIs(environment, { name: fullName(name) }, () => ["NXDOMAIN"]);
    await scale(1);
    const again = await answerIs(environment, { name: fullName(name) }, (cluster) => ips.get(cluster) ?? []);
    await unexport(environment, consumer, name);
    await answerIs(environment, { name: fullName(name) }, () => ["NXDOMAIN"]);
    return again;
  },
};

const headlessNames: Claim = {
  title: "a headless service's name gives the addresses of its ready Pods, and SRV one record for each",
  prove: async (environment) => {
    const name = "headless-named";
    const { consumer } = environment;
    await applyIn(
      environment,
      consumer,
      helloService(name, { ports, ...headless }),
      helloDeployment(name, { replicas: 2 }),
      exportOf(name),
    );
    const addresses = await readyPods(environment, consumer, { app: name, count: 2 });
    const a = await answerIs(environment, { name: fullName(name) }, () => addresses);
    const targets = addresses.map(
      (address) => `42 ${address.replaceAll(".", "-")}.${consumer.id}.${fullName(name)}`,
    );
    const srv = await answerIs(environment, { name: fullName(name), type: "SRV" }, () => targets);
    return { a, srv };
  },
};

const hostNames: Claim = {
  title:
    "Pods of a StatefulSet have names of their own: <hostname>.<cluster>.<service>, from two clusters that both have a Pod of the name",
  prove: async (environment) => {
    const name = "stateful";
    const { consumer, exporters } = environment;
    const sources = [consumer, ...exporters.slice(0, 1)];
    for (const cluster of sources)
      await applyIn(
        environment,
        cluster,
        helloService(name, { ports, ...headless }),
        helloStatefulSet(name, 2),
        exportOf(name),
      );
    const evidence: Record<string, unknown> = {};
    for (const source of sources) {
      const addresses = await readyPods(environment, source, { app: name, count: 2 });
      const endpoints = await mcsEndpoints(environment, { name, source: source.id, count: 2 });
      must(
        JSON.stringify(endpoints.map(([, address]) => address).sort()) === JSON.stringify(addresses),
        "the slices hold other addresses than the Pods have",
        { endpoints, addresses },
      );
      for (const [hostname, address] of endpoints)
        await answerIs(environment, { name: `${hostname}.${source.id}.${fullName(name)}` }, () => [address]);
      evidence[source.id] = endpoints;
    }
    return evidence;
  },
};

/** Host names and addresses in the slices of one source cluster, as the consumer has them. */
async function mcsEndpoints(
  environment: Environment,
  { name, source, count }: { readonly name: string; readonly source: string; readonly count: number },
): Promise<[string, string][]> {
  const { value } = await eventually(
    `${count} endpoints of ${name} from ${source}`,
    suiteWaitMs,
    async () => {
      const slices = await mcsSlicesIn(environment, environment.consumer, name);
      const endpoints = slices
        .filter(({ metadata }) => metadata.labels["multicluster.kubernetes.io/source-cluster"] === source)
        .flatMap((slice) => slice.endpoints)
        .filter(({ conditions }) => conditions.ready === true)
        .map(({ hostname = "", addresses }): [string, string] => [hostname, addresses[0] ?? ""]);
      return endpoints.length === count ? endpoints : undefined;
    },
  );
  return value;
}

async function readyPods(
  environment: Environment,
  cluster: InstallTarget,
  { app, count }: { readonly app: string; readonly count: number },
): Promise<string[]> {
  const { value } = await eventually(`${count} Pods of ${app}`, suiteWaitMs, async () => {
    const { items } = (await environment.kubectl.json(cluster.context, [
      "get",
      "pods",
      "-n",
      mcsNamespace,
      "-l",
      `app=${app}`,
    ])) as {
      items: { status: { podIP?: string; conditions?: { type: string; status: string }[] } }[];
    };
    const ready = items.filter(({ status }) =>
      status.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"),
    );
    return ready.length === count ? ready.map(({ status }) => status.podIP ?? "").sort() : undefined;
  });
  return value;
}

const stableAddress: Claim = {
  title:
    "an import's address is the same after its shadow Service was deleted and after every controller was restarted",
  prove: async (environment) => {
    const name = "stable";
    const { consumer, exporters, kubectl } = environment;
    const [importer = consumer] = exporters;
    await applyIn(
      environment,
      consumer,
      helloService(name, { ports }),
      helloDeployment(name),
      exportOf(name),
    );
    const ips = (await exported(environment, name)).get(importer) ?? [];
    const shadow = { kind: kinds.Service, name: `${name}-clusterset` };
    const uidOf = async (): Promise<string | undefined> =>
      ((await seen(environment, importer, shadow)) as { metadata: { uid: string } } | undefined)?.metadata
        .uid;
    const before = await uidOf();
    await kubectl.run(importer.context, ["delete", "service", "-n", mcsNamespace, shadow.name]);
    const { afterMs } = await eventually("a new shadow", suiteWaitMs, async () => {
      const uid = await uidOf();
      return uid !== undefined && uid !== before ? true : undefined;
    });
    const same = ({ spec }: SeenImport): boolean => JSON.stringify(spec.ips) === JSON.stringify(ips);
    await importsThat(environment, name, { what: "the same address", holds: same, in: [importer] });
    await answerIs(environment, { name: fullName(name), in: [importer] }, () => ips);
    const controller = ["-n", "mc-wan-system", "deployment/mc-wan-controller"];
    await kubectl.run(importer.context, ["rollout", "restart", ...controller]);
    await kubectl.run(importer.context, ["rollout", "status", ...controller, "--timeout=90s"]);
    await importsThat(environment, name, { what: "the same address", holds: same, in: [importer] });
    await answerIs(environment, { name: fullName(name), in: [importer] }, () => ips);
    return { ips, shadowAgainAfterMs: afterMs };
  },
};

/** All of them, in an order: some go on with what the one before has made. */
export const dnsClaims: readonly Claim[] = [
  clusterSetIP,
  clusterLocal,
  noneReady,
  headlessNames,
  hostNames,
  stableAddress,
];
