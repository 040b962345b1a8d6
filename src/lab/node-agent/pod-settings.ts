/**
 * What all Pods of a node have in common: the connections, folders, tables and limits that `node-agent.ts` makes once.
 */
import type PQueue from "p-queue";
import type { NodeAgentConfig } from "../node-agent-config.ts";
import type { HostLayout } from "./container-root.ts";
import type { PodEvents } from "./events.ts";
import type { ImageTable } from "./images.ts";
import type { KubeApi } from "./kube-api.ts";
import type { AddressPool } from "./network.ts";

/** Shared by every Pod of the agent. */
export interface PodSettings {
  readonly config: NodeAgentConfig;
  readonly api: KubeApi;
  readonly images: ImageTable;
  readonly addresses: AddressPool;
  readonly host: HostLayout;
  readonly hostResolvConf: string;
  readonly events: PodEvents;
  /** `KUBERNETES_SERVICE_HOST` and `_PORT`, by which clients inside of Pods find the API server. */
  readonly apiService: () => Promise<Readonly<Record<string, string>>>;
  /** Bounds how many Pods are set up at the same time. */
  readonly startQueue: PQueue;
  /** Start of the names of this agent's network namespaces. */
  readonly netnsPrefix: string;
}
