import { expect } from "chai";
import { planRoot, type ContainerMount, type HostLayout } from "./container-root.ts";
import { containerScript, launchWords, shellQuote } from "./container-script.ts";
import { execute } from "./run-command.ts";

const host: HostLayout = {
  usrLinks: { bin: "usr/bin", lib64: "usr/lib64" },
  etcDirs: ["/etc/ssl"],
  mountPoints: [
    { path: "/", flags: [] },
    { path: "/tmp", flags: ["nosuid", "nodev"] },
  ],
};

function mount(source: string, target: string, rest: Partial<ContainerMount> = {}): ContainerMount {
  return { source, target, readOnly: true, isFile: false, ...rest };
}

describe("a container's root", () => {
  it("has a mount point and a line for each mount, and repeats the flags that the kernel locks", () => {
    const plan = planRoot("/r", [mount("/tmp/my volume", "/etc/config/")], host);
    expect(plan.folders).to.include("etc/config");
    expect(plan.fstab).to.include("/tmp/my\\040volume /r/etc/config none bind,ro,nosuid,nodev 0 0\n");
    expect(plan.fstab).to.include("/usr /r/usr none bind,ro 0 0\n");
  });

  it("keeps a writable volume writable and makes a file's mount point a file", () => {
    const plan = planRoot(
      "/r",
      [mount("/v/work", "/work", { readOnly: false }), mount("/v/a.json", "/app/a.json", { isFile: true })],
      host,
    );
    expect(plan.fstab).to.include("/v/work /r/work none bind 0 0\n");
    expect(plan.emptyFiles).to.include("app/a.json");
  });

  it("puts mounts below /var/run where that really is", () => {
    const plan = planRoot("/r", [mount("/v/token", "/var/run/secrets/x")], host);
    expect(plan.fstab).to.include("/v/token /r/run/secrets/x none");
  });

  it("mounts what lies inside of another mount afterwards, outermost first", () => {
    const plan = planRoot(
      "/r",
      [mount("/v/c", "/work/a/b"), mount("/v/b", "/work/a"), mount("/v/a", "/work")],
      host,
    );
    expect(plan.nested.map(({ target }) => target)).to.deep.equal(["/work/a", "/work/a/b"]);
  });

  it("can't be left by a target with dots", () => {
    expect(planRoot("/r", [mount("/v/a", "/../../etc/x")], host).fstab).to.include("/v/a /r/etc/x none");
  });
});

describe("a container's start", () => {
  it("gives up every privilege", () => {
    const words = launchWords({
      user: { uid: 0, gid: 0 },
      capabilities: [],
      environment: { A: "b" },
      command: ["true"],
    });
    expect(words).to.include.members([
      "--bounding-set=-all",
      "--ambient-caps=-all",
      "--inh-caps=-all",
      "--no-new-privs",
    ]);
    expect(words).not.to.include("unshare");
  });

  it("is another user by a user namespace of its own", () => {
    const words = launchWords({
      user: { uid: 65532, gid: 7 },
      capabilities: [],
      environment: {},
      command: ["true"],
    });
    expect(words.join(" ")).to.include("unshare -U --map-user=65532 --map-group=7");
  });

  it("writes a script that bash can read, whatever the words hold", async () => {
    const script = containerScript({
      rootDir: "/r o'o",
      skeletonDir: "/s",
      fstabFile: "/f",
      nested: [mount("/v/a $x", "/work/'a'")],
      host,
      hostname: "h",
      readOnlyRoot: true,
      user: { uid: 0, gid: 0 },
      capabilities: [],
      workingDir: "/it's",
      environment: { Q: "a 'b' \"c\" $d\n`e`" },
      command: ["sh", "-c", 'echo "$Q"'],
    });
    const { exitCode, stderr } = await execute(["bash", "-n"], { input: script });
    expect(stderr).to.equal("");
    expect(exitCode).to.equal(0);
  });

  it("quotes words so that a shell gives them back", async () => {
    const words = ["plain", "", "two words", "it's", '$HOME `x` \\ "q"', "line\nbreak"];
    const { stdout } = await execute(["sh", "-c", `printf '%s|' ${words.map(shellQuote).join(" ")}`]);
    expect(stdout).to.equal(`${words.join("|")}|`);
  });
});
