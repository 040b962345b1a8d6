/**
 * World → Desired: all that should stand in the home cluster. The stage's entry; each concept has its own file.
 *
 *     WANPolicies ─┐
 *     exports ─────┼→ ingress side, advertisements
 *     peers ───────┴→ imports → shadow, egress side, dummies, MCS objects, WAN backends
 *     Gateways ────→ fleets
 *
 * Pure but for its memory: the same World gives the same Desired. Never reads a clock, never writes.
 */
import type { Desired, DesiredObject, DesiredStatus, ServedGateway } from "../model/desired.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import { KeyedMemo } from "../model/memo.ts";
import { ingressPool, systemNamespace } from "../model/names.ts";
import { byAge, compare } from "../model/order.ts";
import type { World } from "../model/world.ts";
import { Assembler, type Contribution } from "./assemble.ts";
import { backendSlices } from "./endpoints-of-services.ts";
import { ingressSide, judgeExport, type HomeExport, type IngressSide } from "./exports.ts";
import { addressesOf, fleetObjects, fleetOf, isUsersGateway, servedGateway, sharedPools } from "./fleets.ts";
import { gatewayAdvertisement, readyPods, zonesOf } from "./gateway-pods.ts";
import { ImportGatherer } from "./gather-imports.ts";
import { ingressService } from "./ingress-service.ts";
import { advertise } from "./ingress-sites.ts";
import { Materialiser } from "./materialise.ts";
import { crdOwner, isOurs } from "./owners.ts";
import { statusesOf } from "./statuses.ts";
import { policySet, type PolicySet } from "./wan-policies.ts";

/** A reconcile with a memory of its own: of every part that did not change it gives the same objects again. */
export function createReconcile(): (world: World) => Desired {
  const single = new KeyedMemo<unknown>();
  const exportMemo = new KeyedMemo<HomeExport>();
  const ingressMemo = new KeyedMemo<IngressSide>();
  const statusMemo = new KeyedMemo<DesiredStatus>();
  const assembler = new Assembler();
  const gatherer = new ImportGatherer();
  const materialiser = new Materialiser();
  const once = <T>(key: string, dependencies: readonly unknown[], compute: () => T): T =>
    // Every key is asked for with one type only.
    single.get(key, dependencies, compute) as T;

  return (world) => {
    const { home, settings } = world;
    const policies = once("policies", [home.WANPolicy], () => policySet(home.WANPolicy));
    const owner = once("owner", [crdOwner(world)?.uid], () => crdOwner(world));
    const slices = once("slices", [home.EndpointSlice], () => backendSlices(home.EndpointSlice));

    const exports = judgeExports(world, { policies, slices, memo: exportMemo });
    const standing = home.Service.get(`${systemNamespace}/${ingressPool}`);
    const addresses = standing !== undefined && isOurs(standing) ? addressesOf(standing) : [];
    const ingressAddresses = once("ingress addresses", [addresses.join()], () => addresses);
    const contributions: Contribution[] = [];
    for (const [key, homeExport] of exports) {
      contributions.push(
        ingressMemo.get(key, [homeExport, policies, ingressAddresses, owner], () =>
          ingressSide(homeExport, policies, { addresses: ingressAddresses, owner }),
        ),
      );
    }

    const zones = zonesOf(slices);
    const pods = readyPods(world, ingressPool, zones);
    const { endpoints, unaddressed } = advertise(pods, policies, world);
    const homeEndpoints = once("home endpoints", [JSON.stringify(endpoints)], () => endpoints);
    const { mode } = settings.ingress;
    const advertisement = once("gateway advertisement", [homeEndpoints, mode, owner], () => [
      gatewayAdvertisement({ mode, endpoints: homeEndpoints }, owner),
    ]);
    contributions.push({ objects: advertisement });

    const gathered = gatherer.gather(world, exports, policies);
    const materialised = materialiser.materialise(world, { gathered, policies, homeEndpoints, owner, zones });
    contributions.push(...materialised.contributions);

    const ingress = once(
      "ingress service",
      [policies, home.Service, home.GatewayAdvertisement, settings],
      () => ingressService(world, policies),
    );
    const pools = once("pools", [JSON.stringify(ingress.service), owner, settings], () =>
      sharedPools(ingress.service, owner).flatMap((fleet) => fleetObjects(fleet, settings)),
    );
    contributions.push({ objects: pools }, ...usersGateways(world, single, owner));

    const assembled = assembler.assemble(world, contributions);
    const statuses = statusesOf({
      world,
      policies,
      exports,
      gathered,
      sides: materialised.sides,
      taken: assembled.taken,
      directoryProblems: materialised.directoryProblems,
      ingress: { unaddressed, closed: ingress.closed },
      memo: statusMemo,
    });
    single.endPass();
    exportMemo.endPass();
    ingressMemo.endPass();
    statusMemo.endPass();
    return {
      objects: assembled.objects,
      statuses,
      gateways: assembled.gateways,
      httpRoutes: assembled.httpRoutes,
      grpcRoutes: assembled.grpcRoutes,
      referenceGrants: assembled.referenceGrants,
      wanBackends: assembled.wanBackends,
      probes: materialised.probes,
    };
  };
}

function judgeExports(
  world: World,
  {
    policies,
    slices,
    memo,
  }: {
    readonly policies: PolicySet;
    readonly slices: ReadonlyMap<string, readonly ObjectTypes["EndpointSlice"][]>;
    readonly memo: KeyedMemo<HomeExport>;
  },
): ReadonlyMap<string, HomeExport> {
  const exports = new Map<string, HomeExport>();
  // Oldest first: where two exports' derived names meet, the older keeps its own.
  const serviceExports = [...world.home.ServiceExport].sort(([, a], [, b]) => byAge(a, b));
  for (const [key, serviceExport] of serviceExports) {
    if (serviceExport.metadata.deletionTimestamp !== undefined) continue;
    const service = world.home.Service.get(key);
    const ofService = slices.get(key) ?? [];
    exports.set(
      key,
      memo.get(key, [serviceExport, service, policies, ...ofService], () =>
        judgeExport({ serviceExport, service, slices: ofService, policies }),
      ),
    );
  }
  return exports;
}

function usersGateways(
  world: World,
  memo: KeyedMemo<unknown>,
  owner: OwnerReference | undefined,
): Contribution[] {
  const gateways: ServedGateway[] = [];
  const objects: DesiredObject[] = [];
  for (const [key, gateway] of [...world.home.Gateway].sort(([a], [b]) => compare(a, b))) {
    if (!isUsersGateway(gateway)) continue;
    const served = servedGateway(gateway, world);
    gateways.push(
      memo.get(`served ${key}`, [gateway, served.addresses.join()], () => served) as ServedGateway,
    );
    objects.push(
      ...(memo.get(`fleet ${key}`, [gateway, world.settings, owner], () =>
        fleetObjects({ ...fleetOf(gateway), owner }, world.settings),
      ) as DesiredObject[]),
    );
  }
  return [{ objects, gateways }];
}
