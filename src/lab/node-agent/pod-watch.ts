/**
 * Lists and watches the Pods of a cluster, for ever: a relist replaces everything, events change one Pod.
 *
 * Every failure ends in a relist after a back-off; a stream that says nothing for longer than the API server's bookmark
 * interval counts as failed. It never gives up and never calls a handler after `signal` has fired.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { IPod } from "kubernetes-models/v1/Pod";
import { arrayAt, isObject, objectAt, optionalStringAt, stringAt } from "./json.ts";
import type { KubeApi } from "./kube-api.ts";

/** Who is told. Handlers return at once and never throw. */
export interface PodHandler {
  /** All Pods there are; any other is gone. */
  replace(pods: readonly IPod[]): void;
  put(pod: IPod): void;
  gone(pod: IPod): void;
  /** The connection failed and will be tried again. */
  failed(error: unknown): void;
}

/** A bookmark comes about every 60 s. */
const SILENCE_MS = 90_000;
const BACK_OFF_MS = { first: 100, most: 5_000 };

/** Runs until `signal` fires. */
export async function watchPods(api: KubeApi, handler: PodHandler, signal: AbortSignal): Promise<void> {
  let backOffMs = BACK_OFF_MS.first;
  const isOver = (): boolean => signal.aborted;
  while (!isOver()) {
    try {
      let version = await list(api, handler);
      backOffMs = BACK_OFF_MS.first;
      while (!isOver()) {
        version = await watchOnce(api, handler, { version, signal });
      }
    } catch (error) {
      if (isOver()) return;
      handler.failed(error);
      await sleep(backOffMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
      backOffMs = Math.min(backOffMs * 2, BACK_OFF_MS.most);
    }
  }
}

async function list(api: KubeApi, handler: PodHandler): Promise<string> {
  const answer = objectAt({ answer: await api.call("GET", "/api/v1/pods") }, "answer");
  // The API server has validated what it stores, so its objects are taken as Pods.
  handler.replace(arrayAt(answer, "items").map((item) => item as IPod));
  return stringAt(objectAt(answer, "metadata"), "resourceVersion");
}

/** Reads one stream to its end. Gives the version to go on from; throws when a relist is due. */
async function watchOnce(
  api: KubeApi,
  handler: PodHandler,
  from: { version: string; signal: AbortSignal },
): Promise<string> {
  const silence = new AbortController();
  let timer = setTimeout(() => { silence.abort(); }, SILENCE_MS); // prettier-ignore
  const signal = AbortSignal.any([from.signal, silence.signal]);
  let version = from.version;
  try {
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=${version}`;
    for await (const line of api.lines(`/api/v1/pods?${query}`, signal)) {
      clearTimeout(timer);
      timer = setTimeout(() => { silence.abort(); }, SILENCE_MS); // prettier-ignore
      const event = objectAt({ event: JSON.parse(line) as unknown }, "event");
      const object = objectAt(event, "object");
      if (event["type"] === "ERROR") throw new Error("the watch ended with an error", { cause: object });
      const metadata = object["metadata"];
      if (isObject(metadata)) version = optionalStringAt(metadata, "resourceVersion") ?? version;
      if (event["type"] === "ADDED" || event["type"] === "MODIFIED") handler.put(object as unknown as IPod);
      else if (event["type"] === "DELETED") handler.gone(object as unknown as IPod);
    }
    return version;
  } finally {
    clearTimeout(timer);
  }
}
