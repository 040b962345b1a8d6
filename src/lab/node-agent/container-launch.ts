/**
 * From a container of a Pod spec to a running process: image, environment, mounts, security context, script. Everything that
 * the API server has to be asked for is read here, at each start, so that a restart sees new values.
 */
import { statSync } from "node:fs";
import { chmod, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join, posix } from "node:path";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { IPod } from "kubernetes-models/v1/Pod";
import { ContainerLog } from "./container-log.ts";
import { startContainerProcess, type ContainerProcess } from "./container-process.ts";
import { planRoot, type ContainerMount, type RootPlan } from "./container-root.ts";
import { containerScript, type ContainerUser } from "./container-script.ts";
import type { PodAddresses } from "./downward-api.ts";
import { ContainerConfigError, containerEnvironment, environmentSources, expand } from "./environment.ts";
import { etcFiles } from "./etc-files.ts";
import { findImage, type ImageRecipe } from "./images.ts";
import { readKeyedSources } from "./keyed-sources.ts";
import type { PodSettings } from "./pod-settings.ts";
import type { PodVolumes } from "./volumes.ts";

/** The Pod around the container. */
export interface PodSandbox {
  readonly pod: IPod;
  /** The Pod's own folder. */
  readonly folder: string;
  readonly addresses: PodAddresses;
  /** Absent for hostNetwork. */
  readonly netnsPath: string | undefined;
  readonly volumes: PodVolumes;
}

/** A run, and what `kubectl exec` needs to join it. */
export interface LaunchedContainer {
  readonly process: ContainerProcess;
  readonly log: ContainerLog;
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly user: ContainerUser;
  readonly capabilities: readonly string[];
}

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Starts one run of a container. Throws ImageError, ContainerConfigError, ContainerStartError or what the API server said. */
export async function launchContainer(
  settings: PodSettings,
  sandbox: PodSandbox,
  at: { container: IContainer; run: number },
): Promise<LaunchedContainer> {
  const { pod } = sandbox;
  const { container, run } = at;
  const image = findImage(settings.images, container.image ?? "");
  const hostname = podHostname(pod);
  const environment = await environmentOf(settings, sandbox, { container, image, hostname });
  const user = userOf(pod, container);
  const folder = join(sandbox.folder, "containers", container.name);
  const { config } = settings;
  const files = etcFiles(pod.spec ?? { containers: [] }, {
    namespace: pod.metadata?.namespace ?? "default",
    hostname,
    podIP: sandbox.addresses.podIP,
    dnsIP: config.dnsIP,
    clusterDomain: config.clusterDomain,
    hostResolvConf: settings.hostResolvConf,
    user: user.uid,
  });
  const mounts = await mountsOf(sandbox, container, { image, environment });
  const workingDir = container.workingDir ?? image.workingDir ?? "/";
  const capabilities = capabilitiesOf(container);
  const [rootDir, skeletonDir, fstabFile] = [
    join(folder, "root"),
    join(folder, "skeleton"),
    join(folder, "fstab"),
  ];
  const root = planRoot(rootDir, mounts, settings.host);
  await mkdir(rootDir, { recursive: true });
  await writeSkeleton(skeletonDir, root, files);
  await writeFile(fstabFile, root.fstab);
  const script = containerScript({
    rootDir,
    skeletonDir,
    fstabFile,
    nested: root.nested,
    host: settings.host,
    hostname,
    readOnlyRoot: container.securityContext?.readOnlyRootFilesystem === true,
    user,
    capabilities,
    workingDir,
    environment,
    command: commandOf(container, image, environment),
  });
  const scriptFile = join(folder, "run.sh");
  await writeFile(scriptFile, script, { mode: 0o600 });
  const log = new ContainerLog(join(folder, `${run}.log`));
  const process = await startContainerProcess(scriptFile, sandbox.netnsPath, log);
  return { process, log, environment, workingDir, user, capabilities };
}

