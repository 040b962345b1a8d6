/**
 * Programs of Debian packages without root: the packages that the machine lacks, unpacked into the cache beside a script that runs
 * the program on their libraries. Nothing is installed, and apt's own lists and cache are left alone.
 */

import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "./cache.ts";
import { findOnPath, run } from "./command.ts";
import type { Context, Source } from "./source.ts";

/** A program and the package that has it. */
interface DebianProgram {
  readonly name: string;
  readonly package: string;
  /** Where it lies in the package, without a slash before it. */
  readonly path: string;
  /** Arguments with which it ends by itself with code 0: proof that its libraries are there. */
  readonly check: readonly string[];
}

/** nft, whose rules are the lab's counters and tunnels. */
export const nftFromDebian = fromDebian({
  name: "nft",
  package: "nftables",
  path: "usr/sbin/nft",
  check: ["--version"],
});

/** socat, for the image `alpine/socat`. */
export const socatFromDebian = fromDebian({
  name: "socat",
  package: "socat",
  path: "usr/bin/socat",
  check: ["-V"],
});

/** OpenBSD's nc, for the image `nicolaka/netshoot`. */
export const ncFromDebian = fromDebian({
  name: "nc",
  package: "netcat-openbsd",
  path: "bin/nc.openbsd",
  check: ["-h"],
});

/** BIND's nslookup, for the image `nicolaka/netshoot`. */
export const nslookupFromDebian = fromDebian({
  name: "nslookup",
  package: "bind9-dnsutils",
  path: "usr/bin/nslookup",
  check: ["-version"],
});

/** A program and whatever libraries it needs that aren't installed, from the machine's own Debian (or Ubuntu) sources. */
function fromDebian(program: DebianProgram): Source {
  return {
    label: "Debian packages",
    fill: async (folder, context) => {
      for (const tool of ["apt-get", "dpkg-deb"])
        if (findOnPath(tool) === undefined) throw new Error(`no ${tool} on this machine`);
      const into = { folder, program };
      const lists = await downloadPackages(into, [], context).catch(async () => {
        context.signal?.throwIfAborted();
        context.progress(`${program.name}: fetching package lists of our own`);
        return await downloadPackages(into, await ownPackageLists(context), context);
      });
      await unpackAll(folder, context);
      const started = join(folder, program.name);
      await writeFile(started, script(program.path, await libraryFolders(folder)), { mode: 0o755 });
      await run(started, program.check, { signal: context.signal });
      return `Debian packages ${lists.join(" ")}`;
    },
  };
}

/** Fetches what `apt-get install <package>` would install, and gives the packages as name=version. */
async function downloadPackages(
  { folder, program }: { readonly folder: string; readonly program: DebianProgram },
  options: readonly string[],
  context: Context,
): Promise<string[]> {
  const plan = await run(
    "apt-get",
    [...options, "--simulate", "--no-install-recommends", "install", program.package],
    { signal: context.signal },
  );
  const planned = packagesOf(plan);
  // Nothing to install means that the package is there and only not on the path that we looked at; its own file is what we want then.
  const packages = planned.length === 0 ? [program.package] : planned;
  context.progress(`${program.name}: fetching ${packages.join(" ")}`);
  await run("apt-get", [...options, "--quiet", "download", ...packages], {
    cwd: folder,
    signal: context.signal,
  });
  return packages;
}

/** The lines `Inst libnftnl11 (1.2.4-2 Debian:12.9/oldstable [amd64])` of a simulated installation, as `libnftnl11=1.2.4-2`. */
export function packagesOf(plan: string): string[] {
  return [...plan.matchAll(/^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) /gm)].map(
    ([, name, version]) => `${name ?? ""}=${version ?? ""}`,
  );
}

/** Options that make apt use lists and a cache in our folder, freshly updated: works without root and where the system has none. */
async function ownPackageLists(context: Context): Promise<string[]> {
  const folder = join(cacheFolder(), "apt");
  await mkdir(join(folder, "lists/partial"), { recursive: true });
  await mkdir(join(folder, "archives/partial"), { recursive: true });
  const settings = {
    "Dir::State::lists": join(folder, "lists"),
    "Dir::Cache": folder,
    "APT::Sandbox::User": "",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  await run("apt-get", [...options, "--quiet", "update"], { signal: context.signal });
  return options;
}

async function unpackAll(folder: string, context: Context): Promise<void> {
  const packages = (await readdir(folder)).filter((name) => name.endsWith(".deb"));
  for (const name of packages) {
    await run("dpkg-deb", ["-x", join(folder, name), join(folder, "root")], { signal: context.signal });
    await rm(join(folder, name));
  }
}

/** Where shared libraries lie below root, relative to the folder: lib/<machine> or usr/lib/<machine>. */
async function libraryFolders(folder: string): Promise<string[]> {
  const found = await readdir(join(folder, "root"), { recursive: true, withFileTypes: true });
  const folders = found
    .filter((file) => /\.so(\.|$)/.test(file.name))
    .map((file) => file.parentPath.slice(folder.length + 1));
  return [...new Set(folders)].filter((path) => /^root\/(usr\/)?lib(\/[^/]+)?$/.test(path)).sort();
}

/** Runs as a plain program wherever the folder is visible. */
function script(program: string, libraries: readonly string[]): string {
  const path = libraries.map((folder) => `$here/${folder}`).join(":");
  const environment =
    libraries.length === 0 ? "" : `LD_LIBRARY_PATH="${path}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" `;
  return `#!/bin/sh
here=\${0%/*}
${environment}exec "$here/root/${program}" "$@"
`;
}
