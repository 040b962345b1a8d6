/**
 * A case of translation in a real Envoy: the fleets of a YAML file as its static configuration, with HTTP servers as
 * backends. For tests only.
 *
 *     case.yaml (port: ONE) + servers → translate → envoy at 127.0.0.1
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findBinary } from "../../src/lab/binaries/binaries.ts";
import { buildCase, parseCase } from "../../src/translate/case-file.ts";
import type { CaseFile } from "../../src/translate/case-file.ts";
import { staticBootstrap } from "./static-bootstrap.ts";
import { createTranslate } from "../../src/translate/translate.ts";

/** A running Envoy. */
export interface RunningCase {
  /** Where a listener's container port is bound on 127.0.0.1. */
  readonly portOf: (containerPort: number) => number;
  readonly stop: () => Promise<void>;
}

/** Stands for 127.0.0.1 in EndpointSlices, where an address of the loopback would be nobody's. */
export const thisHost = "198.18.255.1";

/** The Envoy to run; undefined where there is none. */
export function envoyProgram(): string | undefined {
  return process.env["ENVOY_PATH"] ?? findBinary("envoy");
}

/** The port of a server that listens. */
export const portOf = (server: Pick<Server, "address">): number => (server.address() as AddressInfo).port;

/** As many ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map(portOf);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

/** Starts Envoy with a case; `ports` are what stands for words in it, and `bound` the container ports of its listeners. */
export async function runCase(
  file: URL,
  ports: Readonly<Record<string, number>>,
  bound: readonly number[],
): Promise<RunningCase> {
  const words = new RegExp(`\\bport: (${Object.keys(ports).join("|")})\\b`, "g");
  const text = readFileSync(file, "utf8").replace(
    words,
    (_, word: string) => `port: ${String(ports[word] ?? 0)}`,
  );
  return startCase(parseCase(text), bound);
}

/** The same with a case as it stands. */
export async function startCase(file: CaseFile, bound: readonly number[]): Promise<RunningCase> {
  const program = envoyProgram();
  if (program === undefined) throw new Error("there is no Envoy");
  const { world, desired } = buildCase(file);
  const { config } = createTranslate()(world, desired);
  const free = await freePorts(bound.length);
  const places = new Map(bound.map((port, index) => [port, free[index] ?? 0]));
  const portOf = (port: number): number => places.get(port) ?? 0;
  const folder = mkdtempSync(join(tmpdir(), "mc-wan-traffic-"));
  const bootstrap = join(folder, "bootstrap.json");
  const here = staticBootstrap([...config.fleets.values()], { address: "127.0.0.1", portOf });
  writeFileSync(bootstrap, here.replaceAll(`"${thisHost}"`, '"127.0.0.1"'));
  const envoy = spawn(
    program,
    ["--config-path", bootstrap, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let said = "";
  envoy.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const stop = async (): Promise<void> => {
    if (envoy.exitCode === null && envoy.signalCode === null) {
      const ended = once(envoy, "exit");
      envoy.kill("SIGKILL");
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  for (let tries = 0; !(await areOpen([...places.values()])); tries++) {
    if (tries === 300 || envoy.exitCode !== null) {
      await stop();
      throw new Error(`Envoy did not come up: ${said.slice(-2_000)}`);
    }
    await sleep(100);
  }
  return { portOf, stop };
}

async function areOpen(ports: readonly number[]): Promise<boolean> {
  const answers = await Promise.all(
    ports.map(async (port) => {
      const socket = connect(port, "127.0.0.1");
      const isOpen = await once(socket, "connect").then(
        () => true,
        () => false,
      );
      socket.destroy();
      return isOpen;
    }),
  );
  return answers.every((open) => open);
}
