import { expect } from "chai";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../../model/errors.ts";
import { findBinary, obtainBinaries } from "./binaries.ts";
import { packagesOf } from "./debian-programs.ts";
import { meetsMinimum } from "./go-toolchain.ts";
import { hostTools } from "./host-tools.ts";
import { checksumOf } from "./official.ts";

describe("binaries", () => {
  const variables = ["KUBEBUILDER_ASSETS", "ENVOY_PATH", "MCWAN_CACHE", "PATH"] as const;
  const before = new Map(variables.map((variable) => [variable, process.env[variable]]));
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "mc-wan-binaries-"));
    process.env["MCWAN_CACHE"] = join(folder, "cache");
  });
  afterEach(async () => {
    for (const [variable, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, variable);
      else process.env[variable] = value;
    }
    await rm(folder, { recursive: true, force: true });
  });

  it("takes a program of KUBEBUILDER_ASSETS before the cache, and misses what isn't in it", async () => {
    await writeFile(join(folder, "etcd"), "#!/bin/sh\n", { mode: 0o755 });
    process.env["KUBEBUILDER_ASSETS"] = folder;
    expect(findBinary("etcd")).to.equal(join(folder, "etcd"));
    expect(findBinary("kube-apiserver")).to.equal(undefined);
    expect(await obtainBinaries(["etcd"], { progress: () => undefined })).to.deep.equal({
      etcd: join(folder, "etcd"),
    });
  });

  it("says in one line that ENVOY_PATH names no program", async () => {
    process.env["ENVOY_PATH"] = join(folder, "no-envoy");
    const error = await obtainBinaries(["envoy"], { progress: () => undefined }).catch(
      (caught: unknown) => caught,
    );
    expect(error).to.be.instanceOf(UsageError);
    expect((error as Error).message).to.match(
      /^ENVOY_PATH names .*no-envoy, which is no program that can be run$/,
    );
  });

  it("finds the system's tools although PATH lacks their folders", () => {
    process.env["PATH"] = folder;
    expect(Object.values(hostTools()).every((path) => path.startsWith("/"))).to.equal(true);
  });

  it("tells a Go that is new enough from one that isn't", () => {
    const versions = ["go1.26.0", "go1.27rc1", "go2.0", "go1.25.9", "go1.9", "devel"];
    expect(versions.filter(meetsMinimum)).to.deep.equal(["go1.26.0", "go1.27rc1", "go2.0"]);
  });

  it("reads the packages out of a simulated installation", () => {
    const plan =
      "NOTE: This is only a simulation!\nInst libnftnl11 (1.2.4-2 Debian:12.9/oldstable [amd64])\nInst nftables [1.0] (1.0.6-2+deb12u2 Debian [amd64])\nConf nftables (1.0.6)\n";
    expect(packagesOf(plan)).to.deep.equal(["libnftnl11=1.2.4-2", "nftables=1.0.6-2+deb12u2"]);
  });

  it("finds a checksum by file name, or the only one there is", () => {
    const [a, b] = ["a".repeat(64), "b".repeat(64)];
    expect(checksumOf(`${a}  one.tar.gz\n${b} *bin/two.tar.gz\n`, "two.tar.gz")).to.equal(b);
    expect(checksumOf(`${a}\n`, "anything")).to.equal(a);
    expect(checksumOf(`${a}  one.tar.gz\n`, "two.tar.gz")).to.equal(undefined);
    expect(checksumOf("<html>", "two.tar.gz")).to.equal(undefined);
  });
});
