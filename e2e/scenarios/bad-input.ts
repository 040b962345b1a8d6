/**
 * Users' mistakes, each told where it was made, with the reason and what to do; and all the while a good service that
 * stands beside them answers every request.
 */
import type { Claim, Scenario } from "../claim.ts";
import { must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import { deleteExample } from "../example.ts";
import { namespace } from "../manifests.ts";
import { applyObjects, deleteObjects } from "../mistake.ts";
import { failedRequests, probe } from "../traffic.ts";
import { payment } from "./payment.ts";
import { exportMistakes } from "./mistakes-exports.ts";
import { nameMistakes } from "./mistakes-names.ts";
import { peerMistakes } from "./mistakes-peers.ts";
import { policyMistakes } from "./mistakes-policies.ts";
import { ruleMistakes } from "./mistakes-rules.ts";

const namespaces = ["mistakes", "c", "b-c"].map(namespace);
let bystander: Bystander | undefined;

/** Requests to `payment`, one probe after the other, until it is asked how they went. */
class Bystander {
  #isOver = false;
  readonly #done: Promise<{ requests: number; failed: number; seen: string[] }>;

  constructor(environment: Environment) {
    this.#done = this.#run(environment);
    // Told when it is asked for.
    this.#done.catch(() => undefined);
  }

  async end(): Promise<{ requests: number; failed: number; seen: string[] }> {
    this.#isOver = true;
    return await this.#done;
  }

  async #run(environment: Environment): Promise<{ requests: number; failed: number; seen: string[] }> {
    const client = { cluster: environment.consumer, namespace: "secure", deployment: "client" };
    const total = { requests: 0, failed: 0, seen: [] as string[] };
    while (!this.#isOver) {
      const result = await probe(environment, client, [
        "http://payment-clusterset.secure.svc.cluster.local:8080/payment",
        "--duration",
        "5s",
        "--rate",
        "20",
        "--concurrency",
        "2",
      ]);
      const failed = failedRequests(result);
      total.requests += result.requests;
      total.failed += failed;
      if (failed > 0)
        total.seen.push(`${new Date().toISOString()} ${JSON.stringify([result.statuses, result.failures])}`);
    }
    return total;
  }
}

const disturbsNobody: Claim = {
  title: "a good service answered every request through all of it",
  prove: async () => {
    const evidence = (await bystander?.end()) ?? { requests: 0, failed: 0, seen: [] };
    must(evidence.requests > 100, "too few requests were sent", evidence);
    must(evidence.failed === 0, "requests failed", evidence);
    return { ...evidence };
  },
};

const eachCluster = async (environment: Environment, change: typeof applyObjects): Promise<void> => {
  // The third cluster has none of these namespaces: what is exported from them is not imported there.
  for (const cluster of [environment.consumer, ...environment.exporters.slice(0, 1)])
    await change(environment, { in: cluster, objects: namespaces });
};

export const badInput: Scenario = {
  title: "bad input: each mistake is told where it was made and disturbs nobody",
  setUp: async (environment, progress) => {
    await eachCluster(environment, applyObjects);
    await payment.setUp(environment, progress);
    bystander = new Bystander(environment);
  },
  claims: [
    ...policyMistakes,
    ...exportMistakes,
    ...ruleMistakes,
    ...nameMistakes,
    ...peerMistakes,
    disturbsNobody,
  ],
  tearDown: async (environment) => {
    await bystander?.end().catch(() => undefined);
    await eachCluster(environment, deleteObjects);
    await deleteExample(environment, "payment");
  },
};
