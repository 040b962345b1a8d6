/** Small programs of e2e/inside, run in a client Pod or as whoever sits between the clusters. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { must } from "./claim.ts";
import type { Environment } from "./environment.ts";
import type { Workload } from "./example.ts";
import type { Heard } from "./inside/listen-in.ts";

const fileOf = (program: string): string => join(import.meta.dirname, "inside", program);

/** Runs a program of e2e/inside in a Pod that has Node, and gives what it printed: the image does not hold it. */
export async function runInPod<Result>(
  { kubectl }: Environment,
  { cluster, namespace, deployment }: Workload,
  { program, args }: { readonly program: string; readonly args: readonly (string | number)[] },
): Promise<Result> {
  const words = ["node", "--input-type=module-typescript", "-", ...args.map(String)];
  const { stdout, stderr } = await kubectl.attempt(
    cluster.context,
    ["exec", "-i", "-n", namespace, `deployment/${deployment}`, "--", ...words],
    await readFile(fileOf(program), "utf8"),
  );
  try {
    return JSON.parse(stdout) as Result;
  } catch (cause) {
    throw new Error(`${program} printed no result: ${stderr.slice(-500)}`, { cause });
  }
}

/** What can be heard on a cluster's ends of the tunnels for a while: how many packets of these ports hold the text. */
export async function listenIn(
  { lab }: Environment,
  cluster: string,
  what: { readonly ms: number; readonly text: string; readonly ports: readonly number[] },
): Promise<Heard> {
  must(lab !== undefined, "only the lab lets others listen in", {});
  const { code, stdout, stderr } = await lab.runInCluster(cluster, [
    ...[process.execPath, fileOf("listen-in.ts"), String(what.ms), what.text],
    ...[what.ports.join(","), lab.tunnelInterfaces(cluster).join(",")],
  ]);
  must(code === 0, "nobody could listen in", { stderr: stderr.slice(-500) });
  return JSON.parse(stdout) as Heard;
}
