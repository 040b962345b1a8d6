/**
 * The data plane `gateway-api` in reconcile: another implementation of Gateway API carries the Gateways that mc-wan
 * writes. Nothing is deployed, and every service has ingress gateways, and an advertisement of them, of its own.
 *
 *     exports → Gateways → the other implementation → Services, Pods → GatewayAdvertisements
 *
 * Never writes a Gateway of a class that could be reached from outside.
 */
import { reasons, types } from "../api/conditions.ts";
import type { GatewayEndpoint } from "../api/gateway-advertisement.ts";
import type { DesiredObject, DesiredStatus } from "../model/desired.ts";
import { isReachable } from "../model/ipv4.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { KeyedMemo } from "../model/memo.ts";
import { controllerName, ingressName, ingressPool, servicePool, systemNamespace } from "../model/names.ts";
import { sortedEntries } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import type { World } from "../model/world.ts";
import { condition, unless, type Finding } from "./conditions.ts";
import type { DataPlaneInput, DataPlaneInReconcile, DataPlanePass, OtherCarrier } from "./data-plane.ts";
import type { EgressPlace } from "./egress-place.ts";
import { listenerName } from "./egress-routes.ts";
import { endpointsOf } from "./endpoints-of-services.ts";
import { needsIngress, type HomeExport } from "./exports.ts";
import { gatewayAdvertisement } from "./gateway-pods.ts";
import { judgeClass, type Implementation } from "./implementations.ts";
import type { Import } from "./import-side.ts";
import { otherGateway, servicesOfGateways, type OtherGateway } from "./other-gateways.ts";
import { isOurs } from "./owners.ts";
import { sliceName } from "./proxy-slices.ts";
import type { PolicySet } from "./wan-policies.ts";

/** Everything of a pass that depends on the class being usable. */
interface Carried {
  readonly gatewayClassName: string;
  readonly implementation: Implementation;
  readonly gateway: (key: string) => OtherGateway;
}

/** Another implementation's proxies. */
export class GatewayApiPlane implements DataPlaneInReconcile {
  readonly #memo = new KeyedMemo<unknown>();

  pass(world: World, input: DataPlaneInput): DataPlanePass {
    const { home, settings } = world;
    if (settings.dataPlane.name !== "gateway-api") throw new Error("not the data plane that was chosen");
    const { gatewayClassName } = settings.dataPlane;
    const judged = this.#once("class", [settings.dataPlane, home.GatewayClass, home.EnvoyProxy], () =>
      judgeClass(gatewayClassName, home),
    );
    const carried =
      "problem" in judged ? undefined : this.#carried(world, input, { gatewayClassName, ...judged });
    const pools = this.#pools(world, input, carried);
    const objects = [...pools].map(([name, endpoints]): DesiredObject =>
      this.#once(`advertisement ${name}`, [endpoints, input.owner], () =>
        gatewayAdvertisement({ name, mode: "PodIP", endpoints }, input.owner),
      ),
    );
    const places = (imported: Import): EgressPlace =>
      carried === undefined ? noPlace : egressPlace(world, imported, { carried, policies: input.policies });
    const pass: DataPlanePass = {
      gatewayClassName: carried?.gatewayClassName,
      ingressAddresses: none,
      contributions: [{ objects: this.#once("advertisements", objects, () => objects) }],
      homePools: this.#once("pools", [...pools.keys(), ...pools.values()], () => pools),
      // Its Gateways have a listener for each policy and no other.
      draining: none,
      ingress: { unaddressed: "problem" in judged ? [judged.problem] : [], closed: [] },
      egress: () => places,
      other: otherCarrier(world, input, { judged, carried }),
    };
    this.#memo.endPass();
    return pass;
  }

  #once<T>(key: string, dependencies: readonly unknown[], compute: () => T): T {
    // Every key is asked for with one type only.
    return this.#memo.get(key, dependencies, compute) as T;
  }

  #carried(
    { home }: World,
    { slices }: DataPlaneInput,
    { gatewayClassName, implementation }: Omit<Carried, "gateway">,
  ): Carried {
    const services = this.#once("services", [home.Service, home.Gateway, implementation], () =>
      servicesOfGateways(home, implementation),
    );
    const known = new Map<string, OtherGateway>();
    return {
      gatewayClassName,
      implementation,
      gateway: (key) => {
        const found =
          known.get(key) ?? otherGateway({ key, gatewayClassName, implementation, home, services, slices });
        known.set(key, found);
        return found;
      },
    };
  }

  /** The gateways of each export, and an empty pool by the name of the shared one: there stands what concerns them all. */
  #pools(
    world: World,
    { exports, policies }: DataPlaneInput,
    carried: Carried | undefined,
  ): ReadonlyMap<string, readonly GatewayEndpoint[]> {
    const pools = new Map<string, readonly GatewayEndpoint[]>([[ingressPool, none]]);
    for (const [, { ref, advertisement }] of exports) {
      if (advertisement === undefined || !needsIngress(advertisement, policies)) continue;
      const name = servicePool(ref);
      const endpoints =
        carried === undefined
          ? none
          : endpointsOfIngress(carried.gateway(`${ref.namespace}/${ingressName(ref.name)}`), {
              policies,
              said: saidBefore(world, name),
            });
      pools.set(
        name,
        this.#once(`pool ${name}`, [JSON.stringify(endpoints)], () => endpoints),
      );
    }
    return pools;
  }
}

