/** mc-wan in the comparison: the controller from source, with the flags for V8 that `deploy/` gives it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { adminPort } from "../src/model/container-ports.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { derivedName, gatewayClassName } from "../src/model/names.ts";
import { envoyArgs, logOf } from "./contender.ts";
import type { Contender } from "./contender.ts";
import { Program } from "./program.ts";

const root = join(import.meta.dirname, "..");

function documents(file: string): KubeObject[] {
  const text = readFileSync(join(root, "deploy", file), "utf8");
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
}

/** NODE_OPTIONS of the container in `deploy/controller.yaml`. */
function nodeOptions(): string {
  const [deployment] = documents("controller.yaml");
  const { template } = deployment?.["spec"] as {
    template: { spec: { containers: { env: { name: string; value?: string }[] }[] } };
  };
  const env = template.spec.containers.flatMap((container) => container.env);
  return env.find(({ name }) => name === "NODE_OPTIONS")?.value ?? "";
}

export const mcWan: Contender = {
  name: "mc-wan",
  gatewayClass: gatewayClassName,
  install: async ({ home }) => {
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
        env: { NODE_OPTIONS: nodeOptions(), POD_NAME: "bench", POD_IP: "127.0.0.1" },
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
