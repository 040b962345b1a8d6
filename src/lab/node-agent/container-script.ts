/**
 * The shell script that turns a freshly unshared process into a container: own root on tmpfs, binds, /proc, /dev, /etc, then the
 * program itself. PURE: it makes the text, `container-process.ts` runs it.
 *
 *     setpriv --pdeathsig KILL · nsenter --net · unshare --mount --uts --ipc --pid --fork · bash <this script> · program (PID 1)
 *
 * Descriptor 3 hears what goes wrong before the program starts, and the line `started` right before it does.
 */
import { posix } from "node:path";
import { lockedFlags, type MountPoint } from "./mount-info.ts";

/** A bind of a host path (file or folder) into the container. */
export interface ContainerMount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly isFile: boolean;
}

/** What the script is made from. Paths of the host are absolute. */
export interface ContainerScriptInput {
  /** An empty folder of the host; the container's root is mounted there, in its own mount namespace. */
  readonly rootDir: string;
  /** Folder whose files become /etc. */
  readonly etcDir: string;
  readonly hostname: string;
  readonly mounts: readonly ContainerMount[];
  readonly readOnlyRoot: boolean;
  readonly user: ContainerUser;
  readonly capabilities: readonly string[];
  readonly workingDir: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  /** The host, as it is seen from the agent. */
  readonly host: HostLayout;
}

/** Numeric ids; 0 is the agent's own user. */
export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
}

/** What of the host's file system a container needs to know. */
export interface HostLayout {
  /** Top-level links into /usr, as `lib64` → `usr/lib64`; a folder that is no link is given as its own name and bound. */
  readonly usrLinks: Readonly<Record<string, string>>;
  /** Those of /etc/ssl, /etc/alternatives, /etc/ca-certificates that exist. */
  readonly etcDirs: readonly string[];
  readonly mountPoints: readonly MountPoint[];
}

/** Quotes one word for a POSIX shell. */
export function shellQuote(word: string): string {
  return /^[A-Za-z0-9_/:=.,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];

function bindLine(host: HostLayout, mount: ContainerMount): string {
  const target = shellQuote(`.${posix.normalize(mount.target)}`);
  const options = mount.readOnly ? ["bind", "ro", ...lockedFlags(host.mountPoints, mount.source)] : ["bind"];
  return `mount -o ${options.join(",")} ${shellQuote(mount.source)} ${target}`;
}

/** Parents before children, so that no mount hides another. */
function inOrder(mounts: readonly ContainerMount[]): ContainerMount[] {
  const depth = (mount: ContainerMount): number =>
    posix.normalize(mount.target).split("/").filter(Boolean).length;
  return [...mounts].sort((a, b) => depth(a) - depth(b));
}

/**
 * Makes the mount points of a mount. Inside another mount that is read-only the folder must already be there; the
 * script then fails with the name of the path, as a container runtime does.
 */
function mountPointLine({ target, isFile }: ContainerMount): string {
  const path = shellQuote(`.${posix.normalize(target)}`);
  if (!isFile) return `[ -d ${path} ] || mkdir -p ${path}`;
  return `[ -e ${path} ] || { mkdir -p ${shellQuote(`.${posix.dirname(posix.normalize(target))}`)}; : > ${path}; }`;
}

/** Words that give up every privilege but the named capabilities and start `command` with exactly `environment`. */
export function launchWords(
  input: Pick<ContainerScriptInput, "user" | "capabilities" | "environment" | "command"> & {
    readonly workingDir?: string;
  },
): string[] {
  const { user, capabilities, environment, command, workingDir } = input;
  const kept = capabilities
    .map((capability) => `,+${capability.toLowerCase().replace(/^cap_/, "")}`)
    .join("");
  const privileges = [
    `--bounding-set=-all${kept}`,
    "--ambient-caps=-all",
    "--inh-caps=-all",
    "--no-new-privs",
  ];
  return [
    "env",
    "-i",
    ...(workingDir === undefined ? [] : ["-C", workingDir]),
    ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    // One mapped id is all that a plain user may have, so another user is a user namespace of its own in which it is that one.
    ...(user.uid === 0
      ? []
      : ["unshare", "-U", `--map-user=${user.uid}`, `--map-group=${user.gid}`, "--keep-caps"]),
    "setpriv",
    ...privileges,
    "--",
    ...command,
  ];
}

/** The script's text, for bash. */
export function containerScript(input: ContainerScriptInput): string {
  const { host } = input;
  const links = Object.entries(host.usrLinks);
  const folders = links.filter(([name, target]) => name === target).map(([name]) => name);
  const system: ContainerMount[] = ["/usr", ...folders.map((name) => `/${name}`), ...host.etcDirs].map(
    (path) => ({
      source: path,
      target: path,
      readOnly: true,
      isFile: false,
    }),
  );
  const first = [
    "usr",
    "proc",
    "sys",
    "dev/pts",
    "dev/shm",
    "tmp",
    "var/tmp",
    "run",
    "root",
    "old",
    ...folders,
  ];
  const rootOptions = "mode=0755,size=512m";
  return [
    "set -e",
    "exec 4>&2 2>&3",
    `cd ${shellQuote(input.rootDir)}`,
    `mount -t tmpfs -o ${rootOptions} tmpfs .`,
    `cd ${shellQuote(input.rootDir)}`,
    `mkdir -p ${first.join(" ")}`,
    "chmod 1777 tmp var/tmp dev/shm",
    `cp -r ${shellQuote(input.etcDir)} etc`,
    ...links.filter(([name, target]) => name !== target).map(([name, target]) => `ln -s ${target} ${name}`),
    ...system.flatMap((mount) => [
      ...(mount.target === "/usr" ? [] : [mountPointLine(mount)]),
      bindLine(host, mount),
    ]),
    DEVICES.map((device) => `: > dev/${device}`).join("; "),
    ...DEVICES.map((device) => `mount --bind /dev/${device} dev/${device}`),
    "mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts",
    "ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr",
    "mount -t tmpfs -o mode=1777,size=64m tmpfs dev/shm",
    "mount -t proc proc proc",
    ...inOrder(input.mounts).flatMap((mount) => [mountPointLine(mount), bindLine(host, mount)]),
    `[ -d .${shellQuote(input.workingDir)} ] || mkdir -p .${shellQuote(input.workingDir)}`,
    `hostname ${shellQuote(input.hostname)}`,
    "pivot_root . old",
    "cd /",
    "umount -l /old",
    "rmdir /old",
    ...(input.readOnlyRoot ? ["mount -o remount,bind,ro /"] : []),
    "exec 2>&4 4>&-",
    "echo started >&3",
    "exec 3>&-",
    `exec ${launchWords(input).map(shellQuote).join(" ")}`,
    "",
  ].join("\n");
}
