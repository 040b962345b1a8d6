/**
 * Writes a Pod's status to the API server: one request at a time, the newest state wins, and nothing is written that is there
 * already. It also takes the object away in the end.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { IPod } from "kubernetes-models/v1/Pod";
import { ApiRefusedError, isNotFound, type KubeApi } from "./kube-api.ts";

const RETRY_MS = 300;

/** The writer of one Pod. */
export class StatusWriter {
  readonly #api: KubeApi;
  readonly #read: () => { pod: IPod; status: Record<string, unknown> };
  #wanted = false;
  #stopped = false;
  #lastWritten = "";
  #work: Promise<void> = Promise.resolve();
  #busy = false;

  /** `read` gives the Pod and the status that should be. */
  constructor(api: KubeApi, read: () => { pod: IPod; status: Record<string, unknown> }) {
    this.#api = api;
    this.#read = read;
  }

  /** Something changed. Changes of the same tick, and during a request, are written together. */
  request(): void {
    this.#wanted = true;
    if (this.#busy || this.#stopped) return;
    this.#busy = true;
    this.#work = this.#drain().finally(() => {
      this.#busy = false;
    });
  }

  /** Somebody else wrote over the status: writes it again, even if nothing has changed here. */
  rewrite(): void {
    this.#lastWritten = "";
    this.request();
  }

  /** Resolves when everything that was requested is written. */
  async settle(): Promise<void> {
    await this.#work;
  }

  /** Nothing is written any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** Deletes the object without grace, until it is gone. */
  async removeObject(): Promise<void> {
    const { namespace = "", name = "", uid = "" } = this.#read().pod.metadata ?? {};
    const body = { apiVersion: "v1", kind: "DeleteOptions", gracePeriodSeconds: 0, preconditions: { uid } };
    while (!this.#stopped) {
      try {
        await this.#api.call("DELETE", `/api/v1/namespaces/${namespace}/pods/${name}`, { body });
        return;
      } catch (error) {
        // 409: another Pod has the name by now.
        if (isNotFound(error) || (error instanceof ApiRefusedError && error.status === 409)) return;
        await sleep(RETRY_MS);
      }
    }
  }

  async #drain(): Promise<void> {
    await Promise.resolve();
    while (this.#wanted && !this.#stopped) {
      this.#wanted = false;
      const { pod, status } = this.#read();
      const body = { metadata: { uid: pod.metadata?.uid }, status };
      const text = JSON.stringify(body);
      if (text === this.#lastWritten) continue;
      const path = `/api/v1/namespaces/${pod.metadata?.namespace ?? ""}/pods/${pod.metadata?.name ?? ""}/status`;
      try {
        await this.#api.call("PATCH", path, { body, contentType: "application/strategic-merge-patch+json" });
        this.#lastWritten = text;
      } catch (error) {
        if (isNotFound(error) || (error instanceof ApiRefusedError && error.status === 409)) return;
        this.#wanted = true;
        await sleep(RETRY_MS);
      }
    }
  }
}
