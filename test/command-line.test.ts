/** The command line from outside: what a person gets who errs. One line that says what to do, an exit code, no stack. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { identify, makeRunDir, writeState } from "../src/lab/run-dir.ts";

const repository = join(import.meta.dirname, "..");
const main = join(repository, "src/cli/main.ts");
/** After this a program is ended: it hangs. */
const limitMs = 30_000;

interface Ended {
  /** Undefined where it had to be ended. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function run(words: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return runProgram([process.execPath, main, ...words], environment);
}

async function runProgram(
  [program = "", ...args]: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Ended> {
  const child = spawn(program, args, {
    cwd: repository,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: limitMs,
    killSignal: "SIGKILL",
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (stderr += bytes.toString()));
  return await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({ code: code ?? undefined, stdout, stderr });
    });
  });
}

/** One line, from mcwan, with these words; no stack, nothing on standard output. */
function expectOneLine({ code, stdout, stderr }: Ended, ...words: readonly RegExp[]): void {
  expect(code, stderr).to.be.oneOf([1, 2]);
  expect(stdout).to.equal("");
  expect(stderr.trimEnd().split("\n"), stderr).to.have.length(1);
  expect(stderr).to.match(/^mcwan: /);
  expectNoStack(stderr);
  for (const expected of words) expect(stderr).to.match(expected);
}

function expectNoStack(text: string): void {
  expect(text).not.to.match(/\n\s+at |node:internal|file:\/\//);
}

describe("the command line", function () {
  this.timeout(60_000);
  let folder = "";
  let taken: Server;
  let takenPort = 0;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "mc-wan-words-"));
    taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "0.0.0.0", resolve));
    const address = taken.address();
    takenPort = typeof address === "object" && address !== null ? address.port : 0;
  });
  after(async () => {
    taken.close();
    await rm(folder, { recursive: true, force: true });
  });

  const file = async (name: string, content: string): Promise<string> => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };
  const kubeconfig = (): Promise<string> =>
    file(
      "kubeconfig",
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        "current-context": "x",
        clusters: [{ name: "x", cluster: { server: "https://127.0.0.1:1" } }],
        users: [{ name: "x", user: { token: "sesame" } }],
        contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
      }),
    );

  for (const command of [
    "",
    "lab",
    "lab up",
    "lab down",
    "lab status",
    "lab counters",
    "lab link",
    "lab link set",
    "lab link cut",
    "lab link heal",
    "lab link reset",
    "lab env",
    "lab kubectl",
    "lab curl",
    "controller",
    "echo",
    "probe",
  ]) {
    const words = command.split(" ").filter((word) => word !== "");
    it(`mcwan ${[...words, "--help"].join(" ")} says how it is used`, async () => {
      const { code, stdout, stderr } = await run([...words, "--help"]);
      expect({ code, stderr }).to.deep.equal({ code: 0, stderr: "" });
      expect(stdout).to.match(new RegExp(`^Usage: mcwan ${command}`));
      expect(stdout).to.contain("--help");
    });

    it(`${["mcwan", ...words].join(" ")} refuses a flag that it doesn't know`, async () => {
      const { code, stdout, stderr } = await run([...words, "--no-such-flag"]);
      expect(code).to.equal(2);
      expect(stdout).to.equal("");
      expect(stderr)
        .to.match(/unknown option '--no-such-flag'/)
        .and.to.contain("--help");
      expectNoStack(stderr);
    });
  }

  it("refuses a command that it doesn't know", async () => {
    for (const words of [["labs"], ["lab", "upp"]]) {
      const { code, stderr } = await run(words);
      expect(code).to.equal(2);
      expect(stderr)
        .to.match(/unknown command/)
        .and.to.contain("--help");
    }
  });

  it("mcwan help lab says the same as mcwan lab --help", async () => {
    const [help, flag] = await Promise.all([run(["help", "lab"]), run(["lab", "--help"])]);
    expect(help).to.deep.equal(flag);
  });

  describe("mcwan controller", () => {
    it("says what to do when the kubeconfig is not there, or can't be read", async () => {
      const empty = await file("empty", "");
      for (const path of [join(folder, "none"), folder, empty])
        expectOneLine(await run(["controller", "--kubeconfig", path]), /kubeconfig/, /--kubeconfig/);
    });

    it("quotes nothing out of a broken kubeconfig", async () => {
      const broken = await file("broken", "users: [\n token: sesame-open\n");
      const ended = await run(["controller", "--kubeconfig", broken]);
      expectOneLine(ended, /kubeconfig/, /--kubeconfig/);
      expect(ended.stderr).not.to.contain("sesame");
    });

    it("says so when the context is not in the kubeconfig", async () => {
      expectOneLine(
        await run(["controller", "--kubeconfig", await kubeconfig(), "--context", "elsewhere"]),
        /--context/,
      );
    });

    for (const [flag, others] of [
      ["--health-port", ["--debug-port", "--xds-port"]],
      ["--debug-port", ["--health-port", "--xds-port"]],
      ["--xds-port", ["--health-port", "--debug-port"]],
    ] as const) {
      it(`says which flag to change, and ends, when the port of ${flag} is taken`, async () => {
        const words = ["controller", "--kubeconfig", await kubeconfig(), flag, String(takenPort)];
        expectOneLine(
          await run([...words, ...others.flatMap((other) => [other, "0"])]),
          new RegExp(String(takenPort)),
          new RegExp(flag),
        );
      });
    }
  });

  it("mcwan echo says which port is taken", async () => {
    expectOneLine(await run(["echo", "--port", String(takenPort)]), new RegExp(String(takenPort)), /--port/);
  });

  describe("mcwan lab", () => {
    const runDir = (name: string): Record<string, string> => ({ MCWAN_RUN: join(folder, name) });

    it("says how to start a lab where none is up", async () => {
      for (const words of [
        ["kubectl", "--", "get", "pods"],
        ["curl", "c1", "http://x"],
        ["counters"],
        ["link"],
        ["link", "set", "business", "delay=5"],
        ["link", "cut", "business"],
        ["env"],
      ])
        expectOneLine(await run(["lab", ...words], runDir("none")), /no lab is up: `mcwan lab up`/);
    });

    it("says that a lab is up already", async () => {
      const environment = runDir("up");
      const process_ = identify(process.pid);
      if (process_ === undefined) throw new Error("this process is not there");
      await makeRunDir(join(folder, "up"));
      await writeState(join(folder, "up"), {
        process: process_,
        startedAt: new Date().toISOString(),
        ready: true,
      });
      expectOneLine(await run(["lab", "up"], environment), /already up/, /mcwan lab down/, /MCWAN_RUN/);
    });

    it("says that a port is taken, and how to choose others", async () => {
      expectOneLine(
        await run(["lab", "up", "--port-base", String(takenPort)], runDir("ports")),
        new RegExp(String(takenPort)),
        /--port-base/,
      );
    });

    it("says that the file of images is not there, or no JSON object, before anything starts", async () => {
      const images = [join(folder, "none"), await file("images", "[]"), await file("text", "nothing")];
      for (const path of images)
        expectOneLine(await run(["lab", "up", "--images", path], runDir("images")), /--images/);
    });

    it("says that the run folder can't be made", async () => {
      const inFile = await file("plain", "");
      for (const impossible of [join(inFile, "lab"), "/proc/mc-wan"])
        expectOneLine(await run(["lab", "up"], { MCWAN_RUN: impossible }), /MCWAN_RUN/);
    });

    it("says what is wrong with a link's quality or with two clusters", async () => {
      for (const [words, said] of [
        [["set", "business", "delay=soon"], /delay is a number/],
        [["set", "business", "colour=1"], /none of rate, delay, jitter, loss/],
        [["cut", "business", "--between", "c1"], /two clusters/],
        [["cut"], /missing required argument 'link'/],
      ] as const) {
        const { code, stdout, stderr } = await run(["lab", "link", ...words], runDir("none"));
        expect({ code, stdout }).to.deep.equal({ code: 2, stdout: "" });
        expect(stderr).to.match(said);
        expectNoStack(stderr);
      }
    });

    it("says which sysctl to set where no user namespaces are allowed", async function () {
      // In a user namespace of one's own the limit can be set, and is the same to what runs in it.
      const inside = [
        "unshare",
        "-Ur",
        "sh",
        "-c",
        'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"',
        "sh",
      ];
      if (spawnSync("unshare", [...inside.slice(1), "true"]).status !== 0) this.skip();
      const ended = await runProgram([...inside, process.execPath, main, "lab", "up"], runDir("namespaces"));
      expectOneLine(ended, /sudo sysctl user\.max_user_namespaces=\d+/);
    });
  });

  it("the demo refuses a flag that it doesn't know, and says how it is used", async () => {
    const { code, stderr } = await runProgram(
      [process.execPath, join(repository, "e2e/demo.ts"), "--nope"],
      {},
    );
    expect(code).to.equal(2);
    expect(stderr).to.contain("Usage: npm run demo");
    expectNoStack(stderr);
  });
});
