/** What stands in `deploy/`, for what is measured as it would be deployed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { KubeObject } from "../src/model/kube-object.ts";

/** The objects of a file there. */
export function deployed(file: string): KubeObject[] {
  const text = readFileSync(join(import.meta.dirname, "../deploy", file), "utf8");
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
}

/** Fixed values in the environment of the container in `deploy/controller.yaml`. */
export function controllerEnvironment(): Record<string, string> {
  const [deployment] = deployed("controller.yaml");
  const { template } = deployment?.["spec"] as {
    template: { spec: { containers: { env: { name: string; value?: string }[] }[] } };
  };
  const env = template.spec.containers.flatMap((container) => container.env);
  return Object.fromEntries(env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])));
}
