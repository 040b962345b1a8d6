/**
 * For the tests beside it: one small cluster (etcd, kube-apiserver, kube-controller-manager, the node agent) in namespaces of its
 * own, without the rest of the lab. Everything dies with the test's process.
 */
import { enteringWords } from "../enter.ts";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findBinary } from "../binaries/binaries.ts";
import { cacheFolder } from "../binaries/cache.ts";
import { createAuthority, createSigningKey } from "../certificates.ts";
import type { NodeAgentConfig } from "../node-agent-config.ts";
import { childProcesses } from "./process-tree.ts";
import { execute, type CommandResult } from "./run-command.ts";

const API = "198.18.1.1";
const NODE = "198.18.1.3";

/** A cluster for one test file. */
export interface TestCluster {
  readonly folder: string;
  /** Runs a command inside of the cluster's namespaces. */
  run(words: readonly string[], options?: { input?: string; timeoutMs?: number }): Promise<CommandResult>;
  /** kubectl; throws when it fails. Gives stdout. */
  kubectl(words: readonly string[], input?: string): Promise<string>;
  /** The agent's and the cluster's last lines, for a failed test. */
  logs(): Promise<string>;
  stop(): Promise<void>;
}

function script(folder: string, program: (name: Parameters<typeof findBinary>[0]) => string): string {
  return `set -e
cd ${folder}
mount -t tmpfs none /run; mkdir /run/netns
ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward
ip addr add ${API}/32 dev lo; ip addr add ${NODE}/32 dev lo
${program("etcd")} --data-dir=etcd --listen-client-urls=unix://etcd.sock:0 --advertise-client-urls=unix://etcd.sock:0 \\
  --listen-peer-urls=http://127.0.0.1:22380 --initial-advertise-peer-urls=http://127.0.0.1:22380 \\
  --initial-cluster=default=http://127.0.0.1:22380 --unsafe-no-fsync --log-level=error >etcd.log 2>&1 &
${program("kube-apiserver")} --etcd-servers=unix://etcd.sock:0 --secure-port=6443 --bind-address=0.0.0.0 --advertise-address=${API} \\
  --tls-cert-file=api.crt --tls-private-key-file=api.key --service-account-issuer=https://kubernetes.default.svc.cluster.local \\
  --service-account-key-file=sa.pub --service-account-signing-key-file=sa.key --service-cluster-ip-range=198.19.1.0/24 \\
  --token-auth-file=tokens.csv --authorization-mode=Node,RBAC --allow-privileged=true --kubelet-preferred-address-types=InternalIP \\
  --kubelet-client-certificate=client.crt --kubelet-client-key=client.key --kubelet-certificate-authority=ca.crt >api.log 2>&1 &
until ${program("kubectl")} --kubeconfig=kubeconfig get --raw /readyz >/dev/null 2>&1; do sleep 0.1; done
${program("kube-controller-manager")} --kubeconfig=kubeconfig --authentication-kubeconfig=kubeconfig --authorization-kubeconfig=kubeconfig \\
  --leader-elect=false --use-service-account-credentials=false --service-account-private-key-file=sa.key --root-ca-file=ca.crt \\
  --bind-address=127.0.0.1 --cert-dir=kcm --controllers='*,-node-ipam-controller,-node-route-controller,-service-lb-controller' >kcm.log 2>&1 &
echo ready > ready
while :; do
  ${process.execPath} ${join(import.meta.dirname, "main.ts")} agent.json >>agent.log 2>&1 & echo $! >agent.pid
  wait $! || true
done
`;
}

