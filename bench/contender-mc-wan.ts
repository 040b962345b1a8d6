/** mc-wan in the comparison: the controller as its image has it, with a filled compile cache, and the environment of `deploy/`. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import { adminPort } from "../src/model/container-ports.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { derivedName, gatewayClassName } from "../src/model/names.ts";
import { envoyArgs, logOf } from "./contender.ts";
import type { Arena, Contender } from "./contender.ts";
import { Program } from "./program.ts";

const root = join(import.meta.dirname, "..");

function documents(file: string): KubeObject[] {
  const text = readFileSync(join(root, "deploy", file), "utf8");
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
}

/** What `deploy/image/Dockerfile` does: sources without their types, compiled. */
async function fillCompileCache(cache: string): Promise<void> {
  const env = { ...process.env, NODE_COMPILE_CACHE: cache };
  await promisify(execFile)(process.execPath, [join(root, "src/cli/fill-compile-cache.ts")], { env });
}

const compileCacheOf = (arena: Arena): string => join(arena.folder, "compile-cache");

/** Fixed values in the environment of the container in `deploy/controller.yaml`. */
function environment(): Record<string, string> {
  const [deployment] = documents("controller.yaml");
  const { template } = deployment?.["spec"] as {
    template: { spec: { containers: { env: { name: string; value?: string }[] }[] } };
  };
  const env = template.spec.containers.flatMap((container) => container.env);
  return Object.fromEntries(env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])));
}

export const mcWan: Contender = {
  name: "mc-wan",
  gatewayClass: gatewayClassName,
  install: async (arena) => {
    const { home } = arena;
    await fillCompileCache(compileCacheOf(arena));
    for (const gatewayClass of documents("gateway-class.yaml"))
      await home.client.create(kinds.GatewayClass, gatewayClass);
  },
  start: (arena) => {
    const { kubeconfigFile, context } = arena.home.api;
    const words = [process.execPath, join(root, "src/cli/main.ts"), "controller"];
    const flags = {
      kubeconfig: kubeconfigFile,
      context,
      "cluster-id": "bench",
      "xds-address": "127.0.0.1",
      "leader-elect": "false",
    };
    return new Program(
      [...words, ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])],
      {
        name: "mc-wan",
        log: logOf(arena, "mc-wan"),
        env: {
          ...environment(),
          NODE_COMPILE_CACHE: compileCacheOf(arena),
          POD_NAME: "bench",
          POD_IP: "127.0.0.1",
        },
      },
    );
  },
  envoyOf: async ({ home, namespace, gateway }) => {
    const ref = { namespace, name: derivedName(gateway, "mc-wan") };
    const deployment = await home.client.get(kinds.Deployment, ref);
    if (deployment === undefined) return undefined;
    return { args: envoyArgs(deployment), admin: `127.0.0.1:${adminPort}`, xdsCluster: "xds" };
  },
};
