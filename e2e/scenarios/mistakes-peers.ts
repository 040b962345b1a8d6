/** Mistakes in peers' Secrets: told by an Event at the Secret, and by the WANPolicies that can't be compared. */
import { systemNamespace, labels } from "../../src/model/names.ts";
import type { Claim } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import type { Manifest } from "../mistake.ts";
import { applyObjects, deleteObjects } from "../mistake.ts";
import { conditionOf } from "../objects.ts";

const peerSecret = (id: string, kubeconfig: string | undefined): Manifest => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: `peer-${id}`, namespace: systemNamespace, labels: { [labels.peer]: id } },
  stringData: kubeconfig === undefined ? { other: "x" } : { kubeconfig },
});

const kubeconfig = (server: string, user: object): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "x",
    clusters: [{ name: "x", cluster: { server } }],
    users: [{ name: "x", user }],
    contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
  });

interface SecretMistake {
  readonly id: string;
  readonly kubeconfig: string | undefined;
  readonly says: readonly RegExp[];
  /** Whether the WANPolicies say so as well: the Secret stands for a peer. */
  readonly inPolicies: boolean;
}

/** The Event at the Secret that stands now, not at one of the same name before. */
async function eventAt(environment: Environment, secret: string): Promise<string | undefined> {
  const { metadata } = (await environment.kubectl.json(environment.consumer.context, [
    "get",
    "secret",
    "-n",
    systemNamespace,
    secret,
  ])) as { metadata: { uid: string } };
  const { items } = (await environment.kubectl.json(environment.consumer.context, [
    "get",
    "events",
    "-n",
    systemNamespace,
    "--field-selector",
    `involvedObject.kind=Secret,involvedObject.name=${secret},type=Warning`,
  ])) as { items: { message: string; involvedObject: { uid?: string } }[] };
  return items.find(({ involvedObject }) => involvedObject.uid === metadata.uid)?.message;
}

function isTold(title: string, mistake: SecretMistake): Claim {
  return {
    title,
    prove: async (environment) => {
      const secret = peerSecret(mistake.id, mistake.kubeconfig);
      const placed = { in: environment.consumer, objects: [secret] };
      try {
        await applyObjects(environment, placed);
        const { value: event } = await eventually("an Event at the Secret", 30_000, () =>
          eventAt(environment, secret.metadata.name),
        );
        for (const words of mistake.says)
          must(words.test(event), `the Event misses ${String(words)}`, { event });
        if (!mistake.inPolicies) return { event };
        const { value: condition } = await eventually("a condition at the WANPolicies", 30_000, async () => {
          const seen = await conditionOf(
            environment,
            { cluster: environment.consumer, object: "wanpolicy/sd-wan-priority-high" },
            "Consistent",
          );
          return seen?.status === "Unknown" && seen.message.includes(`"${mistake.id}" (`) ? seen : undefined;
        });
        for (const words of mistake.says)
          must(words.test(condition.message), `the condition misses ${String(words)}`, { condition });
        return { event, condition: condition.message };
      } finally {
        await deleteObjects(environment, placed);
      }
    },
  };
}

export const peerMistakes = [
  isTold("a peer's Secret without a kubeconfig is told by an Event", {
    id: "no-kubeconfig",
    kubeconfig: undefined,
    says: [/no kubeconfig/, /Put one under the key kubeconfig/],
    inPolicies: false,
  }),
  isTold("a peer's kubeconfig that can't be parsed is told", {
    id: "broken",
    kubeconfig: "clusters: [",
    says: [/can't be parsed/, /Write it again/],
    inPolicies: true,
  }),
  isTold("a peer's kubeconfig with an exec plugin is refused and told", {
    id: "exec",
    kubeconfig: kubeconfig("https://198.18.3.1:6443", {
      exec: {
        apiVersion: "client.authentication.k8s.io/v1",
        command: "/bin/false",
        interactiveMode: "Never",
      },
    }),
    says: [/exec/, /service account's token/],
    inPolicies: true,
  }),
  isTold("a peer's kubeconfig that points nowhere is told", {
    id: "nowhere",
    kubeconfig: kubeconfig("https://127.0.0.1:1", { token: "none" }),
    says: [/can't be reached|unreachable|not reach/i, /[Cc]heck/],
    inPolicies: true,
  }),
];
