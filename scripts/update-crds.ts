/**
 * Copies the CRDs of the Gateway API and of the MCS API out of their Go modules, as pinned in `src/lab/binaries/versions.ts`,
 * into `crds/<name>/`: `node scripts/update-crds.ts`. Each gets a kustomization of its own, so that uninstalling mc-wan leaves
 * them where they are. CRDs only: the admission policy that Gateway API ships beside them is a cluster administrator's choice.
 */

import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { fetchGoModule } from "../src/lab/binaries/go-module.ts";
import { CRD_MODULES } from "../src/lab/binaries/versions.ts";

type CrdModule = (typeof CRD_MODULES)[number];

const progress = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

for (const crdModule of CRD_MODULES) {
  const source = join(await fetchGoModule(crdModule, { progress }), crdModule.folder);
  const target = join(import.meta.dirname, "../crds", crdModule.name);
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  const copied = await copyCrds(source, target);
  await writeFile(join(target, "kustomization.yaml"), kustomization(copied));
  await writeFile(join(target, "NOTICE"), notice(crdModule));
  progress(`crds/${crdModule.name}: ${copied.length} files of ${crdModule.module} ${crdModule.version}`);
}

/** Copies every file that holds nothing but CRDs, byte by byte, and gives their names. */
async function copyCrds(source: string, target: string): Promise<string[]> {
  const copied: string[] = [];
  for (const name of (await readdir(source)).sort()) {
    if (!name.endsWith(".yaml")) continue;
    const text = await readFile(join(source, name), "utf8");
    const kinds = parseAllDocuments(text).map((document) => document.get("kind"));
    if (kinds.some((kind) => kind !== "CustomResourceDefinition")) continue;
    await writeFile(join(target, name), text);
    copied.push(name);
  }
  return copied;
}

function kustomization(files: readonly string[]): string {
  return `# Written by scripts/update-crds.ts.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
${files.map((file) => `  - ${file}\n`).join("")}`;
}

function notice({ module, version, folder }: CrdModule): string {
  return `The custom resource definitions in this folder are unchanged copies out of ${folder}
of the Go module ${module} ${version}.

Copyright The Kubernetes Authors.
Licensed under the Apache License, Version 2.0: see LICENSE at the root of this repository.
`;
}
