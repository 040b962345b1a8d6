/**
 * The flags of the host's mounts. PURE. A read-only bind must repeat `nosuid`, `nodev` and `noexec` of the mount it comes from:
 * inside a user namespace the kernel refuses a remount that would drop them.
 */

/** One line of /proc/self/mountinfo, as far as it matters here. */
export interface MountPoint {
  readonly path: string;
  readonly flags: readonly string[];
}

const LOCKED = ["nosuid", "nodev", "noexec"];

/** Parses /proc/self/mountinfo. */
export function parseMountInfo(text: string): MountPoint[] {
  return text
    .split("\n")
    .map((line) => line.split(" "))
    .filter((fields) => fields.length > 5)
    .map((fields) => ({
      path: (fields[4] ?? "").replace(/\\([0-7]{3})/g, (_whole, octal: string) =>
        String.fromCharCode(parseInt(octal, 8)),
      ),
      flags: (fields[5] ?? "").split(",").filter((flag) => LOCKED.includes(flag)),
    }));
}

/** The flags that a remount of a bind of `path` has to repeat. Later mounts on one path hide earlier ones. */
export function lockedFlags(mounts: readonly MountPoint[], path: string): readonly string[] {
  let best: MountPoint = { path: "", flags: [] };
  for (const mount of mounts) {
    const within = mount.path === "/" || path === mount.path || path.startsWith(`${mount.path}/`);
    if (within && mount.path.length >= best.path.length) best = mount;
  }
  return best.flags;
}
