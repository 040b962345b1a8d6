/** The system's own tools that the lab calls: found or named as missing, with the Debian package that has them. Never installed. */

import { UsageError } from "../../model/errors.ts";
import { findOnPath } from "./command.ts";

const packages = {
  ip: "iproute2",
  tc: "iproute2",
  unshare: "util-linux",
  nsenter: "util-linux",
  setpriv: "util-linux",
  mount: "mount",
} as const;

/** A tool of the system. */
export type HostTool = keyof typeof packages;

/**
 * The absolute paths of the tools, from PATH and the folders of system tools.
 * @throws UsageError, one line, naming all that is missing and what to install.
 */
export function hostTools(): Readonly<Record<HostTool, string>> {
  const names = Object.keys(packages) as HostTool[];
  const found = new Map(names.flatMap((name) => pair(name, findOnPath(name))));
  const missing = names.filter((name) => !found.has(name));
  if (missing.length > 0) {
    const install = [...new Set(missing.map((name) => packages[name]))];
    throw new UsageError(
      `${missing.join(", ")} not found on this machine: apt-get install ${install.join(" ")}`,
    );
  }
  return Object.fromEntries(found) as Record<HostTool, string>;
}

function pair(name: HostTool, path: string | undefined): [HostTool, string][] {
  return path === undefined ? [] : [[name, path]];
}
