/**
 * Writes src/envoy: TypeScript for the part of Envoy's v3 API that mc-wan speaks.
 *
 *     node scripts/generate-envoy-types.ts
 *
 *   Go module go-control-plane/envoy → descriptors → buf build --type → protoc-gen-es → src/envoy
 *
 * The Go module carries the exact descriptors of one Envoy release. A Go program of a few lines, built in
 * the cache directory ($MCWAN_CACHE, else ~/.cache/mc-wan), links the packages named below and writes out what they
 * register. Nothing of the module itself is ever committed, and nothing here runs when mc-wan does.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fromBinary, isMessage, toBinary } from "@bufbuild/protobuf";
import type { Message } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { envoyTypes } from "./envoy-types.ts";

/** go-control-plane/envoy is released with each Envoy, under the same number. */
const module = { path: "github.com/envoyproxy/go-control-plane/envoy", version: "v1.40.0" };

const root = join(import.meta.dirname, "..");
const outDir = join(root, "src", "envoy");
const workDir = join(
  process.env["MCWAN_CACHE"] ?? join(homedir(), ".cache", "mc-wan"),
  `envoy-api-${module.version}`,
);

/** Go packages that register the given protobuf types: `envoy.config.core.v3.Node` is in `<module>/config/core/v3`. */
function goPackages(types: readonly string[]): string[] {
  const folders = types.map((type) => type.split(".").slice(1, -1).join("/"));
  return [...new Set(folders)].sort().map((folder) => `${module.path}/${folder}`);
}

/** A Go program that prints, as one FileDescriptorSet, every file that its imports registered; dependencies come first. */
function dumpProgram(packages: readonly string[]): string {
  return `package main

import (
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

${packages.map((name) => `\t_ "${name}"`).join("\n")}
)

func main() {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(file protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := 0; i < file.Imports().Len(); i++ {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		add(file)
		return true
	})
	bytes, err := proto.Marshal(set)
	if err != nil {
		panic(err)
	}
	if _, err := os.Stdout.Write(bytes); err != nil {
		panic(err)
	}
}
`;
}

/** The descriptors of the release, as Go registers them. */
function readDescriptors(): Uint8Array {
  mkdirSync(workDir, { recursive: true });
  writeFileSync(
    join(workDir, "go.mod"),
    `module envoydescriptors\n\ngo 1.26\n\nrequire ${module.path} ${module.version}\n`,
  );
  writeFileSync(join(workDir, "main.go"), dumpProgram(goPackages(envoyTypes)));
  execFileSync("go", ["mod", "tidy"], { cwd: workDir, stdio: ["ignore", "inherit", "inherit"] });
  return execFileSync("go", ["run", "."], {
    cwd: workDir,
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/**
 * Forgets custom options (validate.rules, udpa.annotations and their like; unknown fields here), in place. They are for
 * Envoy's own build; kept, they would pull their definitions into the output and make it half as large again.
 */
function dropCustomOptions(message: Message): void {
  delete message.$unknown;
  for (const value of Object.values(message) as unknown[]) {
    for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (isMessage(item)) dropCustomOptions(item);
    }
  }
}

/** Everything in src/envoy but its README is generated: what the API dropped must go too. */
function emptyOutput(): void {
  mkdirSync(outDir, { recursive: true });
  for (const name of readdirSync(outDir))
    if (name !== "README.md") rmSync(join(outDir, name), { recursive: true });
}

/** A module that knows every generated file, so that an Any of any of their types can be read and printed. */
function registryModule(files: readonly string[]): string {
  const names = files.map((file) => `file_${file.replace(/_pb[.]ts$/, "").replaceAll("/", "_")}`);
  return `// Written by scripts/generate-envoy-types.ts.
/* eslint-disable */

import { createRegistry } from "@bufbuild/protobuf";
import type { Registry } from "@bufbuild/protobuf";
import { file_google_protobuf_wrappers } from "@bufbuild/protobuf/wkt";
${files.map((file, index) => `import { ${names[index] ?? ""} } from "./${file}";`).join("\n")}

/**
 * All generated types, for toJson and fromJson, which must look inside Any. Imports all of src/envoy: for tests and for
 * printing only.
 */
export const envoyRegistry: Registry = createRegistry(
  // What Envoy's own types say where any message may stand.
  file_google_protobuf_wrappers,
${names.map((name) => `  ${name},`).join("\n")}
);
`;
}

/** Runs one of the binaries that `npm ci` installed. */
function run(binary: string, args: readonly string[]): void {
  const bin = join(root, "node_modules", ".bin");
  const env = { ...process.env, PATH: `${bin}:${process.env["PATH"] ?? ""}` };
  execFileSync(join(bin, binary), args, { cwd: workDir, env, stdio: ["ignore", "inherit", "inherit"] });
}

const descriptors = fromBinary(FileDescriptorSetSchema, readDescriptors());
dropCustomOptions(descriptors);
const whole = join(workDir, "whole.binpb");
const trimmed = join(workDir, "trimmed.binpb");
writeFileSync(whole, toBinary(FileDescriptorSetSchema, descriptors));
run("buf", [
  "build",
  whole,
  "-o",
  trimmed,
  "--exclude-source-info",
  ...envoyTypes.flatMap((type) => ["--type", type]),
]);

const template = {
  version: "v2",
  // Google's well-known types come with @bufbuild/protobuf.
  inputs: [{ binary_image: trimmed, exclude_paths: ["google/protobuf"] }],
  plugins: [
    {
      local: "protoc-gen-es",
      out: outDir,
      opt: ["target=ts", "import_extension=ts", "erasable_syntax=true", "json_types=true"],
    },
  ],
};
const templateFile = join(workDir, "buf.gen.yaml");
writeFileSync(templateFile, JSON.stringify(template));
emptyOutput();
run("buf", ["generate", "--template", templateFile]);

const files = readdirSync(outDir, { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith("_pb.ts"),
);
writeFileSync(join(outDir, "registry.ts"), registryModule(files.sort()));
const bytes = files.reduce((sum, name) => sum + readFileSync(join(outDir, name)).length, 0);
process.stdout.write(
  `src/envoy: ${files.length} files, ${Math.round(bytes / 1024)} KiB, Envoy API ${module.version}\n`,
);
