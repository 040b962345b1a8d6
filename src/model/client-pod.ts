/**
 * What is kept of a Pod that may be a client: where it is reached from, and whose it is. Nothing else of it, so that what
 * Pods say of themselves all the time (conditions, restarts) makes no new World.
 */
import type { KubeObject, ObjectMeta } from "./kube-object.ts";
import { isReachable } from "./ipv4.ts";
import { isRecord } from "./record.ts";

/** A Pod, as far as it may be a client. Without uid: one that takes another's place with the same name is the same here. */
export type ClientPod = Readonly<{
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  /** Its ServiceAccount's name. */
  readonly account: string;
  /** IPv4 addresses that it holds; none before it has one, and none once it has ended. */
  readonly addresses: readonly string[];
  /** Its addresses are its node's, which others have too. */
  readonly isOfNode?: true;
}>;

/** Keeps of a Pod what tells which requests are its. */
export function clientPodOf({ apiVersion, kind, metadata, ...rest }: KubeObject): ClientPod {
  const { name, namespace } = metadata;
  const spec = isRecord(rest["spec"]) ? rest["spec"] : {};
  const status = isRecord(rest["status"]) ? rest["status"] : {};
  const account = spec["serviceAccountName"];
  return {
    apiVersion,
    kind,
    metadata: { name, ...(namespace !== undefined && { namespace }) },
    account: typeof account === "string" && account !== "" ? account : "default",
    addresses: addressesOf(status),
    ...(spec["hostNetwork"] === true && { isOfNode: true as const }),
  };
}

/** A Pod that has ended keeps its address in its status, though the address may be another's by now. */
function addressesOf({ phase, podIP, podIPs }: Readonly<Record<string, unknown>>): string[] {
  if (phase === "Succeeded" || phase === "Failed") return [];
  const listed: readonly unknown[] = Array.isArray(podIPs)
    ? podIPs.map((each: unknown) => (isRecord(each) ? each["ip"] : undefined))
    : [];
  const all = new Set([podIP, ...listed]);
  return [...all].filter((ip) => typeof ip === "string").filter(isReachable);
}
