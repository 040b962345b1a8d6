/**
 * ConfigMaps and Secrets, as bytes by key. Read from the API server each time: the lab has few Pods and a fresh value is worth
 * more than a saved request.
 */
import { objectAt, stringMapAt } from "./json.ts";
import { isNotFound, type KubeApi } from "./kube-api.ts";

/** The contents of `ConfigMap` or `Secret` `namespace/name`, or undefined when it doesn't exist. */
export async function readKeyedSource(
  api: KubeApi,
  kind: "ConfigMap" | "Secret",
  at: { namespace: string; name: string },
): Promise<ReadonlyMap<string, Buffer> | undefined> {
  const resource = kind === "ConfigMap" ? "configmaps" : "secrets";
  try {
    const path = `/api/v1/namespaces/${at.namespace}/${resource}/${at.name}`;
    const object = objectAt({ answer: await api.call("GET", path) }, "answer");
    const encoded = Object.entries(stringMapAt(object, kind === "ConfigMap" ? "binaryData" : "data"));
    const plain = kind === "ConfigMap" ? Object.entries(stringMapAt(object, "data")) : [];
    return new Map([
      ...plain.map(([key, value]) => [key, Buffer.from(value)] as const),
      ...encoded.map(([key, value]) => [key, Buffer.from(value, "base64")] as const),
    ]);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Several at once, by `Kind/name`; those that don't exist are left out. */
export async function readKeyedSources(
  api: KubeApi,
  namespace: string,
  names: readonly string[],
): Promise<Map<string, ReadonlyMap<string, Buffer>>> {
  const found = new Map<string, ReadonlyMap<string, Buffer>>();
  await Promise.all(
    names.map(async (key) => {
      const [kind = "", name = ""] = key.split("/", 2);
      const source = await readKeyedSource(api, kind === "Secret" ? "Secret" : "ConfigMap", {
        namespace,
        name,
      });
      if (source !== undefined) found.set(key, source);
    }),
  );
  return found;
}
