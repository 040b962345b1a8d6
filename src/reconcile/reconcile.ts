/**
 * World → Desired: all that should stand in the home cluster. The stage's entry; each concept has its own file.
 *
 *     WANPolicies ─┐
 *     exports ─────┼→ ingress side, advertisements
 *     peers ───────┴→ imports → shadow, egress side, dummies, MCS objects, WAN backends
 *     data plane ──→ what is deployed for all of these, and where it is reached
 *
 * Pure but for its memory: the same World gives the same Desired. Never reads a clock, never writes.
 */
import type { Desired, DesiredStatus } from "../model/desired.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { KeyedMemo } from "../model/memo.ts";
import { byAge } from "../model/order.ts";
import type { World } from "../model/world.ts";
import { accessPoliciesByExport } from "./access.ts";
import { Assembler, type Contribution } from "./assemble.ts";
import { backendSlices } from "./endpoints-of-services.ts";
import { ClientDirectory } from "./clients.ts";
import { EnvoyPlane } from "./envoy-plane.ts";
import { ingressSide, judgeExport, type HomeExport, type IngressSide } from "./exports.ts";
import { GatewayApiPlane } from "./gateway-api-plane.ts";
import { ImportGatherer } from "./gather-imports.ts";
import { advertisedIdentity, fleetAccounts, trustOf, unawareOf, wantedIdentities } from "./identities.ts";
import { Materialiser } from "./materialise.ts";
import { crdOwner } from "./owners.ts";
import { heardPorts } from "./port-echo.ts";
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
  const clientDirectory = new ClientDirectory();
  const materialiser = new Materialiser();
  const dataPlanes = { envoy: new EnvoyPlane(), "gateway-api": new GatewayApiPlane() };
  const once = <T>(key: string, dependencies: readonly unknown[], compute: () => T): T =>
    // Every key is asked for with one type only.
    single.get(key, dependencies, compute) as T;

  return (world) => {
    const { home, settings } = world;
    const policies = once("policies", [home.WANPolicy, settings.dataPlane.name], () =>
      policySet(home.WANPolicy, settings),
    );
    const owner = once("owner", [crdOwner(world)?.uid], () => crdOwner(world));
    const slices = once("slices", [home.EndpointSlice], () => backendSlices(home.EndpointSlice));

    const found = once("authorities", [world.homeId, world.identity, world.peers, settings], () =>
      trustOf(world),
    );
    // Peers change all the time, their authorities hardly ever.
    const trust = once("trust", [JSON.stringify(found)], () => found);
    const identity = once("identity", [world.identity, trust], () =>
      advertisedIdentity(world.identity, trust),
    );
    const access = once("access", [home.AccessPolicy], () => accessPoliciesByExport(home.AccessPolicy));
    const exports = judgeExports(world, { policies, slices, access, memo: exportMemo });
    const dataPlane = dataPlanes[settings.dataPlane.name].pass(world, {
      policies,
      slices,
      owner,
      exports,
      identity,
    });
    const { gatewayClassName, ingressAddresses } = dataPlane;
    const carriesTcp = dataPlane.other === undefined;
    const contributions: Contribution[] = [];
    for (const [key, homeExport] of exports) {
      contributions.push(
        ingressMemo.get(key, [homeExport, policies, gatewayClassName, ingressAddresses, owner], () =>
          ingressSide(homeExport, policies, {
            gatewayClassName,
            addresses: ingressAddresses,
            carriesTcp,
            owner,
          }),
        ),
      );
    }

    const gathered = gatherer.gather(world, exports, policies);
    const materialised = materialiser.materialise(world, {
      gathered,
      policies,
      owner,
      dataPlane,
      trust: trust.authorities,
    });
    contributions.push(...materialised.contributions);
    contributions.push(...dataPlane.contributions);

    const clients = clientDirectory.of(world, gathered.imports);
    const heard = heardPorts(world.peers);
    const sendsTo = once("sends to", [JSON.stringify(heard)], () => heard);
    const assembled = assembler.assemble(world, contributions);
    const statuses = statusesOf({
      world,
      policies,
      exports,
      gathered,
      sides: materialised.sides,
      directory: materialised.directory,
      taken: assembled.taken,
      directoryProblems: [...materialised.directoryProblems, ...trust.problems],
      ingress: dataPlane.ingress,
      other: dataPlane.other,
      draining: dataPlane.draining,
      sendsTo,
      clientProblems: clients.problems,
      memo: statusMemo,
    });
    // Another implementation has certificates of its own, or none.
    const identities = once("identities", [world.homeId, settings, assembled.gateways], () =>
      dataPlane.other === undefined ? wantedIdentities(world, assembled.gateways) : [],
    );
    const accounts = once("accounts", [assembled.gateways], () => fleetAccounts(assembled.gateways));
    const unawareNow = unawareOf(world);
    const unaware = once("unaware", [unawareNow.join()], () => unawareNow);
    single.endPass();
    exportMemo.endPass();
    ingressMemo.endPass();
    statusMemo.endPass();
    return {
      objects: assembled.objects,
      statuses,
      // Another implementation's are not ours to serve.
      gateways: dataPlane.other === undefined ? assembled.gateways : [],
      httpRoutes: assembled.httpRoutes,
      grpcRoutes: assembled.grpcRoutes,
      tcpRoutes: assembled.tcpRoutes,
      referenceGrants: assembled.referenceGrants,
      wanBackends: assembled.wanBackends,
      clients: clients.vouched,
      probes: materialised.probes,
      draining: dataPlane.draining,
      sendsTo,
      accounts,
      identities,
      trust: trust.authorities,
      unaware,
    };
  };
}

function judgeExports(
  world: World,
  {
    policies,
    slices,
    access,
    memo,
  }: {
    readonly policies: PolicySet;
    readonly slices: ReadonlyMap<string, readonly ObjectTypes["EndpointSlice"][]>;
    readonly access: ReadonlyMap<string, readonly ObjectTypes["AccessPolicy"][]>;
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
    const accessPolicies = access.get(key) ?? [];
    const { settings } = world;
    const dependencies = [
      serviceExport,
      service,
      policies,
      settings,
      ofService.length,
      ...ofService,
      ...accessPolicies,
    ];
    exports.set(
      key,
      memo.get(key, dependencies, () =>
        judgeExport({ serviceExport, service, slices: ofService, policies, accessPolicies, settings }),
      ),
    );
  }
  return exports;
}
