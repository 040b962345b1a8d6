/**
 * Programs built from their Go modules, which `modules/<name>/go.mod` and `go.sum` pin to the byte.
 * Go's own build cache makes a build that was killed go on where it stopped. The user's Go settings (proxy, checksum database) hold.
 */

import { chmod, cp } from "node:fs/promises";
import { join } from "node:path";
import { CommandError, run } from "./command.ts";
import { goToolchain } from "./go-toolchain.ts";
import { seldom, type Context, type Source } from "./source.ts";
import { KUBERNETES_VERSION } from "./versions.ts";

/** A program and the module under `modules/` that pins it. */
interface GoProgram {
  readonly module: "kubernetes" | "etcd" | "coredns" | "gateway-api-conformance" | "envoy-gateway";
  readonly package: string;
  /** Whether the program is the package's tests. */
  readonly tests?: boolean;
  readonly linkerFlags?: string;
  /** Words before the compiler's. */
  readonly before?: readonly string[];
  /** Laid over the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Files of a module that go into the entry beside the program. */
  readonly beside?: { readonly module: string; readonly folder: string; readonly as: string };
}

/** A program of Kubernetes, built so that it says its version. */
export function kubernetesBuild(program: string): Source {
  const [major, minor] = KUBERNETES_VERSION.split(".");
  const set = {
    gitVersion: `v${KUBERNETES_VERSION}`,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: "clean",
  };
  const linkerFlags = Object.entries(set).map(
    ([variable, value]) => `-X k8s.io/component-base/version.${variable}=${value}`,
  );
  return build(program, {
    module: "kubernetes",
    package: `k8s.io/kubernetes/cmd/${program}`,
    linkerFlags: linkerFlags.join(" "),
  });
}

/** etcd from its module. */
export const etcdBuild = build("etcd", { module: "etcd", package: "go.etcd.io/etcd/server/v3" });

/** CoreDNS from its module, with its default plugins. */
export const corednsBuild = build("coredns", { module: "coredns", package: "github.com/coredns/coredns" });

/** Gateway API's conformance suite as it is published: the tests of its package, as a program. */
export const conformanceSuiteBuild = build("gateway-api-conformance", {
  module: "gateway-api-conformance",
  package: "sigs.k8s.io/gateway-api/conformance",
  tests: true,
});

/** The backend that the conformance suite sends its requests to. */
export const echoBasicBuild = build("echo-basic", {
  module: "gateway-api-conformance",
  package: "sigs.k8s.io/gateway-api/conformance/echo-basic",
});

/** Envoy Gateway from its module, with its CRDs in the folder `crds` beside it. It asks for a newer Go than the lab's programs: Go may fetch that. */
export const envoyGatewayBuild = build("envoy-gateway", {
  module: "envoy-gateway",
  package: "github.com/envoyproxy/gateway/cmd/envoy-gateway",
  before: ["nice", "-n", "10"],
  env: { GOTOOLCHAIN: "auto" },
  beside: {
    module: "github.com/envoyproxy/gateway",
    folder: "charts/gateway-crds-helm/templates/generated",
    as: "crds",
  },
});

function build(name: string, program: GoProgram): Source {
  return {
    label: "Go build",
    fill: async (folder, context) => {
      const go = await goToolchain(context);
      const options = {
        cwd: join(import.meta.dirname, "modules", program.module),
        env: {
          ...go.env,
          CGO_ENABLED: "0",
          GOWORK: "off",
          GOOS: undefined,
          GOARCH: undefined,
          ...program.env,
        },
        signal: context.signal,
      };
      context.progress(`${name}: fetching its Go modules`);
      try {
        const packages = await run(
          go.program,
          ["list", "-mod=readonly", "-deps", ...(program.tests === true ? ["-test"] : []), program.package],
          {
            ...options,
            onErrorLine: seldom((line) => {
              context.progress(`${name}: ${line}`);
            }, 3_000),
          },
        );
        const verb = program.tests === true ? ["test", "-c"] : ["build"];
        const flags = [
          "-mod=readonly",
          "-trimpath",
          "-buildvcs=false",
          "-v",
          "-ldflags",
          `-s -w ${program.linkerFlags ?? ""}`.trim(),
        ];
        const [compiler = "", ...words] = [...(program.before ?? []), go.program, ...verb, ...flags];
        await run(compiler, [...words, "-o", join(folder, name), program.package], {
          ...options,
          onErrorLine: compileProgress(name, packages.trim().split("\n").length, context),
        });
        if (program.beside !== undefined) {
          const list = ["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", program.beside.module];
          const source = (await run(go.program, list, options)).trim();
          const copy = join(folder, program.beside.as);
          await cp(join(source, program.beside.folder), copy, { recursive: true });
          // Go's module cache is read-only; who removes our cache must not have to know.
          await chmod(copy, 0o755);
        }
      } catch (error) {
        if (error instanceof CommandError)
          throw new Error(`${error.message} (go.mod: ${program.module})`, { cause: error });
        throw error;
      }
      return `built by ${(await run(go.program, ["env", "GOVERSION"], options)).trim()} from ${program.package}`;
    },
  };
}

/** `go build -v` names each package that it compiles; the ones from the build cache are not named. */
function compileProgress(name: string, packages: number, context: Context): (line: string) => void {
  const say = seldom(context.progress, 15_000);
  context.progress(
    `${name}: compiling (${packages} packages; minutes the first time, and a build that was stopped goes on)`,
  );
  let compiled = 0;
  return () => {
    compiled++;
    say(`${name}: ${compiled} packages compiled, of ${packages} at most`);
  };
}
