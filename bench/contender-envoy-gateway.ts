/**
 * Envoy Gateway in the comparison: its controller with `provider: Kubernetes`, outside of the cluster, all else by default.
 *
 *     certgen → Secrets → /certs of the controller; of its Envoy, with what its ConfigMap mounts at /sds, in our folder
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { execFile } from "node:child_process";
import { parse } from "yaml";
import { ENVOY_GATEWAY_VERSION } from "../src/lab/binaries/versions.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { envoyArgs, logOf } from "./contender.ts";
import type { Arena, Contender } from "./contender.ts";
import { Program } from "./program.ts";

const namespace = "envoy-gateway-system";
const controllerName = "gateway.envoyproxy.io/gatewayclass-controller";
const adminPort = 19_100;
/** Ports of its Envoy that the controller wants too, or that are another's here. */
const movedPorts: ReadonlyMap<unknown, number> = new Map([
  [19_000, adminPort],
  [19_001, 19_101],
  [19_003, 19_103],
]);

/** As its chart has it, but that it need not wait for a Lease, and that no Pod is there to be told of zones. */
const configuration = {
  apiVersion: "gateway.envoyproxy.io/v1alpha1",
  kind: "EnvoyGateway",
  gateway: { controllerName },
  logging: { level: { default: "info" } },
  provider: {
    type: "Kubernetes",
    kubernetes: { leaderElection: { disable: true }, proxyTopologyInjector: { disabled: true } },
  },
};

/** Runs a program in a root of its own that has all of the host's folders, and `/certs`. */
const withCerts = `
root=$1 certs=$2; shift 2
mount -t tmpfs none "$root"
for entry in /*; do
  if [ -L "$entry" ]; then cp -P "$entry" "$root$entry"
  elif [ -d "$entry" ]; then mkdir -p "$root$entry"; mount --rbind "$entry" "$root$entry"
  fi
done
mkdir -p "$root/certs"
mount --bind "$certs" "$root/certs"
exec chroot "$root" "$@"
`;

const kubectl = async ({ home }: Arena, args: readonly string[], input?: string): Promise<string> =>
  await home.api.kubectl.run(home.api.context, args, input);

/** Writes a map of a Secret (base64) or ConfigMap as files. */
function writeFiles(folder: string, files: Readonly<Record<string, string>>): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

async function secretFiles(arena: Arena, name: string): Promise<Record<string, string>> {
  const secret = JSON.parse(await kubectl(arena, ["get", "secret", "-n", namespace, name, "-o", "json"])) as {
    data: Record<string, string>;
  };
  return Object.fromEntries(
    Object.entries(secret.data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]),
  );
}

/** The contender, from the program in the cache of binaries, which has the CRDs beside it. */
export function envoyGateway(program: string): Contender {
  const certs = (arena: Arena): string => join(arena.folder, "envoy-gateway-certs");
  return {
    name: `Envoy Gateway ${ENVOY_GATEWAY_VERSION}`,
    gatewayClass: "envoy-gateway",
    install: async (arena) => {
      const folder = join(dirname(program), "crds");
      // Templates of its chart, each within one condition.
      const crds = readdirSync(folder).map((file) =>
        readFileSync(join(folder, file), "utf8").replaceAll(/^\{\{.*\}\}$/gm, ""),
      );
      await kubectl(arena, ["apply", "--server-side", "-f", "-"], crds.join("\n---\n"));
      await kubectl(arena, ["create", "namespace", namespace]);
      await arena.home.client.create(kinds.GatewayClass, {
        apiVersion: kinds.GatewayClass.apiVersion,
        kind: "GatewayClass",
        metadata: { name: "envoy-gateway" },
        spec: { controllerName },
      });
      await promisify(execFile)(program, ["certgen", "--disable-topology-injector"], {
        env: { ...process.env, KUBECONFIG: arena.home.api.kubeconfigFile },
      });
      writeFiles(certs(arena), await secretFiles(arena, "envoy-gateway"));
      writeFileSync(join(arena.folder, "envoy-gateway.yaml"), JSON.stringify(configuration));
      mkdirSync(join(arena.folder, "root"), { recursive: true });
    },
    start: (arena) => {
      const server = [program, "server", "--config-path", join(arena.folder, "envoy-gateway.yaml")];
      const root = [join(arena.folder, "root"), certs(arena)];
      return new Program(["unshare", "--mount", "sh", "-ec", withCerts, "root", ...root, ...server], {
        name: "Envoy Gateway",
        log: logOf(arena, "envoy-gateway"),
        env: { KUBECONFIG: arena.home.api.kubeconfigFile },
      });
    },
    envoyOf: async (arena) => {
      const owner = `gateway.envoyproxy.io/owning-gateway-name=${arena.gateway}`;
      const list = async (kind: string): Promise<KubeObject[]> =>
        (
          JSON.parse(await kubectl(arena, ["get", kind, "-n", namespace, "-l", owner, "-o", "json"])) as {
            items: KubeObject[];
          }
        ).items;
      const [[deployment], [sds]] = await Promise.all([list("deployment"), list("configmap")]);
      if (deployment === undefined || sds === undefined) return undefined;
      const folder = join(arena.folder, "envoy-certs");
      const here = (text: string): string =>
        text.replaceAll("/certs/", `${folder}/`).replaceAll("/sds/", `${folder}/`);
      writeFiles(folder, await secretFiles(arena, "envoy"));
      const files = (sds["data"] ?? {}) as Record<string, string>;
      writeFiles(folder, Object.fromEntries(Object.entries(files).map(([name, text]) => [name, here(text)])));
      const args = envoyArgs(deployment);
      const at = args.indexOf("--config-yaml") + 1;
      const bootstrap = parse(here(args[at] ?? "")) as object;
      const local = JSON.stringify(bootstrap, (key, value: unknown) => {
        if (key === "address" && typeof value === "string" && value.startsWith("envoy-gateway."))
          return "127.0.0.1";
        return key === "port_value" ? (movedPorts.get(value) ?? value) : value;
      });
      return {
        args: args.with(at, local),
        admin: `127.0.0.1:${adminPort}`,
        xdsCluster: "xds_cluster",
      };
    },
  };
}
