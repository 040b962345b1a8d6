/**
 * A WANPolicy's port changes in one cluster after another while it is in use: what differs meanwhile is told on both sides,
 * traffic goes on at what each receiver listens on, and each old port closes when the last peer has left it.
 */
import { lingerMs } from "../../src/serve/linger.ts";
import type { InstallTarget } from "../../src/lab/install.ts";
import type { Claim, Scenario } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import { conditionOf } from "../objects.ts";
import { Load } from "../traffic.ts";
import { payment } from "./payment.ts";

const policy = "sd-wan-priority-high";
const oldPort = 31_111;
const newPort = 31_113;
const url = "http://payment-clusterset.secure.svc.cluster.local:8080/payment";

interface Pool {
  readonly spec: {
    readonly endpoints: readonly { readonly ports: Readonly<Record<string, number>> }[];
    readonly draining?: readonly { readonly policy: string; readonly port: number }[];
  };
  readonly status?: {
    readonly peers?: readonly {
      readonly cluster: string;
      readonly sendsTo?: Readonly<Record<string, readonly number[]>>;
    }[];
  };
}

const poolOf = async ({ kubectl }: Environment, { context }: InstallTarget): Promise<Pool> =>
  (await kubectl.json(context, [
    "get",
    "-n",
    "mc-wan-system",
    "gatewayadvertisements.mc-wan.l7mp.io/mc-wan-ingress",
  ])) as Pool;

const setPort = async ({ kubectl }: Environment, { context }: InstallTarget, port: number): Promise<void> => {
  const patch = JSON.stringify({ spec: { port } });
  await kubectl.run(context, ["patch", "wanpolicy", policy, "--type=merge", "-p", patch]);
};

/** Whether the cluster's gateways, if it exports anything, are advertised at the port and listen at no other for the policy. */
const isAt = ({ spec }: Pool, port: number): boolean =>
  spec.endpoints.every(({ ports }) => ports[policy] === port) && (spec.draining ?? []).length === 0;

/** What the policy says in a cluster of how it compares with the others'. */
const consistency = (environment: Environment, cluster: InstallTarget): ReturnType<typeof conditionOf> =>
  conditionOf(environment, { cluster, object: `wanpolicy/${policy}` }, "Consistent");

const losesNothing: Claim = {
  title:
    "a WAN policy's port changes in one cluster after another under load: no request is lost, what differs is told on both sides, each old port closes once its peers say that they have left it",
  needsLab: true,
  prove: async (environment) => {
    const { clusters, consumer, exporters } = environment;
    const [first] = exporters;
    must(first !== undefined, "there is no exporter", {});
    const load = new Load(environment, { cluster: consumer, namespace: "secure", deployment: "client" }, [
      ...[url, "--rate", "100", "--concurrency", "8"],
    ]);
    const closedAfterMs: Record<string, number> = {};
    const told: Record<string, string> = {};
    try {
      for (const cluster of [...exporters, consumer]) {
        await setPort(environment, cluster, newPort);
        if (cluster === first) {
          for (const [at, who] of [
            [first, consumer],
            [consumer, first],
          ] as const) {
            const { value } = await eventually(`Consistent=False at ${at.id}`, 30_000, async () => {
              const seen = await consistency(environment, at);
              return seen?.reason === "DiffersFromPeer" && seen.message.includes(`"${who.id}" has port`)
                ? seen
                : undefined;
            });
            told[at.id] = value.message;
          }
        }
        const { afterMs } = await eventually(`the old port of ${cluster.id} closing`, 60_000, async () =>
          isAt(await poolOf(environment, cluster), newPort) ? true : undefined,
        );
        closedAfterMs[cluster.id] = afterMs;
      }
      // What lingers for connections on their way is closed under load too.
      await new Promise((resolve) => setTimeout(resolve, lingerMs + 1_000));
    } catch (error) {
      await load.end().catch(() => undefined);
      throw error;
    }
    const result = await load.end();
    const pools = await Promise.all(clusters.map((cluster) => poolOf(environment, cluster)));
    const echoes = pools.flatMap(({ status }) =>
      (status?.peers ?? [])
        .filter(({ cluster }) => exporters.some(({ id }) => id === cluster))
        .map(({ sendsTo }) => sendsTo?.[policy] ?? []),
    );
    const evidence = { closedAfterMs, told, echoes, ...result };
    must(result.requests >= 1000, "too few requests were sent", evidence);
    must(result.failed === 0, "requests were lost", evidence);
    must(
      echoes.every((ports) => ports.length === 1 && ports[0] === newPort),
      "a peer says that it still sends to an old port",
      evidence,
    );
    await eventually("Consistent=True everywhere", 30_000, async () => {
      const all = await Promise.all(clusters.map((cluster) => consistency(environment, cluster)));
      return all.every((seen) => seen?.status === "True") ? true : undefined;
    });
    return evidence;
  },
};

export const portChange: Scenario = {
  title: "port-change: a policy's port moves from cluster to cluster",
  setUp: payment.setUp,
  claims: [losesNothing],
  tearDown: async (environment) => {
    for (const cluster of environment.clusters) await setPort(environment, cluster, oldPort);
    await eventually("the policies' ports as before", 90_000, async () => {
      const pools = await Promise.all(environment.clusters.map((cluster) => poolOf(environment, cluster)));
      return pools.every((pool) => isAt(pool, oldPort)) ? true : undefined;
    });
    await payment.tearDown(environment);
  },
};
