/** A real API server with all CRDs and the project's namespaces, as a controller finds its home cluster. */
import { readdir, readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import { KubeClient } from "../src/drivers/kube/kube-client.ts";
import { homeAccess } from "../src/drivers/kube/kubeconfig.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KindInfo } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { dummyNamespace, systemNamespace } from "../src/model/names.ts";
import { startKubeApiServer } from "./kube-api-server.ts";
import type { KubeApiServer } from "./kube-api-server.ts";

export interface HomeCluster {
  readonly api: KubeApiServer;
  /** Everything that tests write goes through it, as field manager mc-wan where it applies. */
  readonly client: KubeClient;
  /** Another client; its connections are its own. */
  connect(): Promise<KubeClient>;
  stop(): Promise<void>;
}

/** Starts one; takes about five seconds on a quiet machine. */
export async function startHomeCluster(): Promise<HomeCluster> {
  const api = await startKubeApiServer();
  const clients: KubeClient[] = [];
  const connect = async (): Promise<KubeClient> => {
    const client = new KubeClient(await homeAccess({ kubeconfig: api.kubeconfigFile, context: api.context }));
    clients.push(client);
    return client;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(clients.map((client) => client.close()));
    await api.stop();
  };
  try {
    const client = await connect();
    await installCrds(client);
    for (const name of [systemNamespace, dummyNamespace]) await createNamespace(client, name);
    return { api, client, connect, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A namespace, with nothing in it. */
export async function createNamespace(client: KubeClient, name: string): Promise<void> {
  await client.create(kinds.Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
}

/** An object as somebody else would create it. */
export async function create(client: KubeClient, kind: KindInfo, object: object): Promise<KubeObject> {
  return await client.create(kind, { apiVersion: kind.apiVersion, kind: kind.kind, ...object } as KubeObject);
}

/** Waits for something to be true; fails with what it looked at last. */
export async function eventually<T>(
  look: () => T | Promise<T>,
  isGood: (seen: T) => boolean,
  limitMs = 15_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (isGood(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function installCrds(client: KubeClient): Promise<void> {
  const folders = ["gateway-api", "mcs-api", "about-api", "."];
  const files = await Promise.all(
    folders.map(async (folder) => {
      const url = new URL(`../crds/${folder}/`, import.meta.url);
      const names = (await readdir(url)).filter(
        (name) => name.endsWith(".yaml") && name !== "kustomization.yaml",
      );
      return await Promise.all(names.map((name) => readFile(new URL(name, url), "utf8")));
    }),
  );
  const wanted = new Set(
    Object.values<KindInfo>(kinds).map(
      ({ plural, apiVersion }) => `${plural}.${apiVersion.split("/")[0] ?? ""}`,
    ),
  );
  const crds = files
    .flat()
    .flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as KubeObject | null))
    .filter(
      (crd): crd is KubeObject => crd?.kind === "CustomResourceDefinition" && wanted.has(crd.metadata.name),
    );
  await Promise.all(crds.map((crd) => client.create(kinds.CustomResourceDefinition, crd)));
  for (const { metadata } of crds)
    await eventually(() => client.get(kinds.CustomResourceDefinition, metadata), isEstablished, 30_000);
}

function isEstablished(crd: KubeObject | undefined): boolean {
  const status = crd?.["status"] as { conditions?: { type: string; status: string }[] } | undefined;
  return status?.conditions?.some(({ type, status: is }) => type === "Established" && is === "True") ?? false;
}
