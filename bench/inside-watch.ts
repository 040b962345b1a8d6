/** When objects were first seen in some state, by a watch: what a controller beside us could have known, and when. */
import { KubeClient } from "../src/drivers/kube/kube-client.ts";
import { homeAccess } from "../src/drivers/kube/kubeconfig.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KindName } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";

/** A client of a cluster from inside of the lab. */
export async function insideClient(kubeconfig: string, context: string): Promise<KubeClient> {
  return new KubeClient(await homeAccess({ kubeconfig, context }));
}

/** Calls for each object of a kind that is made or changes from now on; resolves when the watch has begun. */
export async function follow(
  client: KubeClient,
  {
    kind,
    namespace,
    signal,
  }: { readonly kind: KindName; readonly namespace: string; readonly signal: AbortSignal },
  seen: (object: KubeObject) => void,
): Promise<void> {
  const { resourceVersion } = await client.list(kinds[kind], { namespace, limit: 1, signal });
  const events = await client.watch(kinds[kind], {
    namespace,
    resourceVersion,
    timeoutSeconds: 3600,
    signal,
  });
  const read = async (): Promise<void> => {
    for await (const event of events) {
      const { type, object } = event as { type: string; object: KubeObject };
      if (type === "ADDED" || type === "MODIFIED") seen(object);
    }
  };
  read().catch((error: unknown) => {
    if (!signal.aborted) process.stderr.write(`watch of ${kind} ended: ${String(error)}\n`);
  });
}

/** The program's task, as JSON on standard input. */
export async function readTask<T>(): Promise<T> {
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(piece as Buffer);
  return JSON.parse(Buffer.concat(pieces).toString("utf8")) as T;
}
