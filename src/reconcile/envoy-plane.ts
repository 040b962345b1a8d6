/**
 * The data plane `envoy` in reconcile: two shared pools of Envoys for generated Gateways, a fleet for each Gateway of a
 * user, one advertisement for the ingress pool.
 */
import type { DesiredObject, ServedGateway } from "../model/desired.ts";
import { KeyedMemo } from "../model/memo.ts";
import { annotations, egressPool, gatewayClassName, ingressPool, systemNamespace } from "../model/names.ts";
import { compare } from "../model/order.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import type { World } from "../model/world.ts";
import type { Contribution } from "./assemble.ts";
import type { DataPlaneInput, DataPlaneInReconcile, DataPlanePass } from "./data-plane.ts";
import type { EgressPlace } from "./egress-place.ts";
import { drainingPorts } from "./draining-ports.ts";
import { containerPortsOf, portsNote } from "./egress-ports.ts";
import { fleetObjects, fleetOf, isUsersGateway, servedGateway, sharedPools } from "./fleets.ts";
import { addressesOf } from "./gateway-addresses.ts";
import { gatewayAdvertisement, readyPods, zonesOf, type GatewayPod } from "./gateway-pods.ts";
import type { Import } from "./import-side.ts";
import { ingressService } from "./ingress-service.ts";
import { advertise } from "./ingress-sites.ts";
import { listenerSetsByGateway } from "./listener-sets.ts";
import { isOurs } from "./owners.ts";
import { sliceName } from "./proxy-slices.ts";

/** mc-wan's own Envoys. */
export class EnvoyPlane implements DataPlaneInReconcile {
  readonly #memo = new KeyedMemo<unknown>();

  pass(world: World, { policies, slices, owner, identity }: DataPlaneInput): DataPlanePass {
    const { home, settings } = world;
    const standing = home.Service.get(`${systemNamespace}/${ingressPool}`);
    const addresses = standing !== undefined && isOurs(standing) ? addressesOf(standing) : [];
    const ingressAddresses = this.#once("ingress addresses", [addresses.join()], () => addresses);

    const zones = zonesOf(slices);
    const { endpoints, unaddressed } = advertise(readyPods(world, ingressPool, zones), policies, world);
    const homeEndpoints = this.#once("home endpoints", [JSON.stringify(endpoints)], () => endpoints);
    const homePools = this.#once(
      "home pools",
      [homeEndpoints],
      () => new Map([[ingressPool, homeEndpoints]]),
    );
    const { mode } = settings.ingress;
    const found = drainingPorts(world, policies);
    const draining = this.#once("draining", [JSON.stringify(found)], () => found);
    const advertisement = this.#once(
      "advertisement",
      [homeEndpoints, draining, mode, owner, identity],
      () => [
        gatewayAdvertisement(
          { name: ingressPool, mode, endpoints: homeEndpoints, draining, ...(identity && { identity }) },
          owner,
        ),
      ],
    );

    const ingress = this.#once(
      "ingress service",
      [policies, home.Service, home.GatewayAdvertisement, draining, settings],
      () => ingressService(world, policies, draining),
    );
    const bundle = controllerAuthorities(world);
    const pools = this.#once("pools", [JSON.stringify(ingress.service), owner, settings, bundle], () =>
      sharedPools(ingress.service, owner).flatMap((fleet) => fleetObjects(fleet, settings, bundle)),
    );
    const users = this.#usersGateways(world, { owner, bundle });
    const egressPods = readyPods(world, egressPool, zones);
    this.#memo.endPass();
    return {
      gatewayClassName,
      ingressAddresses,
      contributions: [{ objects: advertisement }, { objects: pools }, users],
      homePools,
      draining,
      ingress: { unaddressed, closed: ingress.closed },
      egress: (imports) => egressPlaces(world, imports, egressPods),
    };
  }

  #once<T>(key: string, dependencies: readonly unknown[], compute: () => T): T {
    // Every key is asked for with one type only.
    return this.#memo.get(key, dependencies, compute) as T;
  }

  #usersGateways(
    world: World,
    { owner, bundle }: { readonly owner: OwnerReference | undefined; readonly bundle: string | undefined },
  ): Contribution {
    const listenerSets = listenerSetsByGateway(world);
    const gateways: ServedGateway[] = [];
    const objects: DesiredObject[] = [];
    for (const [key, gateway] of [...world.home.Gateway].sort(([a], [b]) => compare(a, b))) {
      if (!isUsersGateway(gateway)) continue;
      const sets = listenerSets.get(key) ?? [];
      const { served, addressServices } = servedGateway(gateway, sets, world);
      const { addresses, refusal, addressProblem } = served;
      const found = JSON.stringify([addresses, refusal, addressProblem]);
      const ofSets = sets.flatMap(({ set, isAllowed }) => [set, isAllowed]);
      gateways.push(this.#once(`served ${key}`, [gateway, found, ...ofSets], () => served));
      const names = addressServices.map(({ name }) => name).join();
      objects.push(
        ...this.#once(`fleet ${key}`, [gateway, ...ofSets, names, world.settings, owner, bundle], () =>
          fleetObjects({ ...fleetOf(gateway, sets), addressServices, owner }, world.settings, bundle),
        ),
      );
    }
    return { objects, gateways };
  }
}

/**
 * By what gateways check the controller: the authorities of this cluster, or what its gateways were told while they can't be
 * read. Unknown is not empty: without it no Envoy is deployed.
 */
function controllerAuthorities({ controllerIdentity, home }: World): string | undefined {
  if (controllerIdentity !== undefined) return controllerIdentity.bundle;
  const standing = home.Deployment.get(`${systemNamespace}/${ingressPool}`);
  if (standing === undefined || !isOurs(standing)) return undefined;
  return standing.spec?.template.metadata?.annotations?.[annotations.doorFile("ca.crt")];
}

/** Container ports of the egress pool for all imports, and who listens there. */
function egressPlaces(
  world: World,
  imports: readonly Import[],
  pods: readonly GatewayPod[],
): (imported: Import) => EgressPlace {
  const allocated = containerPortsOf(world, imports);
  return (imported) => {
    const containerPorts = new Map(
      [...imported.httpPorts, ...imported.tcpPorts].flatMap(({ port }) => {
        const container = allocated.get(`${imported.key}:${port}`);
        return container === undefined ? [] : [[port, container] as const];
      }),
    );
    const listening = new Map(
      [...containerPorts].map(
        ([port, container]) => [port, listeners(world, pods, { imported, container })] as const,
      ),
    );
    return { containerPorts, listening, mayListen: pods.length > 0, note: portsNote(containerPorts) };
  };
}

/** Egress Pods at a container port: those known to listen, and those of which nothing is known but that stand there already. */
function listeners(
  world: World,
  pods: readonly GatewayPod[],
  { imported, container }: { readonly imported: Import; readonly container: number },
): GatewayPod[] {
  return pods.filter(({ name, address }) => {
    const known = world.listening.get(name);
    if (known !== undefined) return known.has(container);
    const slice = world.home.EndpointSlice.get(sliceName(imported.shadowKey, container));
    return slice?.endpoints?.some(({ addresses }) => addresses.includes(address)) ?? false;
  });
}
