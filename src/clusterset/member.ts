/** A cluster that joins or leaves, and what is needed of its API. */
import type { KindInfo } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import type { ClusterId } from "../model/world.ts";

interface Ref {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** What an operator's rights are used for; `drivers/kube` implements it. */
export interface MemberApi {
  /** The object as it stands, or undefined if there is none. */
  get(kind: KindInfo, ref: Ref): Promise<KubeObject | undefined>;
  list(
    kind: KindInfo,
    options: {
      readonly namespace?: string;
      readonly labels?: string;
      readonly limit?: number;
      readonly continue?: string;
      readonly signal: AbortSignal;
    },
  ): Promise<{ readonly items: readonly unknown[]; readonly continue?: string }>;
  /** Server-side apply. */
  apply(kind: KindInfo, object: KubeObject): Promise<KubeObject>;
  /** That it is gone already is no failure. */
  delete(kind: KindInfo, ref: Ref, preconditions: { readonly uid: string }): Promise<void>;
}

/** How peers reach a cluster's API server. */
export interface Endpoint {
  /** `https://host:port` */
  readonly server: string;
  /** PEM of the authorities that may have signed the server's certificate, besides the cluster's own. */
  readonly authority?: string;
  /** Name to expect in the certificate, where it is not the server's host. */
  readonly serverName?: string;
}

/** One cluster, as the operator reaches it. */
export interface Member {
  /** The context in the operator's kubeconfig: how a person names the cluster. */
  readonly context: string;
  readonly id: ClusterId;
  readonly api: MemberApi;
  readonly endpoint: Endpoint;
}
