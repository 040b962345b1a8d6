/** The projects' own releases, checked against the checksums they publish. Where there is no way to the internet this fails in seconds, once. */

import { copyFile, mkdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { cacheFolder } from "./cache.ts";
import { run } from "./command.ts";
import { download, DownloadError, downloadText } from "./download.ts";
import { goArchitecture, seldom, type Context, type Source } from "./source.ts";
import { COREDNS_VERSION, ENVOY_VERSION, ETCD_VERSION, KUBERNETES_VERSION } from "./versions.ts";

interface Release {
  readonly url: string;
  /** A file with the checksum: bare, or a line `<checksum>  <file name>` among others. */
  readonly checksums: string;
  /** Where the program lies in the archive; undefined when the file is the program itself. */
  readonly member?: string;
}

/** The official release of a program of Kubernetes. */
export function kubernetesRelease(program: string): Source {
  return release(program, () => {
    const url = `https://dl.k8s.io/release/v${KUBERNETES_VERSION}/bin/linux/${goArchitecture()}/${program}`;
    return { url, checksums: `${url}.sha256` };
  });
}

/** The official release of etcd. */
export const etcdRelease = release("etcd", () => {
  const name = `etcd-v${ETCD_VERSION}-linux-${goArchitecture()}`;
  const folder = `https://github.com/etcd-io/etcd/releases/download/v${ETCD_VERSION}`;
  return { url: `${folder}/${name}.tar.gz`, checksums: `${folder}/SHA256SUMS`, member: `${name}/etcd` };
});

/** The official release of CoreDNS. */
export const corednsRelease = release("coredns", () => {
  const url = `https://github.com/coredns/coredns/releases/download/v${COREDNS_VERSION}/coredns_${COREDNS_VERSION}_linux_${goArchitecture()}.tgz`;
  return { url, checksums: `${url}.sha256`, member: "coredns" };
});

/** The official release of Envoy. */
export const envoyRelease = release("envoy", () => {
  const cpu = goArchitecture() === "amd64" ? "x86_64" : "aarch_64";
  const folder = `https://github.com/envoyproxy/envoy/releases/download/v${ENVOY_VERSION}`;
  return { url: `${folder}/envoy-${ENVOY_VERSION}-linux-${cpu}`, checksums: `${folder}/checksums.txt.asc` };
});

function release(program: string, describe: () => Release): Source {
  return {
    label: "official release",
    fill: async (folder, context) => {
      const { url, checksums, member } = describe();
      const file = join(cacheFolder(), "downloads", basename(url));
      const hex = checksumOf(await downloadText(checksums, context.signal), basename(url));
      if (hex === undefined) throw new DownloadError(`${checksums} names no sha256 of ${basename(url)}`);
      await download({
        url,
        file,
        checksum: { algorithm: "sha256", hex },
        signal: context.signal,
        onBytes: reportBytes(program, context),
      });
      if (member === undefined) await copyFile(file, join(folder, program));
      else await unpack(file, member, join(folder, program));
      await rm(file, { force: true });
      return url;
    },
  };
}

async function unpack(archive: string, member: string, to: string): Promise<void> {
  const folder = `${to}.unpacked`;
  await mkdir(folder);
  await run("tar", ["-xzf", archive, "-C", folder]);
  await copyFile(join(folder, member), to);
  await rm(folder, { recursive: true });
}

/** The sha256 of a file in a list of checksums, or the only one in the text. */
export function checksumOf(text: string, fileName: string): string | undefined {
  const lines = text.split("\n").map((line) => line.trim().split(/\s+/));
  const isHash = (word: string | undefined): word is string =>
    word !== undefined && /^[0-9a-f]{64}$/.test(word);
  const named = lines.find(
    ([hash, name]) => isHash(hash) && name !== undefined && basename(name.replace(/^\*/, "")) === fileName,
  );
  if (named !== undefined) return named[0];
  const bare = lines.filter(([hash, name]) => isHash(hash) && name === undefined);
  return bare.length === 1 ? bare[0]?.[0] : undefined;
}

function reportBytes(program: string, context: Context): (bytes: number, total: number | undefined) => void {
  const say = seldom(context.progress, 3_000);
  const mega = (bytes: number): string => (bytes / 1e6).toFixed(1);
  return (bytes, total) => {
    say(`${program}: ${mega(bytes)}${total === undefined ? "" : ` of ${mega(total)}`} MB downloaded`);
  };
}
