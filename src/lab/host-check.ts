/**
 * Whether this machine can run a lab: tried first, and explained in one line with the remedy where it can't.
 * Never changes the machine.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { UsageError } from "../model/errors.ts";
import { findOnPath } from "./binaries/command.ts";

/** Programs of the host that a lab uses, by the Debian package that has them. */
const HOST_PROGRAMS: Readonly<Record<string, string>> = {
  unshare: "util-linux",
  nsenter: "util-linux",
  setpriv: "util-linux",
  mount: "mount",
  bash: "bash",
  ip: "iproute2",
  tc: "iproute2",
};

/** The environment that programs of a lab are started with: an ordinary user's PATH often lacks the folders of system tools. */
export function hostEnvironment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`,
  };
}

/** Throws UsageError, one line, when this machine can't run a lab. */
export function checkHost(): void {
  if (process.platform !== "linux")
    throw new UsageError(`the lab needs Linux, this is ${process.platform}: use kind (kind-configs/)`);
  const missing = Object.keys(HOST_PROGRAMS).filter((name) => findOnPath(name) === undefined);
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((name) => HOST_PROGRAMS[name]))].join(" ");
    throw new UsageError(`the lab needs ${missing.join(", ")}: apt-get install ${packages}`);
  }
  const script = "mount -t tmpfs none /run && ip link set lo up && ip link add probe type veth";
  const probe = spawnSync(
    "unshare",
    ["-Urnm", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script],
    {
      encoding: "utf8",
      env: hostEnvironment(),
    },
  );
  if (probe.status !== 0) throw new UsageError(explain(probe.stderr.trim(), readSysctl));
}

/** Why a machine refused namespaces, and what to do. Pure but for `sysctl`, which gives a setting's value or undefined. */
export function explain(said: string, sysctl: (name: string) => string | undefined): string {
  const because = `this machine refuses private namespaces (${said.split("\n")[0] ?? "no message"})`;
  const zero = [
    "user.max_user_namespaces",
    "user.max_net_namespaces",
    "user.max_pid_namespaces",
    "user.max_mnt_namespaces",
  ].filter((name) => sysctl(name) === "0");
  if (sysctl("kernel.unprivileged_userns_clone") === "0")
    return `${because}: sudo sysctl kernel.unprivileged_userns_clone=1`;
  if (zero.length > 0) return `${because}: sudo sysctl ${zero.map((name) => `${name}=15000`).join(" ")}`;
  if (sysctl("kernel.apparmor_restrict_unprivileged_userns") === "1") {
    return `${because}: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with "userns," for unshare`;
  }
  if (said.includes("/proc:"))
    return `${because}: /proc is masked, as in a container; run the lab outside of it`;
  if (/veth|Unknown device type|Not supported/i.test(said))
    return `${because}: the kernel has no veth; sudo modprobe veth`;
  return `${because}: in a container its seccomp profile forbids them; run the lab outside of it`;
}

function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim();
  } catch {
    return undefined;
  }
}
