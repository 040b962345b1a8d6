/** mc-wan in the comparison: the controller as its image has it, with a filled compile cache, and the environment of `deploy/`. */
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { adminPort } from "../src/model/container-ports.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { derivedName, doorFolder, gatewayClassName, tokenAudience } from "../src/model/names.ts";
import { apiRequest } from "../test/api-request.ts";
import { envoyArgs, logOf } from "./contender.ts";
import type { Arena, Contender } from "./contender.ts";
import { controllerEnvironment, deployed } from "./deployed.ts";
import { Program } from "./program.ts";

const root = join(import.meta.dirname, "..");

/** What `deploy/image/Dockerfile` does: sources without their types, compiled. */
async function fillCompileCache(cache: string): Promise<void> {
  const env = { ...process.env, NODE_COMPILE_CACHE: cache };
  await promisify(execFile)(process.execPath, [join(root, "src/cli/fill-compile-cache.ts")], { env });
}

const compileCacheOf = (arena: Arena): string => join(arena.folder, "compile-cache");

/** Of the Pod that its Envoy would be in. */
const podName = "bench-envoy";

/** What the kubelet puts into a gateway's Pod: the files of its template, and a token that is bound to the Pod. Gives the folder. */
async function openDoor({ home, folder, namespace }: Arena, deployment: KubeObject): Promise<string> {
  const { template } = deployment["spec"] as {
    template: {
      metadata: { annotations: Readonly<Record<string, string>> };
      spec: { serviceAccountName: string };
    };
  };
  const { serviceAccountName } = template.spec;
  const door = join(folder, "door");
  const request = apiRequest(home.api);
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const container = { name: "envoy", image: "envoy" };
  await request("POST", pods, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: podName },
    spec: { serviceAccountName, automountServiceAccountToken: false, containers: [container] },
  });
  const pod = await request("GET", `${pods}/${podName}`);
  const { uid } = pod.body["metadata"] as { uid: string };
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccountName}/token`;
  const { body, message } = await request("POST", account, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: {
      audiences: [tokenAudience],
      expirationSeconds: 3600,
      boundObjectRef: { apiVersion: "v1", kind: "Pod", name: podName, uid },
    },
  });
  const { token } = (body["status"] ?? {}) as { token?: string };
  if (token === undefined) throw new Error(`no token for ${serviceAccountName}: ${message}`);
  mkdirSync(door, { recursive: true });
  writeFileSync(join(door, "token"), token);
  for (const [name, text] of Object.entries(template.metadata.annotations))
    writeFileSync(join(door, name.split("/").at(-1) ?? name), text.replaceAll(doorFolder, door));
  return door;
}

export const mcWan: Contender = {
  name: "mc-wan",
  gatewayClass: gatewayClassName,
  install: async (arena) => {
    const { home } = arena;
    await fillCompileCache(compileCacheOf(arena));
    for (const gatewayClass of deployed("gateway-class.yaml"))
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
          ...controllerEnvironment(),
          NODE_COMPILE_CACHE: compileCacheOf(arena),
          POD_NAME: "bench",
          POD_IP: "127.0.0.1",
        },
      },
    );
  },
  envoyOf: async (arena) => {
    const { home, namespace, gateway } = arena;
    const ref = { namespace, name: derivedName(gateway, "mc-wan") };
    const deployment = await home.client.get(kinds.Deployment, ref);
    if (deployment === undefined) return undefined;
    const folder = await openDoor(arena, deployment);
    const args = envoyArgs(deployment).map((word) =>
      word === "bench-POD_NAME" ? podName : word.replaceAll(doorFolder, folder),
    );
    return { args, admin: `127.0.0.1:${adminPort}`, xdsCluster: "xds" };
  },
};
