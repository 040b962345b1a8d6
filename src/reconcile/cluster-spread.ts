/**
 * Brings weights into the routes of imports where another implementation carries the traffic, and the dummies per cluster
 * that they name.
 *
 *     WAN backends, home's backends → FindTargets → routes → dummies that they name → Services, slices, grants
 */
import type { WanBackend } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import { KeyedMemo } from "../model/memo.ts";
import type { World } from "../model/world.ts";
import type { Contribution } from "./assemble.ts";
import { ClusterDummyNames, clusterDummies, targetsOf, type AllClusterDummies } from "./cluster-dummies.ts";
import type { OtherCarrier } from "./data-plane.ts";
import type { GatewayDirectory } from "./gateway-directory.ts";
import type { Import, ImportSide } from "./import-side.ts";
import type { FindTargets } from "./spread-backends.ts";
import type { PolicySet } from "./wan-policies.ts";

/** An import with its WAN backends, by the names of its dummies. */
type ImportWithBackends = readonly [
  Import,
  { readonly wanBackends: readonly (readonly [string, WanBackend])[] },
];

/** What one pass knows. */
export interface SpreadInput {
  readonly world: World;
  readonly other: OtherCarrier;
  readonly imports: readonly ImportWithBackends[];
  readonly policies: PolicySet;
  readonly directory: GatewayDirectory;
  readonly owner: OwnerReference | undefined;
}

/** The spreading of one pass. */
export interface PassSpread {
  /** For the routes of an import, which may name dummies of its whole namespace. The same function while nothing changed. */
  readonly finder: (imported: Import) => FindTargets;
  /** What the routes of these sides need beside the dummies for all clusters. */
  readonly contributions: (sides: ReadonlyMap<string, ImportSide>) => Contribution[];
}

/** Remembers from pass to pass. */
export class ClusterSpread {
  readonly #names = new ClusterDummyNames();
  readonly #finders = new KeyedMemo<FindTargets>();
  readonly #dummies = new KeyedMemo<Contribution>();

  pass(input: SpreadInput): PassSpread {
    const names = this.#names.of(
      input.world,
      input.imports.map(([imported]) => imported),
    );
    const byNamespace = Map.groupBy(input.imports, ([{ service }]) => service.namespace);
    return {
      finder: (imported) => {
        const neighbours = byNamespace.get(imported.service.namespace) ?? [];
        return this.#finder(imported, { input, names, neighbours });
      },
      contributions: (sides) => this.#contributions(sides, { input, names }),
    };
  }

  #finder(
    { key, rules }: Import,
    parts: {
      readonly input: SpreadInput;
      readonly names: AllClusterDummies;
      readonly neighbours: readonly ImportWithBackends[];
    },
  ): FindTargets {
    const { input, names, neighbours } = parts;
    // Without rules only the import's own dummy is named.
    const seen = rules === undefined ? neighbours.filter(([imported]) => imported.key === key) : neighbours;
    const counted = seen.map(
      ([{ service }, { wanBackends }]) => [wanBackends, input.other.homeBackends(service)] as const,
    );
    const dependencies = counted.flatMap(([wanBackends, { ready, total }]) => [wanBackends, ready, total]);
    return this.#finders.get(key, [names, input.policies, ...dependencies], () => {
      const known = new Map<string, (servicePort: number) => ReturnType<FindTargets>>();
      for (const [wanBackends, homeBackends] of counted) {
        for (const [dummy, backend] of wanBackends) {
          const policyPort = input.policies.accepted.get(backend.policy)?.spec.port;
          const ofClusters = names.get(dummy);
          if (policyPort === undefined || ofClusters === undefined) continue;
          known.set(dummy, (servicePort) =>
            targetsOf(backend, ofClusters, { servicePort, policyPort, homeBackends }),
          );
        }
      }
      return (dummy, servicePort) => known.get(dummy)?.(servicePort);
    });
  }

  #contributions(
    sides: ReadonlyMap<string, ImportSide>,
    { input, names }: { readonly input: SpreadInput; readonly names: AllClusterDummies },
  ): Contribution[] {
    const { policies, directory, owner, world } = input;
    const { legacyEndpoints } = world.settings;
    const named = new Set([...sides.values()].flatMap(({ dummies = [] }) => dummies));
    const result = input.imports.map(([imported]) => {
      const own = [...imported.dummies.names.values()].filter((dummy) => named.has(dummy));
      return this.#dummies.get(
        imported.key,
        [imported, names, policies, directory, owner, legacyEndpoints, own.join()],
        () =>
          clusterDummies({
            imported,
            named: new Set(own),
            names,
            policies,
            directory,
            owner,
            legacyEndpoints,
          }),
      );
    });
    this.#finders.endPass();
    this.#dummies.endPass();
    return result;
  }
}
