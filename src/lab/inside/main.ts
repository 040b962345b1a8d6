/**
 * The lab from the inside: started by launcher.ts in namespaces of its own, brings up everything and stays for as long as the lab lives.
 * Its argument is the run folder. It says how far it is over the progress pipe, one JSON line each, and never touches the host.
 *
 *     network ─┬─ etcd ─ clusters in parallel ─ ready
 *              └─ links, forwarder, noise, SD-WAN driver
 */
import { mkdir, readFile, stat } from "node:fs/promises";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseAllDocuments } from "yaml";
import { labFiles, PROGRESS_FD, type LabPlan, type ProgressLine } from "../lab-plan.ts";
import { isObject, objectAt, stringAt } from "../node-agent/json.ts";
import type { KubeApi } from "../node-agent/kube-api.ts";
import { SdwanDriver } from "../sdwan/driver.ts";
import { startCluster } from "./cluster.ts";
import type { PlacedObject } from "./cluster-objects.ts";
import { etcdProgram, prepareCluster, writeKubeconfigs } from "./control-plane.ts";
import { forward } from "./forwarder.ts";
import { Links } from "./links.ts";
import { inNetns, makeNetwork, WIRE_NETNS } from "./network.ts";
import { noisePrograms } from "./noise.ts";
import { Programs } from "./processes.ts";
import { WireProcess } from "./wire-process.ts";

/** The longest that a lab may take on a machine that is busy with other things. */
const START_LIMIT_MS = 180_000;

const progress = createWriteStream("", { fd: PROGRESS_FD });
let listened = true;
// The one who started the lab is gone before it was ready: nobody waits for it, and nobody would end it.
progress.on("error", () => {
  if (listened) process.exit(1);
});

function say(line: ProgressLine): void {
  if (listened) progress.write(`${JSON.stringify(line)}\n`);
}

function log(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
}

function step(text: string, cluster?: string): void {
  log(cluster === undefined ? text : `${cluster}: ${text}`);
  say({ kind: "step", text, ...(cluster === undefined ? {} : { cluster }) });
}

async function main(runDir: string): Promise<void> {
  // Written by lab.ts of the same version, in a folder that only this user can write to.
  const plan = JSON.parse(await readFile(labFiles(runDir).plan, "utf8")) as LabPlan;
  const files = labFiles(runDir);
  await mkdir(files.logDir, { recursive: true });
  process.env["PATH"] = `${plan.cacheDir}:${process.env["PATH"] ?? ""}`;
  const programs = new Programs({
    logDir: files.logDir,
    inheritedDescriptors: 1 + plan.clusters.length,
    onRestart: (name, how) => {
      log(`${name} ended (${how}) and is started again`);
    },
  });
  const [prepared, crds] = await Promise.all([
    Promise.all(plan.clusters.map((cluster) => prepareCluster(plan, cluster))),
    readObjects(plan.crdFiles),
    makeNetwork(plan),
    startEtcd(plan, programs),
  ]);
  await writeKubeconfigs(runDir, prepared);
  await followLinks(plan);
  for (const [index, cluster] of plan.clusters.entries())
    forward(PROGRESS_FD + 1 + index, cluster.addresses.apiServer);
  for (const program of noisePrograms(plan)) programs.start(program);
  step("network and etcd are up");

  const apis = await Promise.race([
    Promise.all(prepared.map((cluster) => startCluster({ plan, programs, crds, step }, cluster))),
    programs.failed,
    timeLimit(),
  ]);
  programs.tolerateExits();
  runSdwan(plan, apis);
  log("ready");
  say({ kind: "ready" });
  listened = false;
  progress.end();
}

async function followLinks(plan: LabPlan): Promise<void> {
  const wire = new WireProcess({
    argv: [
      ...inNetns(WIRE_NETNS),
      process.execPath,
      join(plan.sourceDir, "lab", "wire", "main.ts"),
      plan.runDir,
    ],
    logFile: join(labFiles(plan.runDir).logDir, "wire.log"),
    inheritedDescriptors: 1 + plan.clusters.length,
    onState: (state) => {
      log(`wire: ${JSON.stringify(state)}`);
      void links.tellWire();
    },
  });
  const links = new Links(plan, wire, log);
  await links.follow();
}

function runSdwan(plan: LabPlan, apis: readonly KubeApi[]): void {
  const driver = new SdwanDriver(plan, log);
  for (const [index, api] of apis.entries()) {
    const cluster = plan.clusters[index];
    if (cluster !== undefined) driver.follow(cluster.id, api);
  }
  void driver.apply();
}

/** Its socket is there as soon as it serves; kube-apiserver would wait a whole second before it tries again. */
async function startEtcd(plan: LabPlan, programs: Programs): Promise<void> {
  programs.start(etcdProgram(plan));
  const socket = join(plan.runDir, "etcd.sock:0");
  const there = async (): Promise<void> => {
    while (
      !(await stat(socket).then(
        () => true,
        () => false,
      ))
    )
      await sleep(10);
  };
  await Promise.race([there(), programs.failed, timeLimit()]);
}

/** The cluster-scoped objects of YAML files (CRDs and admission policies), with the paths to apply them at. */
async function readObjects(files: readonly string[]): Promise<PlacedObject[]> {
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return texts
    .flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as unknown))
    .flatMap((object) => (isObject(object) ? [placed(object)] : []));
}

function placed(object: Record<string, unknown>): PlacedObject {
  const plural = `${stringAt(object, "kind").toLowerCase().replace(/y$/, "ie")}s`;
  return {
    path: `/apis/${stringAt(object, "apiVersion")}/${plural}/${stringAt(objectAt(object, "metadata"), "name")}`,
    object,
  };
}

async function timeLimit(): Promise<never> {
  await sleep(START_LIMIT_MS, undefined, { ref: false });
  throw new Error(`not ready after ${START_LIMIT_MS / 1000} s`);
}

main(process.argv[2] ?? "").catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  log(error instanceof Error ? (error.stack ?? message) : message);
  listened = false;
  progress.end(`${JSON.stringify({ kind: "failed", message } satisfies ProgressLine)}\n`, () =>
    process.exit(1),
  );
});
