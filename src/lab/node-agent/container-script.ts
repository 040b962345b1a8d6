/**
 * The shell script that turns a freshly unshared process into a container: own root on tmpfs, the mounts of its fstab, then the
 * program itself. PURE: it makes the text, `container-process.ts` runs it.
 *
 *     setpriv --pdeathsig KILL · nsenter --net · unshare --mount --uts --ipc --pid --fork · bash <this script> · program (PID 1)
 *
 * Descriptor 3 hears what goes wrong before the program starts, and the line `started` right before it does.
 */
import { posix } from "node:path";
import { bindOptions, relativeTarget, type ContainerMount, type HostLayout } from "./container-root.ts";

/** What the script is made from. Paths of the host are absolute. */
export interface ContainerScriptInput {
  /** An empty folder of the host; the container's root is mounted there, in its own mount namespace. */
  readonly rootDir: string;
  /** Folder whose content becomes the root's. */
  readonly skeletonDir: string;
  readonly fstabFile: string;
  readonly nested: readonly ContainerMount[];
  readonly host: HostLayout;
  readonly hostname: string;
  readonly readOnlyRoot: boolean;
  readonly user: ContainerUser;
  readonly capabilities: readonly string[];
  readonly workingDir: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

/** Numeric ids; 0 is the agent's own user. */
export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
}

/** Quotes one word for a POSIX shell. */
export function shellQuote(word: string): string {
  return /^[A-Za-z0-9_/:=.,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * A mount inside of another. Where the outer one is read-only the mount point must be there already; else the script fails with
 * the name of the path, as a container runtime does.
 */
function nestedLines(host: HostLayout, mount: ContainerMount): string[] {
  const target = relativeTarget(mount.target);
  const path = shellQuote(target);
  const make = mount.isFile
    ? `{ mkdir -p ${shellQuote(posix.dirname(target))}; : > ${path}; }`
    : `mkdir -p ${path}`;
  return [
    `[ -e ${path} ] || ${make}`,
    `mount -o ${bindOptions(host, mount)} ${shellQuote(mount.source)} ${path}`,
  ];
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
    // The change of user has cleared what `unshare --kill-child` had set.
    "--pdeathsig",
    "KILL",
    ...privileges,
    "--",
    ...command,
  ];
}

/** The script's text, for bash. */
export function containerScript(input: ContainerScriptInput): string {
  const rootDir = shellQuote(input.rootDir);
  const workingDir = shellQuote(input.workingDir);
  return [
    "set -e",
    "exec 4>&2 2>&3",
    `mount -t tmpfs -o mode=0755,size=512m tmpfs ${rootDir}`,
    `cp -a ${shellQuote(input.skeletonDir)}/. ${rootDir}`,
    `mount --all --fstab ${shellQuote(input.fstabFile)}`,
    `cd ${rootDir}`,
    ...input.nested.flatMap((mount) => nestedLines(input.host, mount)),
    `hostname ${shellQuote(input.hostname)}`,
    // The old root comes to lie on top of the new one and is taken away from there (pivot_root(2)).
    "pivot_root . .",
    "umount -l .",
    "cd /",
    `[ -d ${workingDir} ] || mkdir -p ${workingDir}`,
    ...(input.readOnlyRoot ? ["mount -o remount,bind,ro /"] : []),
    "exec 2>&4 4>&-",
    "echo started >&3",
    "exec 3>&-",
    `exec ${launchWords(input).map(shellQuote).join(" ")}`,
    "",
  ].join("\n");
}
