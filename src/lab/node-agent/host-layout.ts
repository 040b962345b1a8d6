/**
 * Looks at the machine once: which top-level folders are links into /usr, which parts of /etc programs need.
 */
import { existsSync, lstatSync, readFileSync, readlinkSync } from "node:fs";
import type { HostLayout } from "./container-root.ts";
import { parseMountInfo } from "./mount-info.ts";

const TOP_LEVEL = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
const ETC = ["/etc/ssl", "/etc/alternatives", "/etc/ca-certificates", "/etc/pki"];

/** Reads the layout from the root that the agent sees. */
export function readHostLayout(): HostLayout {
  const usrLinks: Record<string, string> = {};
  for (const name of TOP_LEVEL) {
    if (!existsSync(`/${name}`)) continue;
    usrLinks[name] = lstatSync(`/${name}`).isSymbolicLink()
      ? readlinkSync(`/${name}`).replace(/^\//, "")
      : name;
  }
  return {
    usrLinks,
    etcDirs: ETC.filter((path) => existsSync(path)),
    mountPoints: parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8")),
  };
}

/** The host's resolv.conf, empty when it has none. */
export function readHostResolvConf(): string {
  return existsSync("/etc/resolv.conf") ? readFileSync("/etc/resolv.conf", "utf8") : "";
}
