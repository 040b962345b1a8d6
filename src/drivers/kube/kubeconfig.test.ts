import { expect } from "chai";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../../model/errors.ts";
import { homeAccess } from "./kubeconfig.ts";
import { plainAccess, readContext } from "./kubeconfig-file.ts";
import { remembered } from "./remembered.ts";
import { serviceAccountAccess } from "./service-account.ts";

const ca = Buffer.from("ca").toString("base64");
const cluster = { server: "https://198.18.0.1:6443", "certificate-authority-data": ca };
const kubeconfig = (user: object, ofCluster: object = cluster): string =>
  JSON.stringify({
    clusters: [{ name: "c", cluster: ofCluster }],
    users: [{ name: "u", user }],
    contexts: [
      { name: "x", context: { cluster: "c", user: "u" } },
      { name: "toString", context: { cluster: "nowhere", user: "u" } },
    ],
    "current-context": "x",
  });

describe("access to the home cluster", function () {
  // client-node takes its time to load.
  this.timeout(30_000);
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "mc-wan-access-"));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const fileOf = (text: string): string => {
    writeFileSync(join(folder, "config"), text);
    return join(folder, "config");
  };

  it("is what stands in plain in a kubeconfig", async () => {
    const access = await homeAccess({ kubeconfig: fileOf(kubeconfig({ token: "t" })), context: "x" });
    expect([access.server.href, access.tls.ca?.toString()]).to.deep.equal(["https://198.18.0.1:6443/", "ca"]);
    expect(await access.authorization()).to.equal("Bearer t");
  });

  it("is also what only client-node understands: files, programs", async () => {
    writeFileSync(join(folder, "ca"), "from-a-file");
    const { server } = cluster;
    const byFile = kubeconfig({ token: "t" }, { server, "certificate-authority": join(folder, "ca") });
    expect((await homeAccess({ kubeconfig: fileOf(byFile) })).tls.ca?.toString()).to.equal("from-a-file");
    const program = join(folder, "plugin");
    const credential = { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential" };
    writeFileSync(
      program,
      `#!/bin/sh\necho '${JSON.stringify({ ...credential, status: { token: "from-a-program" } })}'`,
    );
    chmodSync(program, 0o755);
    const byProgram = kubeconfig({ exec: { apiVersion: credential.apiVersion, command: program } });
    expect(await (await homeAccess({ kubeconfig: fileOf(byProgram) })).authorization()).to.equal(
      "Bearer from-a-program",
    );
  });

  it("is a fault of the user where the file, the context, or what it names is not there", async () => {
    const wrong: readonly { kubeconfig: string; context?: string }[] = [
      { kubeconfig: join(folder, "none") },
      { kubeconfig: fileOf(kubeconfig({ token: "t" })), context: "toString" },
      { kubeconfig: fileOf(kubeconfig({ token: "t" })), context: "constructor" },
    ];
    for (const options of wrong) {
      const error: unknown = await homeAccess(options).catch((reason: unknown) => reason);
      expect(error, JSON.stringify(options)).to.be.instanceOf(UsageError);
    }
  });

  it("is a Pod's service account, whose token is read again", async () => {
    for (const [name, text] of Object.entries({ "ca.crt": "ca", token: "first\n" }))
      writeFileSync(join(folder, name), text);
    const pod = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" };
    const access = await serviceAccountAccess(pod, folder);
    expect(access.server.href).to.equal("https://[fd00::1]/");
    expect(await access.authorization()).to.equal("Bearer first");
    let given = 0;
    const always = remembered(() => Promise.resolve(String((given += 1))), -1);
    expect([await always(), await always()]).to.deep.equal(["1", "2"]);
    const once = remembered(() => Promise.resolve(String((given += 1))));
    expect([await once(), await once()]).to.deep.equal(["3", "3"]);
  });

  it("is never half-made: what is no text, or a certificate without its key, is not taken in plain", async () => {
    for (const user of [
      { token: 7 },
      { token: ["t"] },
      { "client-certificate-data": "Yw==" },
      { as: "admin" },
    ]) {
      const context = await readContext(kubeconfig(user));
      expect(context && plainAccess(context), JSON.stringify(user)).to.equal(undefined);
    }
    const spelledOut = kubeconfig(
      { token: "t", exec: null },
      { ...cluster, "insecure-skip-tls-verify": false, "proxy-url": null },
    );
    const context = await readContext(spelledOut);
    expect(context && plainAccess(context)).to.have.property("server");
  });
});
