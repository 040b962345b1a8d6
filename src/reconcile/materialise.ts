/**
 * From imports to what stands for them, each import remembered by all that it depends on: where its
 * egress side is, gateways of other clusters, what stands already.
 */
import type { DesiredObject, ProbeTarget, WanBackend } from "../model/desired.ts";
import type { TrustedAuthority } from "../model/identity.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { KeyedMemo } from "../model/memo.ts";
import { dummyNamespace } from "../model/names.ts";
import { compare } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import { isHeard } from "../model/world.ts";
import type { ClusterId, World } from "../model/world.ts";
import type { Contribution } from "./assemble.ts";
import type { ReferableServices } from "./backend-refs.ts";
import { wanAppProtocol } from "./cluster-dummies.ts";
import { ClusterSpread } from "./cluster-spread.ts";
import type { DataPlanePass } from "./data-plane.ts";
import { dummyPortName, dummyServices } from "./dummy-services.ts";
import { dummyTlsPolicies } from "./mutual-tls.ts";
import { gatewayDirectory, home, type GatewayDirectory } from "./gateway-directory.ts";
import type { Gathered } from "./gather-imports.ts";
import { importSide, type Import, type ImportSide } from "./import-side.ts";
import { namedDummies } from "./named-dummies.ts";
import { overlaps, ownRanges, type OwnRanges } from "./own-ranges.ts";
import { placementOf, plainPlacement } from "./placement.ts";
import { proxySlices } from "./proxy-slices.ts";
import { localServices, nothingReferable, referableOf } from "./referable.ts";
import { referenceGrants } from "./reference-grants.ts";
import { clusterIPsOf } from "./shadow-services.ts";
import { probesOf, staleGateways } from "./stale-gateways.ts";
import { wanBackends } from "./wan-backends.ts";
import type { PolicySet } from "./wan-policies.ts";

/** What the pass knows already. */
export interface PassInput {
  readonly gathered: Gathered;
  readonly policies: PolicySet;
  readonly owner: OwnerReference | undefined;
  readonly dataPlane: DataPlanePass;
  readonly trust: readonly TrustedAuthority[];
}

/** What stands for all imports. */
export interface Materialised {
  readonly contributions: readonly Contribution[];
  /** By the import's key. */
  readonly sides: ReadonlyMap<string, ImportSide>;
  readonly directory: GatewayDirectory;
  readonly directoryProblems: readonly Problem[];
  readonly probes: readonly ProbeTarget[];
}

interface DummySide {
  readonly objects: readonly DesiredObject[];
  readonly grants: readonly ObjectTypes["ReferenceGrant"][];
  readonly wanBackends: readonly (readonly [string, WanBackend])[];
}

/** Remembers from pass to pass. */
export class Materialiser {
  readonly #single = new KeyedMemo<unknown>();
  readonly #sides = new KeyedMemo<ImportSide>();
  readonly #dummies = new KeyedMemo<DummySide>();
  readonly #slices = new KeyedMemo<Contribution>();
  readonly #spread = new ClusterSpread();
  readonly #referable = new KeyedMemo<ReferableServices>();

