/** A certificate with its key, and an authority, that can be used, as goldens of translate have them. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { KubeObject } from "../../src/model/kube-object.ts";

function dataOf(golden: string, kind: string): Readonly<Record<string, string>> {
  const file = new URL(`../../src/translate/testdata/${golden}.in.yaml`, import.meta.url);
  const { objects } = parse(readFileSync(file, "utf8")) as { readonly objects: readonly KubeObject[] };
  return objects.find((object) => object.kind === kind)?.["data"] as Readonly<Record<string, string>>;
}

/** The data of a Secret of type kubernetes.io/tls. */
export const siteData = dataOf("tls-routes", "Secret");

/** The data of a ConfigMap with an authority. */
export const authorityData = dataOf("backend-tls-policies", "ConfigMap");
