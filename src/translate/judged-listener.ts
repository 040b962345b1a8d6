/** A listener of a Gateway or ListenerSet with what was found out about it: what all that comes after judging is made of. */
import type { AnyRouteKind } from "../model/kinds.ts";
import type { Problem } from "../model/problem.ts";
import type { GatewayListener } from "./gateway-api.ts";
import type { ListenerTls } from "./gateway-tls.ts";
import type { ParentKey } from "./parents.ts";

/** What becomes of connections: HTTP in plain text or in TLS, a stream as it comes, one out of TLS, or TLS as it comes. */
export type ListenerWay = "Http" | "Https" | "Tcp" | "Terminate" | "Passthrough";

/** A listener of a Gateway with what was found out about it. */
export interface JudgedListener {
  readonly listener: GatewayListener;
  /** Undefined: of a protocol that is not carried. */
  readonly way: ListenerWay | undefined;
  /** In lower case; `*` where the listener names none. */
  readonly hostname: string;
  /** Whose listener it is: the Gateway's, or that of one of its ListenerSets. */
  readonly owner: ParentKey;
  /** Of the owner. */
  readonly namespace: string;
  /** Port that Envoy binds. */
  readonly containerPort: number;
  /** Kinds of routes that may attach. */
  readonly supportedKinds: readonly { readonly group: string; readonly kind: AnyRouteKind }[];
  /** Where TLS ends here. */
  readonly tls?: ListenerTls;
  /** Not served, by the listener's own fault. */
  readonly refusal?: Problem;
  /** Not served, because of another listener of the Gateway. */
  readonly conflict?: Problem;
  /** Route kinds that it asks for and that can't be had. */
  readonly kindProblem?: Problem;
  /** Another listener of its port has hostnames of its own inside of this one's, or the other way round. */
  readonly overlap?: Problem;
}

/** Whether a listener is taken up: it may still lack a certificate. */
export function isAccepted({ refusal, conflict }: JudgedListener): boolean {
  return refusal === undefined && conflict === undefined;
}

/** Whether a listener carries traffic. */
export function isServed(judged: JudgedListener): boolean {
  return isAccepted(judged) && (judged.tls === undefined || judged.tls.certificates.length > 0);
}
