/** TCP between whole clusters: by name, over a policy of each mode, whole, and over the tunnel that was asked for. */
import { must } from "../claim.ts";
import type { Claim, Scenario } from "../claim.ts";
import type { Environment } from "../environment.ts";
import { eventually } from "../claim.ts";
import { rollout } from "../example.ts";
import type { Workload } from "../example.ts";
import { runInPod } from "../in-pod.ts";
import type { Conversation } from "../inside/converse.ts";
import { client, namespace, overPolicy, service, serviceExport, wanPolicy } from "../manifests.ts";
import { applyObjects, deleteObjects } from "../mistake.ts";
import type { Manifest } from "../mistake.ts";
import { crossings } from "../wire.ts";

const streams = "streams";
const port = 5432;
const at = (name: string): { name: string; namespace: string } => ({ name, namespace: streams });
const mebibyte = 1024 * 1024;
const transferBytes = 100 * 1_000_000;
const silenceMs = 30_000;

const policies = {
  open: { name: "streams-open", tunnel: "business", port: 31_161, mode: "Plain" },
  sealed: { name: "streams-sealed", tunnel: "business", port: 31_162, mode: "MutualTLS" },
  other: { name: "streams-other", tunnel: "default", port: 31_163, mode: "MutualTLS" },
} as const;
type Policy = (typeof policies)[keyof typeof policies];
/** Services by the policy under which they are exported; one is sent elsewhere by its import. */
const exported = { open: policies.open, sealed: policies.sealed, moved: policies.sealed } as const;
type StreamService = keyof typeof exported;

const ofPolicies = Object.values(policies).map(({ name, ...spec }) => wanPolicy(name, spec));

/** Whatever comes goes back, and the end after it. */
const echoServer = `require("node:net").createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", () => {});
  socket.pipe(socket);
}).listen(${port});
process.on("SIGTERM", () => process.exit());`;

const echoPods: Manifest = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: at("echo"),
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: "echo" } },
    template: {
      metadata: { labels: { app: "echo" } },
      spec: {
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: "echo",
            image: "docker.io/library/node:24-slim",
            command: ["node", "-e", echoServer],
            ports: [{ name: "tcp-echo", containerPort: port }],
            readinessProbe: { tcpSocket: { port: "tcp-echo" }, periodSeconds: 1 },
          },
        ],
      },
    },
  },
};

const exportedObjects = Object.entries(exported).flatMap(([name, policy]) => [
  service(at(name), {
    selector: { app: "echo" },
    ports: [{ name: "tcp-echo", port, targetPort: "tcp-echo" }],
  }),
  serviceExport(at(name), policy.name),
]);

const moved: Manifest = {
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "ServiceImport",
  metadata: at("moved"),
  spec: { tcp: { backendRefs: [overPolicy(policies.other.name)] } },
};

const clientOf = ({ consumer }: Environment): Workload => ({
  cluster: consumer,
  namespace: streams,
  deployment: "client",
});

const converse = (
  environment: Environment,
  name: StreamService,
  { silentMs = 0, bytes }: { readonly silentMs?: number; readonly bytes: number },
): Promise<Conversation> =>
  runInPod(environment, clientOf(environment), {
    program: "converse.ts",
    args: [`${name}.${streams}.svc.clusterset.local`, port, silentMs, bytes],
  });

/** Holds that all came back in order: both words, every byte, and the server's end. */
function mustBeWhole(seen: Conversation, bytes: number): void {
  must(seen.error === "" && seen.words === 2 && seen.isEnded, "the conversation broke off", { ...seen });
  must(
    seen.sentBytes === bytes && seen.receivedBytes === bytes && seen.received === seen.sent,
    "what came back is not what was sent",
    { ...seen },
  );
}

/** 100 MB there and back, whole, and over one tunnel and port. */
function carries(name: StreamService, { mode, tunnel, port: policyPort }: Policy, why = ""): Claim {
  return {
    title: `100 MB there and back over a policy of mode ${mode}${why}, the client's end first: the sum is the same, and the bytes went over ${tunnel} on port ${policyPort}`,
    needsLab: true,
    prove: async (environment) => {
      const { result, crossed } = await crossings(environment, environment.consumer.id, () =>
        converse(environment, name, { bytes: transferBytes }),
      );
      const evidence = { ...result, crossed };
      mustBeWhole(result, transferBytes);
      const there = crossed.filter((link) => link.port === policyPort && link.tunnel === tunnel);
      const bytes = there.reduce((sum, link) => sum + link.bytes, 0);
      must(bytes >= 2 * transferBytes, `not all of it went over ${tunnel} on port ${policyPort}`, evidence);
      const elsewhere = crossed.filter((link) => !there.includes(link) && link.bytes > mebibyte);
      must(elsewhere.length === 0, "much went another way", evidence);
      return evidence;
    },
  };
}

const outlivesSilence: Claim = {
  title: `a connection that is silent for ${silenceMs / 1000} s goes on, over a policy of each mode`,
  prove: async (environment) => {
    const names = ["open", "sealed"] as const;
    const seen = await Promise.all(
      names.map((name) => converse(environment, name, { silentMs: silenceMs, bytes: mebibyte })),
    );
    for (const one of seen) mustBeWhole(one, mebibyte);
    return Object.fromEntries(names.map((name, index) => [name, seen[index]]));
  },
};

async function setUp(environment: Environment, progress: (line: string) => void): Promise<void> {
  const { clusters, consumer, exporters } = environment;
  await Promise.all(
    clusters.map((cluster) =>
      applyObjects(environment, { in: cluster, objects: [namespace(streams), ...ofPolicies] }),
    ),
  );
  await Promise.all([
    applyObjects(environment, { in: consumer, objects: [client(at("client")), moved] }),
    ...exporters.map((cluster) =>
      applyObjects(environment, { in: cluster, objects: [echoPods, ...exportedObjects] }),
    ),
  ]);
  await Promise.all([
    ...exporters.map((cluster) => rollout(environment, { cluster, namespace: streams, deployment: "echo" })),
    rollout(environment, clientOf(environment)),
  ]);
  for (const name of ["open", "sealed", "moved"] as const)
    await eventually(`an answer of ${name}`, 60_000, async () => {
      mustBeWhole(await converse(environment, name, { bytes: 1 }), 1);
      return true;
    });
  progress("tcp: every service answers");
}

export const tcp: Scenario = {
  title: "tcp: connections between clusters, by name",
  setUp,
  claims: [
    carries("open", policies.open),
    carries("sealed", policies.sealed),
    outlivesSilence,
    carries("moved", policies.other, " that spec.tcp.backendRefs asks for"),
  ],
  tearDown: async (environment) => {
    await Promise.all(
      environment.clusters.map((cluster) =>
        deleteObjects(environment, { in: cluster, objects: [namespace(streams), ...ofPolicies] }),
      ),
    );
  },
};