  materialise(world: World, pass: PassInput): Materialised {
    const { imports } = pass.gathered;
    const ownAddresses = this.#once("own addresses", [world.home.Service], () => serviceAddresses(world));
    const ranges = this.#once("own ranges", [world.home.Node, world.home.ServiceCIDR], () =>
      ownRanges(world.home),
    );
    const directory = this.#directory(world, pass, { clusterIPs: ownAddresses, ranges });
    const placeOf = pass.dataPlane.egress(imports);
    const { gatewayClassName } = pass.dataPlane;
    const placed = imports.map((imported) => [imported, placeOf(imported)] as const);
    const byNamespace = Map.groupBy(imports, ({ service }) => service.namespace);
    const staleClusters = new Set(world.peers.filter(({ state }) => state === "Stale").map(({ id }) => id));
    const dummySides = placed.map(
      ([imported, { note }]) =>
        [imported, this.#dummySide(imported, pass, { directory, note, homeId: world.homeId })] as const,
    );
    const { policies, owner } = pass;
    const hasTcpRoutes = !world.absentKinds.has("TCPRoute");
    const { other } = pass.dataPlane;
    const spread =
      other && this.#spread.pass({ world, other, imports: dummySides, policies, directory, owner });
    const sides = new Map<string, ImportSide>();
    for (const [imported, egress] of placed) {
      const { key } = imported;
      const findTargets = spread?.finder(imported);
      const referable = this.#referableFor(imported, {
        pass,
        neighbours: byNamespace.get(imported.service.namespace) ?? [],
      });
      const stale = staleGateways(imported, { staleClusters, directory, world });
      const shadow = world.home.Service.get(imported.shadowKey);
      const mcs = world.home.McsServiceImport.get(key);
      const held = mcs?.spec.ips?.[0];
      const holder = held === undefined ? undefined : ownAddresses.get(held);
      const dependencies = [
        imported,
        policies,
        directory,
        ranges,
        referable,
        pass.owner,
        shadow,
        mcs?.metadata.uid,
        mcs?.spec,
        holder,
        world.homeId,
        world.settings.legacyEndpoints,
        gatewayClassName,
        egress.mayListen,
        hasTcpRoutes,
        JSON.stringify([...egress.containerPorts]),
        JSON.stringify([...egress.listening]),
        JSON.stringify([...stale]),
        findTargets,
        ...localServices(imported, world),
      ];
      const side = this.#sides.get(key, dependencies, () =>
        importSide(imported, {
          homeId: world.homeId,
          policies: pass.policies,
          directory,
          ranges,
          referable: {
            ...referable,
            localService: (name) => world.home.Service.get(`${imported.service.namespace}/${name}`),
          },
          owner: pass.owner,
          legacyEndpoints: world.settings.legacyEndpoints,
          shadow,
          mcs,
          isTaken: () => holder !== undefined,
          gatewayClassName,
          egress,
          hasTcpRoutes,
          stale,
          findTargets,
        }),
      );
      sides.set(key, side);
    }
    const slices = this.#dummySlices(world, { sides, dummySides, directory, owner: pass.owner });
    const ofClusters = spread?.contributions(sides) ?? [];
    // Another implementation's gateways have health checks of their own.
    const gateways = other === undefined ? directory.ofPeers : [];
    const probes = probesOf(sides.values(), gateways);
    const sameProbes = this.#once("probes", [JSON.stringify(probes)], () => probes);
    this.#single.endPass();
    this.#sides.endPass();
    this.#dummies.endPass();
    this.#slices.endPass();
    this.#referable.endPass();
    return {
      contributions: [...sides.values(), ...dummySides.map(([, side]) => side), ...slices, ...ofClusters],
      sides,
      directory,
      directoryProblems: directory.problems,
      probes: sameProbes,
    };
  }

  #once<T>(key: string, dependencies: readonly unknown[], compute: () => T): T {
    // Every key is asked for with one type only.
    return this.#single.get(key, dependencies, compute) as T;
  }

  #directory(
    world: World,
    { dataPlane: { homePools }, policies, trust }: PassInput,
    addresses: { readonly clusterIPs: ReadonlyMap<string, string>; readonly ranges: OwnRanges },
  ): GatewayDirectory {
    const own = overlaps(world, {
      ...addresses,
      homeEndpoints: [...homePools.values()].flat(),
    });
    const dependencies = [
      homePools,
      policies,
      world.homeId,
      trust.map(({ cluster }) => cluster).join(),
      JSON.stringify([...own].sort(([a], [b]) => compare(a, b))),
      ...world.peers.flatMap((peer) => {
        const { GatewayAdvertisement: pools } = peer.objects;
        // Not their statuses, in which peers echo what they heard of us: nothing follows from that here.
        const said = this.#once(`pools of ${peer.id}`, [pools], () =>
          JSON.stringify([...pools].map(([key, { spec }]) => [key, spec])),
        );
        return [peer.id, isHeard(peer), said];
      }),
    ];
    const { homeId, peers } = world;
    const trusted = new Set(trust.map(({ cluster }) => cluster));
    return this.#once("directory", dependencies, () =>
      gatewayDirectory({ homePools, homeId, peers, ownAddresses: own, policies, trusted }),
    );
  }

  /** What a ServiceImport's rules may name. Made only where there are rules: it depends on all imports of the namespace. */
  #referableFor(
    { rules, service }: Import,
    { pass, neighbours }: { readonly pass: PassInput; readonly neighbours: readonly Import[] },
  ): ReferableServices {
    if (rules === undefined) return nothingReferable(pass.policies);
    const { namespace } = service;
    return this.#referable.get(namespace, [pass.policies, ...neighbours], () =>
      referableOf(neighbours, pass.policies),
    );
  }

  #dummySide(
    { key, service, merged, dummies, rules }: Import,
    { policies, owner, dataPlane, trust }: PassInput,
    {
      directory,
      note,
      homeId,
    }: {
      readonly directory: GatewayDirectory;
      readonly note: Readonly<Record<string, string>>;
      readonly homeId: ClusterId | undefined;
    },
  ): DummySide {
    const isOurs = dataPlane.other === undefined;
    const placement = isOurs ? placementOf({ merged, rules, homeId }) : plainPlacement;
    const concurrentRequests = isOurs ? rules?.spec.limits?.concurrentRequests : undefined;
    const appProtocol = dataPlane.other && wanAppProtocol(merged);
    const trusted = trust.map(({ trustDomain }) => trustDomain).join();
    return this.#dummies.get(
      key,
      [
        merged,
        dummies,
        policies,
        directory,
        owner,
        appProtocol,
        placement.key,
        concurrentRequests,
        trusted,
        ...Object.values(note),
      ],
      () => {
        const clusters = new Set(
          merged.members.map(({ cluster }) => (cluster === home ? placement.homeName : cluster)),
        );
        const exporters = trust.filter(({ cluster }) => clusters.has(cluster));
        const { grants, objects } = referenceGrants(service, [...dummies.names.values()], {
          owner,
          annotations: note,
        });
        return {
          objects: [
            ...dummyServices(service, { names: dummies.names, policies, appProtocol }, owner),
            ...dummyTlsPolicies(service, { names: dummies.names, policies, exporters }, owner),
            ...objects,
          ],
          grants,
          wanBackends: wanBackends(
            service,
            { merged, names: dummies.names, placement, policies, concurrentRequests },
            directory,
          ),
        };
      },
    );
  }

  #dummySlices(
    world: World,
    parts: {
      readonly sides: ReadonlyMap<string, ImportSide>;
      readonly dummySides: readonly (readonly [Import, DummySide])[];
      readonly directory: GatewayDirectory;
      readonly owner: OwnerReference | undefined;
    },
  ): Contribution[] {
    const { directory, owner } = parts;
    const { dummyEndpoints, legacyEndpoints } = world.settings;
    const named = dummyEndpoints === "All" ? undefined : namedDummies(world, parts.sides);
    return parts.dummySides.map(([{ key, service, merged, dummies }, { wanBackends: backends }]) => {
      const shown = backends.filter(([name]) => named?.has(name) ?? true);
      return this.#slices.get(
        key,
        [merged, dummies, directory, owner, legacyEndpoints, shown.map(([name]) => name).join()],
        () => ({
          objects: shown.flatMap(([name, { policy }]) => {
            const targets = merged.members.flatMap((member) =>
              member.spec.readyBackends.some(({ count }) => count > 0)
                ? directory.find(member.cluster, member.spec.pool, policy)
                : [],
            );
            return proxySlices(
              { namespace: dummyNamespace, name, cause: service, owner },
              [{ portName: dummyPortName, targets }],
              legacyEndpoints,
            );
          }),
        }),
      );
    });
  }
}

/** Every clusterIP, with the Service that has it. */
function serviceAddresses(world: World): Map<string, string> {
  const addresses = new Map<string, string>();
  for (const [key, service] of world.home.Service)
    for (const ip of clusterIPsOf(service)) addresses.set(ip, key);
  return addresses;
}
