/**
 * Generated Gateways that another implementation carries: where they are reached, as far as that implementation and
 * Kubernetes say it, and what is missing. Everything comes out of the World: the Gateway's status, the Service that was
 * made for it, that Service's EndpointSlices.
 *
 *     Gateway ← Service (made by the implementation) ← EndpointSlices: ready Pods, and the port in the Pod of each listener
 */
import { reasons, types } from "../api/conditions.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { compare } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import type { SlicesByService } from "../model/service-slices.ts";
import type { HomeObjects } from "../model/world.ts";
import type { Implementation } from "./implementations.ts";
import { isOurs } from "./owners.ts";

type Gateway = ObjectTypes["Gateway"];
type Service = ObjectTypes["Service"];

/** The Services that an implementation has made for Gateways, by the Gateway's `namespace/name`; of several the first by name. */
export function servicesOfGateways(
  home: Pick<HomeObjects, "Service" | "Gateway">,
  { gatewayOf }: Implementation,
): ReadonlyMap<string, readonly [key: string, service: Service]> {
  const found = new Map<string, readonly [string, Service]>();
  for (const [key, service] of home.Service) {
    const gateway = gatewayOf(service, home.Gateway);
    if (gateway === undefined) continue;
    const known = found.get(gateway);
    if (known === undefined || compare(key, known[0]) < 0) found.set(gateway, [key, service]);
  }
  return found;
}

/** One address of a Gateway at a listener. */
interface GatewayAddress {
  /** IPv4, of a ready Pod. */
  readonly address: string;
  readonly zone?: string;
}

/** A listener of a Gateway as it stands. */
interface OtherListener {
  /** In the Pods; undefined while there is no Service with the listener's port. */
  readonly containerPort: number | undefined;
  /** Ready Pods, sorted by address. */
  readonly addresses: readonly GatewayAddress[];
  /**
   * `Programmed`: the implementation says so of what stands. `Before`: it said so of what stood before the last change.
   */
  readonly state: "Programmed" | "Before" | "Unknown";
}

/** A Gateway as the other implementation carries it. */
export interface OtherGateway {
  readonly listener: (name: string, port: number) => OtherListener;
  /** What is missing that it could be reached at these listeners; empty: nothing. */
  readonly problems: (
    listeners: readonly { readonly name: string; readonly port: number }[],
  ) => readonly Problem[];
}

/** What stands of one Gateway. */
export interface OtherGatewayInput {
  readonly key: string;
  readonly gatewayClassName: string;
  readonly implementation: Implementation;
  readonly home: Pick<HomeObjects, "Gateway">;
  readonly services: ReturnType<typeof servicesOfGateways>;
  readonly slices: SlicesByService;
}

/** A Gateway of ours as it stands; nobody else's Gateway of the name counts. */
export function otherGateway(input: OtherGatewayInput): OtherGateway {
  const standing = input.home.Gateway.get(input.key);
  const isMade =
    standing !== undefined && isOurs(standing) && standing.spec.gatewayClassName === input.gatewayClassName;
  const [serviceKey = "", service] = (isMade ? input.services.get(input.key) : undefined) ?? [];
  // What is open to the outside is not used: it is told instead.
  const type = service?.spec?.type ?? "ClusterIP";
  const isInternal = type === "ClusterIP";
  const slices = isInternal ? (input.slices.get(serviceKey) ?? []) : [];
  const listener = (name: string, port: number): OtherListener => ({
    ...placeOf(service, slices, port),
    state: isMade ? stateOf(standing, name) : "Unknown",
  });
  return {
    listener,
    problems: (listeners) => {
      const who = input.implementation.name;
      const what = `Gateway ${input.key}`;
      if (!isMade) return [{ reason: reasons.Pending, message: `${what} does not stand yet.` }];
      if (service === undefined)
        return [
          {
            reason: reasons.AddressNotAssigned,
            message: `${who} has made no Service for ${what} yet. If that lasts, see the status of the Gateway and whether ${who} runs.${saidOf(standing)}`,
          },
        ];
      if (!isInternal)
        return [
          {
            reason: reasons.NotInternal,
            message: `Service ${serviceKey} of ${what} is of type ${type}, not ClusterIP, and may be reached from outside: it is not used. See what ${who} was told.`,
          },
        ];
      return listeners.flatMap(({ name, port }): Problem[] => {
        const { addresses, state } = listener(name, port);
        if (state === "Unknown")
          return [
            {
              reason: reasons.Pending,
              message: `${who} has not programmed listener "${name}" of ${what}.${saidOf(standing)}`,
            },
          ];
        return addresses.length > 0
          ? []
          : [
              {
                reason: reasons.AddressNotAssigned,
                message: `Service ${serviceKey} of ${what} has no ready Pod at port ${port}.`,
              },
            ];
      });
    },
  };
}

/** What the implementation says of a Gateway that is not well, for a person; with a space before it. */
function saidOf({ status }: Gateway): string {
  const bad = (status?.conditions ?? []).find(
    (said) => (said.type === types.Accepted || said.type === types.Programmed) && said.status === "False",
  );
  return bad === undefined ? "" : ` It says: ${bad.reason}, ${bad.message.slice(0, 300)}`;
}

function stateOf({ metadata, status }: Gateway, name: string): OtherListener["state"] {
  const listener = status?.listeners?.find((known) => known.name === name);
  const said = listener?.conditions.find(({ type }) => type === types.Programmed);
  if (said?.status !== "True") return "Unknown";
  return said.observedGeneration === metadata.generation ? "Programmed" : "Before";
}

/** Ready Pods behind a Service's port, and that port in them. */
function placeOf(
  service: Service | undefined,
  slices: readonly ObjectTypes["EndpointSlice"][],
  port: number,
): Pick<OtherListener, "containerPort" | "addresses"> {
  const servicePort = service?.spec?.ports?.find(
    (known) => known.port === port && (known.protocol ?? "TCP") === "TCP",
  );
  if (servicePort === undefined) return { containerPort: undefined, addresses: [] };
  const { targetPort } = servicePort;
  let containerPort = typeof targetPort === "number" ? targetPort : undefined;
  const found = new Map<string, GatewayAddress>();
  for (const { ports = [], endpoints } of slices) {
    const target = ports.find((known) => (known.name ?? "") === (servicePort.name ?? ""))?.port;
    if (target === undefined) continue;
    // Pods of two versions may have it at two ports; one is enough, and only its Pods count.
    containerPort ??= target;
    if (target !== containerPort) continue;
    for (const { addresses: [address] = [], conditions, zone } of endpoints ?? []) {
      if (address !== undefined && (conditions?.ready ?? true))
        found.set(address, { address, ...(zone === undefined ? {} : { zone }) });
    }
  }
  return { containerPort, addresses: [...found.values()].sort((a, b) => compare(a.address, b.address)) };
}
