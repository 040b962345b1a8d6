/**
 * Which services this cluster imports: exports of all clusters merged, in namespaces that exist here, with the policy
 * that holds, their dummies' names and their path.
 */
import { reasons } from "../api/conditions.ts";
import { KeyedMemo } from "../model/memo.ts";
import { dummyNamespace, shadowName } from "../model/names.ts";
import { compare } from "../model/order.ts";
import { isHeard } from "../model/world.ts";
import { isStaleFor, partitionRule, type PartitionRule } from "../model/partition.ts";
import type { ClusterId, World } from "../model/world.ts";
import { nameDummies, plainNames, type NamedDummies } from "./dummy-services.ts";
import type { HomeExport } from "./exports.ts";
import { home } from "./gateway-directory.ts";
import type { Import } from "./import-side.ts";
import { clusterName, membersOf, mergeExports, type Member, type Merged } from "./imports.ts";
import { isOurs } from "./owners.ts";
import { carriedPorts } from "./port-limits.ts";
import { grantName } from "./reference-grants.ts";
import { pathOf } from "./shadow-services.ts";
import { policyByName, type PolicyChoice, type PolicySet } from "./wan-policies.ts";

/** The imports of a pass. */
export interface Gathered {
  /** Services that are exported anywhere, here or not: by `namespace/name`. */
  readonly merged: ReadonlyMap<string, Merged>;
  /** Those whose namespace is here, sorted by key. */
  readonly imports: readonly Import[];
}

/** Remembers from pass to pass. */
export class ImportGatherer {
  readonly #own = new KeyedMemo<Member>();
  readonly #ofPeers = new KeyedMemo<ReadonlyMap<string, Member>>();
  readonly #ofPeer = new KeyedMemo<Member>();
  readonly #merged = new KeyedMemo<Merged | undefined>();
  readonly #plain = new KeyedMemo<ReturnType<typeof plainNames>>();
  readonly #allNames = new KeyedMemo<ReadonlyMap<string, NamedDummies>>();
  readonly #foreign = new KeyedMemo<string>();
  readonly #named = new Map<
    string,
    { readonly from: NamedDummies; readonly wording: string; readonly value: NamedDummies }
  >();
  readonly #imports = new KeyedMemo<Import>();

  /** All imports of a World; `exports` are those of home, by key. */
  gather(world: World, exports: ReadonlyMap<string, HomeExport>, policies: PolicySet): Gathered {
    const merged = this.#mergeAll(world, exports);
    const dummies = this.#nameAll(world, merged, policies);
    const imports: Import[] = [];
    for (const [key, service] of [...merged].sort(([a], [b]) => compare(a, b))) {
      const namespace = world.home.Namespace.get(service.service.namespace);
      const names = dummies.get(key);
      if (
        namespace === undefined ||
        namespace.metadata.deletionTimestamp !== undefined ||
        names === undefined
      )
        continue;
      imports.push(
        this.#import(key, { world, merged: service, policies, names, homeExport: exports.get(key) }),
      );
    }
    this.#own.endPass();
    this.#ofPeers.endPass();
    this.#ofPeer.endPass();
    this.#merged.endPass();
    for (const key of this.#named.keys()) if (!merged.has(key)) this.#named.delete(key);
    this.#allNames.endPass();
    this.#foreign.endPass();
    this.#imports.endPass();
    return { merged, imports };
  }

  /** Names only change when services come or go, their precedence changes, or a Service that is not ours has come or gone. */
  #nameAll(
    world: World,
    merged: ReadonlyMap<string, Merged>,
    policies: PolicySet,
  ): ReadonlyMap<string, NamedDummies> {
    const foreign = this.#foreign.get("", [world.home.Service], () => foreignDummies(world.home.Service));
    const ranks = [...merged.values()].map((service) => service.exportedAtMs);
    const dependencies = [
      policies,
      world.homeId,
      foreign,
      ...merged.keys(),
      ...ranks,
      ...oldestClusters(merged),
    ];
    return this.#allNames.get("", dependencies, () =>
      nameDummies(
        [...merged]
          .sort(([, a], [, b]) => byPrecedence(a, b, world.homeId))
          .map(([key, { service }]) => ({
            key,
            service,
            plain: this.#plain.get(key, [policies], () => plainNames(service, policies)),
          })),
        world.home.Service,
      ),
    );
  }

  /** The same object while a service's names are the same, even where all were named anew. */
  #sameNames(key: string, names: NamedDummies): NamedDummies {
    const known = this.#named.get(key);
    if (known?.from === names) return known.value;
    const wording = JSON.stringify([...names.names, names.renamed, names.taken]);
    const value = known?.wording === wording ? known.value : names;
    this.#named.set(key, { from: names, wording, value });
    return value;
  }

  #mergeAll(world: World, exports: ReadonlyMap<string, HomeExport>): Map<string, Merged> {
    const byService = new Map<string, Member[]>();
    const add = (key: string, member: Member): void => {
      const list = byService.get(key);
      if (list === undefined) byService.set(key, [member]);
      else list.push(member);
    };
    for (const [key, { advertisement }] of exports) {
      if (advertisement !== undefined)
        add(
          key,
          this.#own.get(key, [advertisement], () => ({ cluster: home, spec: advertisement })),
        );
    }
    for (const peer of world.peers) {
      const dependencies = [isHeard(peer), peer.objects.ServiceAdvertisement, world.homeId];
      const members = this.#ofPeers.get(peer.id, dependencies, () => membersOf(peer, world.homeId));
      // One advertisement that changes must not make a peer's other services look changed too.
      for (const [key, member] of members)
        add(
          key,
          this.#ofPeer.get(`${peer.id} ${key}`, [member.spec], () => member),
        );
    }
    const result = new Map<string, Merged>();
    for (const [key, members] of byService) {
      // Members keep their identity and their order: home, then the peers by id.
      const merged = this.#merged.get(key, [world.homeId, ...members], () =>
        mergeExports(key, members, world.homeId),
      );
      if (merged !== undefined) result.set(key, merged);
    }
    return result;
  }

  #import(
    key: string,
    parts: {
      readonly world: World;
      readonly merged: Merged;
      readonly policies: PolicySet;
      readonly names: NamedDummies;
      readonly homeExport: HomeExport | undefined;
    },
  ): Import {
    const { world, policies, homeExport } = parts;
    const dummies = this.#sameNames(key, parts.names);
    const found = world.home.ServiceImport.get(key);
    const rules = found?.metadata.deletionTimestamp === undefined ? found : undefined;
    const drained = drainedClusters(world, partitionRule(rules, world.settings));
    const dependencies = [parts.merged, rules, policies, dummies, homeExport?.choice, drained.join()];
    return this.#imports.get(key, dependencies, () => {
      const merged = withoutBackends(parts.merged, drained);
      const choice = choiceOf(merged, { policies, homeExport, world });
      const { http, tcp } = carriedPorts(merged.ports, world.settings.dataPlane.name === "envoy");
      return {
        key,
        service: merged.service,
        merged,
        rules,
        choice,
        dummies,
        path: pathOf(merged, { hasRules: hasRules(rules), choice, policies }),
        httpPorts: http,
        tcpPorts: tcp,
        grantKey: `${dummyNamespace}/${grantName(merged.service)}`,
        shadowKey: `${merged.service.namespace}/${shadowName(merged.service.name)}`,
      };
    });
  }
}