const none: readonly never[] = [];
const noPlace: EgressPlace = { containerPorts: new Map(), listening: new Map(), mayListen: false, note: {} };

/** What peers were told of a pool: ports by policy, by address. */
function saidBefore({ home }: World, pool: string): ReadonlyMap<string, GatewayEndpoint["ports"]> {
  const said = home.GatewayAdvertisement.get(`${systemNamespace}/${pool}`);
  return new Map(said?.spec.endpoints.map(({ address, ports }) => [address, ports]));
}

/**
 * Ready gateways of a service, each with the ports of the policies that are known to be listened on. While a change of the
 * Gateway is under way, what peers were told stays.
 */
function endpointsOfIngress(
  gateway: OtherGateway,
  {
    policies,
    said,
  }: { readonly policies: PolicySet; readonly said: ReadonlyMap<string, GatewayEndpoint["ports"]> },
): readonly GatewayEndpoint[] {
  const found = new Map<string, { zone?: string; ports: [string, number][] }>();
  for (const [policy, { spec }] of policies.accepted) {
    const { containerPort, addresses, state } = gateway.listener(policy, spec.port);
    // The SD-WAN chooses the tunnel by port: another one would be unclassified.
    if (containerPort !== spec.port) continue;
    for (const { address, zone } of addresses) {
      const wasSaid = said.get(address)?.[policy] === spec.port;
      if (!isReachable(address) || (state !== "Programmed" && !(state === "Before" && wasSaid))) continue;
      const known = found.get(address) ?? { ports: [], ...(zone === undefined ? {} : { zone }) };
      known.ports.push([policy, spec.port]);
      found.set(address, known);
    }
  }
  return sortedEntries(found).map(([address, { ports, ...zone }]) => ({
    address,
    ...zone,
    ports: Object.fromEntries(ports),
  }));
}

/** Where the egress Gateway of an import is; it stands where requests have to be looked at. */
function egressPlace(
  { home }: World,
  { shadowKey, httpPorts, path, merged }: Import,
  { carried, policies }: { readonly carried: Carried; readonly policies: PolicySet },
): EgressPlace {
  if (merged.type === "Headless") return noPlace;
  const gateway = carried.gateway(shadowKey);
  const policyPorts = new Set([...policies.accepted.values()].map(({ spec }) => spec.port));
  const containerPorts = new Map<number, number>();
  const listening = new Map<number, readonly { readonly address: string }[]>();
  for (const port of httpPorts) {
    const { containerPort = port.port, addresses, state } = gateway.listener(listenerName(port), port.port);
    const slice = home.EndpointSlice.get(sliceName(shadowKey, containerPort));
    // A shadow that is about to become Direct keeps its egress side until its slices have moved.
    if (path !== "Gateway" && (slice === undefined || policyPorts.has(containerPort))) continue;
    containerPorts.set(port.port, containerPort);
    const stands = new Set(slice?.endpoints?.flatMap((endpoint) => endpoint.addresses));
    listening.set(
      port.port,
      addresses
        .filter(({ address }) => state === "Programmed" || (state === "Before" && stands.has(address)))
        .map(({ address }) => ({ address })),
    );
  }
  return {
    containerPorts,
    listening,
    mayListen: isDirect(home.Service.get(shadowKey), policyPorts),
    note: {},
  };
}

