/** Real Envoys, HTTP backends and load for tests, all on 127.0.0.1; each ends what it started. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, readlink, rm, writeFile } from "node:fs/promises";
import { Agent, createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { obtainBinaries } from "../../src/lab/binaries/binaries.ts";
import { xdsCluster } from "../../src/reconcile/envoy-bootstrap.ts";
import type { TestDoor } from "./test-door.ts";

/** Something to be ended. */
export interface Started {
  readonly stop: () => Promise<void>;
}

/** A backend that answers every request with its name. */
export async function startBackend(name: string): Promise<Started & { readonly port: number }> {
  const server = createServer((_request, response) => response.end(name));
  // A connection that the backend ends while a request is on its way costs the request: that is not what tests are about.
  server.keepAliveTimeout = 600_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** A port that nobody used a moment ago. */
export async function freePort(): Promise<number> {
  const { port, stop } = await startBackend("");
  await stop();
  return port;
}

/** An Envoy that asks the ADS server at this port for everything. */
export class TestEnvoy implements Started {
  readonly #process: ChildProcess;
  readonly #folders: readonly [string, string];
  /** Puts a new token in the place of the one before, as the kubelet does. */
  readonly renewToken: () => Promise<void>;
  #output = "";

  private constructor(
    process: ChildProcess,
    folders: readonly [string, string],
    renewToken: () => Promise<void>,
  ) {
    this.#process = process;
    this.#folders = folders;
    this.renewToken = renewToken;
    const collect = (bytes: Buffer): void => {
      this.#output = (this.#output + bytes.toString()).slice(-100_000);
    };
    process.stderr?.on("data", collect);
    process.stdout?.on("data", collect);
  }

  /** `door`: of the server at that port, which has to let in Pods of the fleet. */
  static async start(xdsPort: number, fleet: string, door: TestDoor): Promise<TestEnvoy> {
    const { envoy } = await obtainBinaries(["envoy"], { progress: () => undefined });
    const folder = await mkdtemp(join(tmpdir(), "mcwan-envoy-"));
    const config = join(folder, "bootstrap.json");
    const { path, write } = await door.folder({ account: fleet, pod: "test-envoy" });
    await writeFile(config, JSON.stringify(bootstrap(xdsPort, fleet, path)));
    const args = ["-c", config, "--concurrency", "1", "--disable-hot-restart", "-l", "info"];
    const child = spawn(envoy, [...args, "--admin-address-path", join(folder, "admin")], { stdio: "pipe" });
    return new TestEnvoy(child, [folder, path], write);
  }

  /** What the Envoy wrote last. */
  get output(): string {
    return this.#output;
  }

  /** How many instances of inotify it holds. */
  async inotifyInstances(): Promise<number> {
    const folder = `/proc/${this.#process.pid ?? 0}/fd`;
    const open = await Promise.all(
      (await readdir(folder)).map((name) => readlink(join(folder, name)).catch(() => "")),
    );
    return open.filter((target) => target === "anon_inode:inotify").length;
  }

  /** The answer of a page of the admin server. */
  async admin(path: string): Promise<string> {
    const address = await until("the admin server", async () => {
      const { exitCode, signalCode } = this.#process;
      if (exitCode !== null || signalCode !== null) throw new Error(`The Envoy ended.\n${this.#output}`);
      const text = await readFile(join(this.#folders[0], "admin"), "utf8").catch(() => "");
      return text === "" ? undefined : text.trim();
    });
    return await (await fetch(`http://${address}${path}`)).text();
  }

  async isLive(): Promise<boolean> {
    return (await this.admin("/ready").catch(() => "")).trim() === "LIVE";
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGKILL");
      await once(this.#process, "exit");
    }
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true });
  }
}

/** Tries until there is a value. Fails after half a minute, saying what it waited for. */
export async function until<T>(what: string, attempt: () => Promise<T | undefined | false>): Promise<T> {
  const endMs = performance.now() + 30_000;
  for (;;) {
    const value = await attempt();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > endMs) throw new Error(`Waited too long for ${what}.`);
    await sleep(20);
  }
}

/** One request's answer: `200 backend-a`; the error's code if there is none. */
export async function ask(port: number, host: string, agent?: Agent): Promise<string> {
  return await new Promise((resolve) => {
    const options = { host: "127.0.0.1", port, headers: { host }, ...(agent === undefined ? {} : { agent }) };
    get(options, (response) => {
      let body = "";
      response.on("data", (bytes: Buffer) => (body += bytes.toString()));
      response.on("end", () => {
        resolve(`${response.statusCode ?? 0} ${body.trim()}`);
      });
    }).on("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message);
    });
  });
}

/** Sends 200 requests a second until stopped; gives how often which answer came. */
export function startLoad(host: string, portNow: () => number): { stop(): Promise<Map<string, number>> } {
  const agent = new Agent({ keepAlive: true });
  const answers = new Map<string, number>();
  const waiting = new Set<Promise<void>>();
  const send = (): void => {
    const request = ask(portNow(), host, agent).then((answer) => {
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
      waiting.delete(request);
    });
    waiting.add(request);
  };
  // The first at once: what is measured may be over before a timer fires. A timer that is late makes up for it, but not with
  // so many at once that a slow machine would fail them.
  const startedMs = performance.now();
  let sent = 0;
  const isDue = (untilMs: number): boolean => sent * 5 <= untilMs - startedMs;
  const sendWhatIsDue = (): void => {
    for (; isDue(performance.now()) && waiting.size < 32; sent += 1) send();
  };
  sendWhatIsDue();
  const timer = setInterval(sendWhatIsDue, 5);
  return {
    stop: async () => {
      const endMs = performance.now();
      while (isDue(endMs)) await sleep(5);
      clearInterval(timer);
      await Promise.all(waiting);
      agent.destroy();
      return answers;
    },
  };
}

function bootstrap(xdsPort: number, fleet: string, folder: string): object {
  const ads = { resource_api_version: "V3", ads: {}, initial_fetch_timeout: "0s" };
  const address = (port: number): object => ({ socket_address: { address: "127.0.0.1", port_value: port } });
  return {
    node: { id: "test-envoy", cluster: fleet },
    admin: { address: address(0) },
    dynamic_resources: {
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
      },
      cds_config: ads,
      lds_config: ads,
    },
    static_resources: {
      clusters: [xdsCluster({ host: "127.0.0.1", port: xdsPort }, { folder, discovery: "STATIC" })],
    },
  };
}