/** Clusters that get no requests while they are not heard, in order. */
function drainedClusters({ peers }: World, rule: PartitionRule): readonly ClusterId[] {
  if (rule.onPartition !== "Drain") return [];
  return peers.filter((peer) => isStaleFor(peer, rule)).map(({ id }) => id);
}

/** The same exports, as if none of these clusters had a ready backend. */
function withoutBackends(merged: Merged, clusters: readonly ClusterId[]): Merged {
  if (clusters.length === 0) return merged;
  const [oldest, ...others] = merged.members;
  const emptied = (member: Member): Member =>
    member.cluster !== home && clusters.includes(member.cluster)
      ? { ...member, spec: { ...member.spec, readyBackends: [] } }
      : member;
  return { ...merged, members: [emptied(oldest), ...others.map(emptied)] };
}

/** Whether something has to be looked at, or chosen, that only an Envoy can. */
const hasRules = (rules: Import["rules"]): boolean =>
  rules?.spec.http !== undefined || rules?.spec.failover !== undefined || rules?.spec.limits !== undefined;

/** Names of Services in the dummies' namespace that are somebody else's. */
function foreignDummies(services: World["home"]["Service"]): string {
  const names: string[] = [];
  for (const [key, service] of services)
    if (service.metadata.namespace === dummyNamespace && !isOurs(service)) names.push(key);
  return names.sort(compare).join();
}

function oldestClusters(merged: ReadonlyMap<string, Merged>): unknown[] {
  return [...merged.values()].map(({ members: [oldest] }) => oldest.cluster);
}

/** The oldest export's policy; closed if it has none or this cluster doesn't accept it. */
function choiceOf(
  merged: Merged,
  {
    policies,
    homeExport,
    world,
  }: { readonly policies: PolicySet; readonly homeExport: HomeExport | undefined; readonly world: World },
): PolicyChoice {
  const { cluster } = merged.members[0];
  const { wanPolicy } = merged.oldest;
  if (wanPolicy !== undefined)
    return policies.accepted.has(wanPolicy) ? { policy: wanPolicy } : policyByName(policies, wanPolicy);
  if (cluster === home && homeExport !== undefined) return homeExport.choice;
  return {
    problem: {
      reason: reasons.NoPolicy,
      message: `The oldest export, in cluster "${clusterName(cluster, world.homeId)}", has no WANPolicy that could be used: see its ServiceExport there. Requests that no rule gives a policy are answered with 500.`,
    },
  };
}

/** Oldest export first, then by cluster, namespace and name: who holds a plain name. The same in every cluster. */
function byPrecedence(a: Merged, b: Merged, homeId: string | undefined): number {
  return (
    a.exportedAtMs - b.exportedAtMs ||
    compare(clusterName(a.members[0].cluster, homeId), clusterName(b.members[0].cluster, homeId)) ||
    compare(a.service.namespace, b.service.namespace) ||
    compare(a.service.name, b.service.name)
  );
}
