/**
 * Shadow Services `<svc>-clusterset`: which way their traffic goes, and the Service itself. Which container ports of the
 * egress pool carry it is in egress-ports.ts.
 *
 *     Direct:   client → kube-proxy → ingress gateways of the exporting clusters, at the policy's port
 *     Gateway:  client → kube-proxy → egress gateway (container port) → ingress gateways
 */
import { modeOf } from "../api/wan-policy.ts";
import type { AdvertisedPort } from "../api/service-advertisement.ts";
import type { ServiceRef } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { shadowName } from "../model/names.ts";
import type { Merged } from "./imports.ts";
import { metadataOf, typeOf } from "./owners.ts";
import { carriageOf } from "./protocols.ts";
import type { PolicyChoice, PolicySet } from "./wan-policies.ts";

/** How a shadow's traffic leaves. */
export type Path = "Direct" | "Gateway";

/** Container ports of the egress pool. */
export const egressPorts = { first: 20000, count: 10000 } as const;

/** Whether a value is one of them. */
export const isEgressPort = (port: unknown): port is number =>
  typeof port === "number" && port >= egressPorts.first && port < egressPorts.first + egressPorts.count;

/**
 * The path of an import: Direct only where nothing of a request has to be looked at, where clients can speak what the far
 * end does, and unless the oldest export says otherwise.
 */
export function pathOf(
  merged: Merged,
  { hasRules, choice, policies }: { hasRules: boolean; choice: PolicyChoice; policies: PolicySet },
): Path {
  const [port, second] = merged.ports;
  const direct =
    port !== undefined &&
    second === undefined &&
    carriageOf(port) === "HTTP" &&
    (merged.oldest.sessionAffinity ?? "None") === "None" &&
    !hasRules &&
    "policy" in choice &&
    isPlain(choice.policy, policies);
  return direct && merged.oldest.path !== "Gateway" ? "Direct" : "Gateway";
}

/** Whether a policy's gateways are spoken to in plain text. */
export function isPlain(policy: string, { accepted }: PolicySet): boolean {
  const found = accepted.get(policy);
  return found !== undefined && modeOf(found) === "Plain";
}

/** The container port of a port of a shadow that stands; undefined if it is Direct or not there. */
export function standingContainerPort(
  shadow: ObjectTypes["Service"] | undefined,
  port: number,
): number | undefined {
  const target = shadow?.spec?.ports?.find(
    (known) => known.port === port && (known.protocol ?? "TCP") === "TCP",
  )?.targetPort;
  return isEgressPort(target) ? target : undefined;
}

/** What a shadow Service is made of. */
export interface ShadowInput {
  readonly service: ServiceRef;
  readonly merged: Merged;
  /** targetPort by port number, for ports that are carried. */
  readonly targetPorts: ReadonlyMap<number, number>;
  /** The IP to ask for, if the shadow has to be made again. */
  readonly clusterIP: string | undefined;
  readonly owner: OwnerReference | undefined;
}

/** The shadow Service. Every port is listed; one that can't be carried leads nowhere. */
export function shadowService({
  service,
  merged,
  targetPorts,
  clusterIP,
  owner,
}: ShadowInput): ObjectTypes["Service"] {
  return {
    ...typeOf("Service"),
    metadata: metadataOf({
      namespace: service.namespace,
      name: shadowName(service.name),
      cause: service,
      owner,
    }),
    spec: {
      type: "ClusterIP",
      ...(clusterIP === undefined ? {} : { clusterIP, clusterIPs: [clusterIP] }),
      ports: merged.ports.map((port: AdvertisedPort) => ({
        ...(port.name === undefined ? {} : { name: port.name }),
        protocol: port.protocol,
        port: port.port,
        targetPort: (port.protocol === "TCP" ? targetPorts.get(port.port) : undefined) ?? port.port,
        ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
      })),
    },
  };
}

/** IPv4 clusterIPs of a Service that has some. */
export function clusterIPsOf(service: ObjectTypes["Service"] | undefined): string[] {
  const { clusterIP, clusterIPs } = service?.spec ?? {};
  const ips = clusterIPs ?? (clusterIP === undefined ? [] : [clusterIP]);
  return ips.filter((ip) => ip !== "" && ip !== "None" && ip.includes("."));
}