/** Whether a shadow that stands leads past the egress: to a port that is a policy's and not its own. */
function isDirect(shadow: ObjectTypes["Service"] | undefined, policyPorts: ReadonlySet<unknown>): boolean {
  return (
    shadow !== undefined &&
    isOurs(shadow) &&
    (shadow.spec?.ports ?? []).some(
      ({ port, targetPort }) => targetPort !== port && policyPorts.has(targetPort),
    )
  );
}

/** What is told of the other implementation. */
function otherCarrier(
  world: World,
  { slices, policies }: DataPlaneInput,
  {
    judged,
    carried,
  }: { readonly judged: ReturnType<typeof judgeClass>; readonly carried: Carried | undefined },
): OtherCarrier {
  const finding = (problems: (carried: Carried) => readonly Problem[]): Finding => {
    if (carried === undefined)
      return unless("problem" in judged ? [judged.problem] : [], carriedBy("nobody"));
    return unless(problems(carried), carriedBy(carried.implementation.name));
  };
  return {
    controllerName: carried?.implementation.controllerName,
    homeBackends: (service) => {
      const all = endpointsOf(slices.get(`${service.namespace}/${service.name}`) ?? []);
      return { ready: all.filter(({ ready }) => ready).length, total: all.length };
    },
    ofExport: ({ ref, advertisement }: HomeExport) =>
      advertisement === undefined || !needsIngress(advertisement, policies)
        ? undefined
        : finding(({ gateway, implementation }) =>
            ingressProblems(gateway(`${ref.namespace}/${ingressName(ref.name)}`), policies, implementation),
          ),
    ofImport: ({ shadowKey, httpPorts, path, merged }: Import) =>
      merged.type === "Headless" || httpPorts.length === 0 || path === "Direct"
        ? undefined
        : finding(({ gateway }) =>
            gateway(shadowKey).problems(
              httpPorts.map((port) => ({ name: listenerName(port), port: port.port })),
            ),
          ),
    statuses: ownClasses(world),
  };
}

const carriedBy = (who: string): Finding => ({
  status: "True",
  reason: reasons.Carried,
  message: `${who} carries it. What mc-wan's own Envoys do beside Gateway API is not done there: retries at another cluster, refusing a request that crosses the WAN twice, taking x-mc-wan-… and x-envoy-… headers off what clients send, telling services apart that share a gateway.`,
});

function ingressProblems(
  gateway: OtherGateway,
  policies: PolicySet,
  { name: who }: Implementation,
): readonly Problem[] {
  const listeners = [...policies.accepted].map(([name, { spec }]) => ({ name, port: spec.port }));
  const moved = listeners.flatMap(({ name, port }): Problem[] => {
    const { containerPort = port } = gateway.listener(name, port);
    return containerPort === port
      ? []
      : [
          {
            reason: reasons.PortUnavailable,
            message: `${who} listens for WANPolicy "${name}" at port ${containerPort} of its Pods, not ${port}: through another port traffic would be unclassified, so it is not advertised. Make its Pods listen at the ports of listeners.`,
          },
        ];
  });
  return [...gateway.problems(listeners), ...moved];
}

/** A GatewayClass of mc-wan itself is nobody's while another implementation carries the traffic. */
function ownClasses({ home }: World): DesiredStatus[] {
  const refused: Finding = {
    status: "False",
    reason: reasons.Unsupported,
    message:
      "mc-wan runs with --data-plane gateway-api and carries no Gateways itself. Use the class of the other implementation.",
  };
  return sortedEntries(home.GatewayClass).flatMap(([key, { metadata, spec }]) =>
    spec.controllerName === controllerName
      ? [
          {
            kind: "GatewayClass",
            key,
            form: "Conditions",
            conditions: [condition(types.Accepted, refused, metadata.generation)],
          },
        ]
      : [],
  );
}