async function writeFiles(folder: string): Promise<void> {
  const authority = await createAuthority("test");
  const [api, client, kubelet, signing] = await Promise.all([
    authority.issue({ commonName: "kube-apiserver", dnsNames: ["localhost"], addresses: [API] }),
    authority.issue({ commonName: "kube-apiserver-kubelet-client", organization: "system:masters" }),
    authority.issue({ commonName: "system:node:n1", addresses: [NODE] }),
    createSigningKey(),
  ]);
  const path = (name: string): string => join(folder, name);
  const config: NodeAgentConfig = {
    cluster: "c1",
    nodeName: "n1",
    nodeIP: NODE,
    podGatewayIP: API,
    kubeconfig: path("kubeconfig"),
    podCIDR: "198.18.1.128/25",
    dnsIP: "198.19.1.10",
    clusterDomain: "cluster.local",
    runDir: folder,
    imagesFile: "",
    cacheDir: cacheFolder(),
    kubelet: {
      port: 10250,
      certFile: path("kubelet.crt"),
      keyFile: path("kubelet.key"),
      clientCAFile: path("ca.crt"),
    },
  };
  const kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster: { server: `https://${API}:6443`, "certificate-authority": "ca.crt" } }],
    users: [{ name: "u", user: { token: "test-token" } }],
  };
  const files: Record<string, string> = {
    "ca.crt": authority.certificate,
    "api.crt": api.certificate,
    "api.key": api.key,
    "client.crt": client.certificate,
    "client.key": client.key,
    "kubelet.crt": kubelet.certificate,
    "kubelet.key": kubelet.key,
    "sa.pub": signing.publicKey,
    "sa.key": signing.privateKey,
    "tokens.csv": "test-token,admin,admin,system:masters\n",
    kubeconfig: JSON.stringify(kubeconfig),
    "agent.json": JSON.stringify(config),
  };
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(path(name), text)));
}

/** Starts the cluster and waits for its Node. Throws when a program is missing (`mcwan lab` obtains them) or nothing comes up. */
export async function startTestCluster(): Promise<TestCluster> {
  const program = (name: Parameters<typeof findBinary>[0]): string => {
    const path = findBinary(name);
    if (path === undefined) throw new Error(`${name} is not in the cache yet`);
    return path;
  };
  const folder = await mkdtemp(join(tmpdir(), "mc-wan-node-agent-"));
  await writeFiles(folder);
  const namespaces = ["-Urnm", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const child = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", "unshare", ...namespaces, "bash", "-c", script(folder, program)],
    { stdio: "ignore" },
  );
  const stop = async (): Promise<void> => {
    const over = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await over;
    }
    await rm(folder, { recursive: true, force: true });
  };
  const run: TestCluster["run"] = (words, options) => {
    const [inner] = childProcesses(child.pid ?? 0);
    return execute([...enteringWords(inner ?? 0), ...words], options);
  };
  const kubectl: TestCluster["kubectl"] = async (words, input) => {
    const { exitCode, stdout, stderr } = await run(
      [program("kubectl"), `--kubeconfig=${folder}/kubeconfig`, ...words],
      {
        ...(input === undefined ? {} : { input }),
        timeoutMs: 40_000,
      },
    );
    if (exitCode !== 0) throw new Error(`kubectl ${words.join(" ")}: exit ${exitCode}: ${stderr}${stdout}`);
    return stdout;
  };
  const logs = async (): Promise<string> => {
    const read = (name: string): Promise<string> => readFile(join(folder, name), "utf8").catch(() => "");
    return `${(await read("api.log")).slice(-1500)}\n--- agent\n${await read("agent.log")}`;
  };
  const cluster: TestCluster = { folder, run, kubectl, logs, stop };
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if ((await readFile(join(folder, "ready"), "utf8").catch(() => "")) !== "") {
      // The agent's own start, and the default ServiceAccount, without which no Pod is admitted.
      const there = await kubectl([
        "get",
        "node/n1",
        "serviceaccount/default",
        "configmap/kube-root-ca.crt",
        "-o",
        "name",
      ]).catch(() => "");
      if (there !== "") return cluster;
    }
    if (child.exitCode !== null) break;
    await sleep(100);
  }
  const said = await logs();
  await stop();
  throw new Error(`the test cluster did not come up:\n${said}`);
}