/** Makes the tree that a run's root starts as; what an earlier run left is gone. */
async function writeSkeleton(
  folder: string,
  plan: RootPlan,
  etc: Readonly<Record<string, string>>,
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  for (const path of plan.folders) await mkdir(join(folder, path), { recursive: true, mode: 0o755 });
  for (const path of ["tmp", "var/tmp"]) await chmod(join(folder, path), 0o1777);
  await Promise.all([
    ...plan.emptyFiles.map((path) => writeFile(join(folder, path), "")),
    ...Object.entries(plan.links).map(([path, target]) => symlink(target, join(folder, path))),
    ...Object.entries(etc).map(([name, text]) => writeFile(join(folder, "etc", name), text)),
  ]);
}

/** The Pod's host name, a DNS label. */
function podHostname(pod: IPod): string {
  return pod.spec?.hostname ?? (pod.metadata?.name ?? "pod").slice(0, 63).replace(/[-.]+$/, "");
}

async function environmentOf(
  settings: PodSettings,
  { pod, addresses }: PodSandbox,
  { container, image, hostname }: { container: IContainer; image: ImageRecipe; hostname: string },
): Promise<Record<string, string>> {
  const namespace = pod.metadata?.namespace ?? "default";
  const sources = await readKeyedSources(settings.api, namespace, environmentSources(container));
  return {
    PATH: [...(image.path ?? []), PATH].join(":"),
    HOME: "/root",
    HOSTNAME: hostname,
    ...image.env,
    // In-cluster clients find the API server by these; no other service variables are made.
    ...(await settings.apiService()),
    ...containerEnvironment(pod, container, { sources, addresses }),
  };
}

function commandOf(
  container: IContainer,
  image: ImageRecipe,
  environment: Readonly<Record<string, string>>,
): string[] {
  const entrypoint = container.command ?? image.entrypoint;
  const args = container.args ?? (container.command === undefined ? (image.cmd ?? []) : []);
  const words = [...entrypoint, ...args].map((word) => expand(word, environment));
  if (words.length === 0) throw new ContainerConfigError(`container ${container.name} has no command`);
  return words;
}

function userOf(pod: IPod, container: IContainer): ContainerUser {
  const own = container.securityContext;
  const shared = pod.spec?.securityContext;
  const uid = own?.runAsUser ?? shared?.runAsUser ?? 0;
  // An image's own user is not known here: runAsNonRoot alone means the usual id for that.
  const nonRoot = own?.runAsNonRoot ?? shared?.runAsNonRoot ?? false;
  const effective = uid === 0 && nonRoot ? 65532 : uid;
  return { uid: effective, gid: own?.runAsGroup ?? shared?.runAsGroup ?? effective };
}

function capabilitiesOf(container: IContainer): string[] {
  const added = container.securityContext?.capabilities?.add ?? [];
  // Low ports are open to everybody in a Pod's namespace.
  return added.filter((name) => !/^(CAP_)?NET_BIND_SERVICE$|^ALL$/i.test(name));
}

async function mountsOf(
  sandbox: PodSandbox,
  container: IContainer,
  { image, environment }: { image: ImageRecipe; environment: Readonly<Record<string, string>> },
): Promise<ContainerMount[]> {
  const mounts: ContainerMount[] = image.binds.map(({ source, target }) => {
    return { source, target, readOnly: true, isFile: statSync(source).isFile() };
  });
  const kinds = new Map((sandbox.pod.spec?.volumes ?? []).map((volume) => [volume.name, volume]));
  for (const { name, mountPath, subPath, subPathExpr, readOnly } of container.volumeMounts ?? []) {
    const writable = kinds.get(name)?.emptyDir !== undefined;
    const below = subPathExpr === undefined ? (subPath ?? "") : expand(subPathExpr, environment);
    if (posix.normalize(below).startsWith(".."))
      throw new ContainerConfigError(`subPath ${below} leads out of its volume`);
    const source = join(sandbox.volumes.path(name), below);
    if (below !== "" && writable) await mkdir(source, { recursive: true });
    const isFile = below !== "" && statSync(source).isFile();
    mounts.push({ source, target: mountPath, readOnly: !writable || readOnly === true, isFile });
  }
  return mounts;
}
