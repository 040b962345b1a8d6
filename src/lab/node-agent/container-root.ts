/**
 * What a container's root is made of, before any program of it runs: folders, links, mount points and one fstab. PURE. Made
 * by few processes on purpose: a line for each mount would cost a Pod's start a tenth of a second.
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

/** What of the host's file system a container needs to know. */
export interface HostLayout {
  /** Top-level links into /usr, as `lib64` → `usr/lib64`; a folder that is no link is given as its own name and bound. */
  readonly usrLinks: Readonly<Record<string, string>>;
  /** Those of /etc/ssl, /etc/alternatives, /etc/ca-certificates that exist. */
  readonly etcDirs: readonly string[];
  readonly mountPoints: readonly MountPoint[];
}

/** Paths are relative to the root, but for the fstab, which is absolute below `rootDir`. */
export interface RootPlan {
  readonly folders: readonly string[];
  readonly emptyFiles: readonly string[];
  readonly links: Readonly<Record<string, string>>;
  /** For `mount --all --fstab`. */
  readonly fstab: string;
  /** Mounts inside of other mounts: their mount points can only be made once those are there. In order. */
  readonly nested: readonly ContainerMount[];
}

const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];
const FOLDERS = ["usr", "proc", "sys", "dev/pts", "dev/shm", "tmp", "var/tmp", "run", "root", "etc"];
const LINKS = {
  "dev/ptmx": "pts/ptmx",
  "dev/fd": "/proc/self/fd",
  "dev/stdin": "fd/0",
  "dev/stdout": "fd/1",
  "dev/stderr": "fd/2",
  "var/run": "../run",
};

/** Mount options of a bind. */
export function bindOptions(host: HostLayout, mount: ContainerMount): string {
  return (mount.readOnly ? ["bind", "ro", ...lockedFlags(host.mountPoints, mount.source)] : ["bind"]).join(
    ",",
  );
}

/** A target without `..`, without a slash at either end, and with /var/run where it really is. */
export function relativeTarget(target: string): string {
  const path = posix.normalize(`/${target}`).replace(/^\/+|\/+$/g, "");
  return path.replace(/^var\/run(?=\/|$)/, "run");
}

function fstabField(text: string): string {
  return text.replace(/[\s\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

/** Plans the root for a container with these mounts. */
export function planRoot(rootDir: string, mounts: readonly ContainerMount[], host: HostLayout): RootPlan {
  const links = Object.entries(host.usrLinks);
  const ownFolders = links.filter(([name, target]) => name === target).map(([name]) => `/${name}`);
  const system = ["/usr", ...ownFolders, ...host.etcDirs].map((path) => ({
    source: path,
    target: path,
    readOnly: true,
    isFile: false,
  }));
  const depth = ({ target }: ContainerMount): number => relativeTarget(target).split("/").length;
  const ordered = [...system, ...[...mounts].sort((a, b) => depth(a) - depth(b))];
  const within = (inner: ContainerMount): boolean =>
    ordered.some(
      (outer) =>
        outer !== inner && relativeTarget(inner.target).startsWith(`${relativeTarget(outer.target)}/`),
    );
  const plain = ordered.filter((mount) => !within(mount));
  const devices = DEVICES.map((name) => ({
    source: `/dev/${name}`,
    target: `/dev/${name}`,
    readOnly: false,
    isFile: true,
  }));
  const line = (fields: { source: string; target: string; type: string; options: string }): string =>
    [
      fstabField(fields.source),
      fstabField(posix.join(rootDir, relativeTarget(fields.target))),
      fields.type,
      fields.options,
      "0",
      "0",
    ].join(" ");
  const paths = (isFile: boolean): string[] =>
    plain.filter((mount) => mount.isFile === isFile).map(({ target }) => relativeTarget(target));
  return {
    folders: [...FOLDERS, ...paths(false), ...paths(true).map((path) => posix.dirname(path))],
    emptyFiles: [...DEVICES.map((name) => `dev/${name}`), ...paths(true)],
    links: { ...LINKS, ...Object.fromEntries(links.filter(([name, target]) => name !== target)) },
    nested: ordered.filter(within),
    fstab: [
      ...[...devices, ...plain].map((mount) =>
        line({ ...mount, type: "none", options: bindOptions(host, mount) }),
      ),
      line({
        source: "devpts",
        target: "/dev/pts",
        type: "devpts",
        options: "newinstance,ptmxmode=0666,mode=0620",
      }),
      line({ source: "tmpfs", target: "/dev/shm", type: "tmpfs", options: "mode=1777,size=64m" }),
      line({ source: "proc", target: "/proc", type: "proc", options: "nosuid,nodev,noexec" }),
      "",
    ].join("\n"),
  };
}
