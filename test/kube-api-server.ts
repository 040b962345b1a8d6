/**
 * A real kube-apiserver with an etcd of its own, for tests: on 127.0.0.1, in a folder that is gone afterwards.
 *
 *     test → kube-apiserver → etcd (unix socket)
 *
 * Nothing else runs: no controllers, no nodes. Programs come from the lab's cache, which is filled the first time. Both
 * die with the test's process, however it ends.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { obtainBinaries } from "../src/lab/binaries/binaries.ts";
import { createAuthority, createSigningKey } from "../src/lab/certificates.ts";
import { kubeconfig } from "../src/lab/kubeconfig.ts";
import { kubectl } from "../src/lab/kubectl.ts";
import type { Kubectl } from "../src/lab/kubectl.ts";

/** How long a test's `before` may take: with the programs in the cache it is about four seconds. */
export const startTimeoutMs = 60_000;

/** A running API server. */
export interface KubeApiServer {
  /** `https://127.0.0.1:<port>` */
  readonly url: string;
  /** PEM of the authority that signed the server's certificate. */
  readonly authority: string;
  /** Bearer token of a member of system:masters. */
  readonly token: string;
  /** Path of a kubeconfig file with one context, {@link context}. */
  readonly kubeconfigFile: string;
  readonly context: string;
  readonly kubectl: Kubectl;
  /** Kills the API server, leaves it away for so long, and starts it again on the same port; resolves when it is ready. */
  restart(awayMs: number): Promise<void>;
  /** Ends both programs and removes all they wrote. */
  stop(): Promise<void>;
}

/** Starts one and waits until it is ready. Throws with the end of its log if it isn't after {@link startTimeoutMs}. */
export async function startKubeApiServer(): Promise<KubeApiServer> {
  const programs = await obtainBinaries(["etcd", "kube-apiserver", "kubectl"], {
    progress: (line) => process.stderr.write(`${line}\n`),
  });
  const folder = await mkdtemp(join(tmpdir(), "mc-wan-test-"));
  const children: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(end));
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const [peerPort, port] = await Promise.all([freePort(), freePort()]);
    const context = "test";
    const url = `https://127.0.0.1:${port}`;
    const { authority, token } = await writeFiles(folder);
    const kubeconfigFile = join(folder, "kubeconfig");
    await writeFile(kubeconfigFile, kubeconfig([{ context, server: url, authority, token }]));
    const log = join(folder, "log");
    children.push(start([programs.etcd, ...etcdFlags(peerPort)], folder));
    const apiServer = [programs["kube-apiserver"], ...apiServerFlags(port)];
    children.push(start(apiServer, folder));
    const client = kubectl(programs.kubectl, kubeconfigFile);
    await untilReady({ client, context, children, log });
    const restart = async (awayMs: number): Promise<void> => {
      const killed = children.pop();
      if (killed !== undefined) await end(killed);
      await new Promise((resolve) => setTimeout(resolve, awayMs));
      children.push(start(apiServer, folder));
      await untilReady({ client, context, children, log });
    };
    return { url, authority, token, kubeconfigFile, context, kubectl: client, restart, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Keys, certificate and the token's file. */
async function writeFiles(folder: string): Promise<{ authority: string; token: string }> {
  const authority = await createAuthority("mc-wan test");
  const [serving, signing] = await Promise.all([
    authority.issue({ commonName: "kube-apiserver", dnsNames: ["localhost"], addresses: ["127.0.0.1"] }),
    createSigningKey(),
  ]);
  const token = randomBytes(24).toString("hex");
  const files = {
    "apiserver.crt": serving.certificate,
    "apiserver.key": serving.key,
    "sa.pub": signing.publicKey,
    "sa.key": signing.privateKey,
    "tokens.csv": `${token},test,test,system:masters\n`,
    log: "",
  };
  await Promise.all(Object.entries(files).map(([name, content]) => writeFile(join(folder, name), content)));
  return { authority: authority.certificate, token };
}

/** etcd refuses a unix path with a slash, hence the relative name and the working directory. */
function etcdFlags(peerPort: number): string[] {
  const peer = `http://127.0.0.1:${peerPort}`;
  return [
    "--data-dir=etcd",
    "--listen-client-urls=unix://etcd.sock:0",
    "--advertise-client-urls=unix://etcd.sock:0",
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    "--unsafe-no-fsync",
    "--log-level=error",
  ];
}

function apiServerFlags(port: number): string[] {
  return [
    "--etcd-servers=unix://etcd.sock:0",
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    // Only said, never listened on; endpoints refuse loopback addresses.
    "--advertise-address=198.18.0.1",
    "--endpoint-reconciler-type=none",
    "--tls-cert-file=apiserver.crt",
    "--tls-private-key-file=apiserver.key",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    "--service-account-key-file=sa.pub",
    "--service-account-signing-key-file=sa.key",
    "--service-cluster-ip-range=198.19.0.0/16",
    "--token-auth-file=tokens.csv",
    "--authorization-mode=RBAC",
    // Without kube-controller-manager no namespace has its default account.
    "--disable-admission-plugins=ServiceAccount",
    "--profiling=false",
  ];
}

/** Starts a program that the kernel kills when this process ends; its output goes to `log` in the folder. */
function start(argv: readonly string[], folder: string): ChildProcess {
  const command = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", 'exec "$@" >>log 2>&1', "sh", ...argv];
  return spawn("/usr/bin/env", command, { cwd: folder, stdio: "ignore" });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

interface Starting {
  readonly client: Kubectl;
  readonly context: string;
  readonly children: readonly ChildProcess[];
  readonly log: string;
}

async function untilReady({ client, context, children, log }: Starting): Promise<void> {
  const deadline = performance.now() + startTimeoutMs;
  for (;;) {
    const { code } = await client.attempt(context, ["get", "--raw", "/readyz"]);
    if (code === 0) return;
    const ended = children.some((child) => child.exitCode !== null || child.signalCode !== null);
    if (ended || performance.now() > deadline) {
      throw new Error(`the API server is not ready: ${(await readFile(log, "utf8")).slice(-2000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return address.port;
}
