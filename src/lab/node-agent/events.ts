/**
 * Kubernetes Events about Pods, for `kubectl describe`: warnings only, a repeated one at most once a minute.
 */
import type { IPod } from "kubernetes-models/v1/Pod";
import type { KubeApi } from "./kube-api.ts";

const QUIET_MS = 60_000;

/** Sends Events to one API server; what fails is dropped, since nothing depends on it. */
export class PodEvents {
  readonly #api: KubeApi;
  readonly #nodeName: string;
  readonly #sentAt = new Map<string, number>();

  constructor(api: KubeApi, nodeName: string) {
    this.#api = api;
    this.#nodeName = nodeName;
  }

  /** A warning at a Pod. Never throws. */
  warn(pod: IPod, reason: string, message: string): void {
    const { namespace = "default", name = "", uid = "" } = pod.metadata ?? {};
    const key = `${uid}/${reason}/${message}`;
    const now = Date.now();
    if (now - (this.#sentAt.get(key) ?? 0) < QUIET_MS) return;
    if (this.#sentAt.size > 1_000) this.#sentAt.clear();
    this.#sentAt.set(key, now);
    const time = `${new Date(now).toISOString().slice(0, 19)}Z`;
    const body = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { namespace, generateName: `${name}.` },
      involvedObject: { apiVersion: "v1", kind: "Pod", namespace, name, uid },
      type: "Warning",
      reason,
      message: message.slice(0, 1000),
      source: { component: "mc-wan-lab-node-agent", host: this.#nodeName },
      reportingComponent: "mc-wan-lab-node-agent",
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    };
    this.#api.call("POST", `/api/v1/namespaces/${namespace}/events`, { body }).catch(() => undefined);
  }
}
