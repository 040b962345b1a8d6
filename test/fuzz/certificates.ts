/** A certificate with its key that can be used, as a golden of translate has it. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { KubeObject } from "../../src/model/kube-object.ts";

const file = new URL("../../src/translate/testdata/tls-routes.in.yaml", import.meta.url);
const { objects } = parse(readFileSync(file, "utf8")) as { readonly objects: readonly KubeObject[] };

/** The data of a Secret of type kubernetes.io/tls. */
export const siteData = objects.find(({ kind }) => kind === "Secret")?.["data"] as Readonly<
  Record<string, string>
>;
