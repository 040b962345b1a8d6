/**
 * Statuses of everything but Gateways and routes: what became of each object of a user, with the reason and what to do.
 * An object that does not stand yet gets no status.
 */
import { reasons, types } from "../api/conditions.ts";
import {
  objectKey,
  type DesiredObject,
  type DesiredStatus,
  type DrainingPort,
  type ObjectKey,
} from "../model/desired.ts";
import type { KindName } from "../model/kinds.ts";
import type { Condition } from "../model/kube-object.ts";
import type { KeyedMemo } from "../model/memo.ts";
import { partitionRule } from "../model/partition.ts";
import { labels } from "../model/names.ts";
import { compare, sortedEntries } from "../model/order.ts";
import { messageOf, type Problem } from "../model/problem.ts";
import { accessStatuses } from "./access.ts";
import { condition, unless, type Finding } from "./conditions.ts";
import { closedTcpProblems, type HomeExport } from "./exports.ts";
import type { Gathered } from "./gather-imports.ts";
import { home } from "./gateway-directory.ts";
import type { GatewayDirectory } from "./gateway-directory.ts";
import type { Import, ImportSide } from "./import-side.ts";
import type { Merged } from "./imports.ts";
import { isOurs } from "./owners.ts";
import {
  mcsConditions,
  portsSupported,
  rulesConditions,
  tcpSupport,
  type TcpSupport,
} from "./import-status.ts";
import { leftImports, staleExporters } from "./peer-states.ts";
import { policyConditions } from "./policy-status.ts";
import { poolStatus, type PoolStatusInput } from "./pool-status.ts";
import { refusedExports } from "./refused-objects.ts";
import { clusterIPsOf } from "./shadow-services.ts";
import { affinityConditions, classified, notOurs, renamedWords } from "./status-words.ts";
import type { PolicySet } from "./wan-policies.ts";

/** What statuses are made of. */
export interface StatusInput extends PoolStatusInput {
  readonly policies: PolicySet;
  readonly exports: ReadonlyMap<string, HomeExport>;
  readonly gathered: Gathered;
  readonly sides: ReadonlyMap<string, ImportSide>;
  readonly draining: readonly DrainingPort[];
  readonly directory: GatewayDirectory;
  /** Objects that are somebody else's, by the service that asked for them. */
  readonly taken: ReadonlyMap<string, readonly string[]>;
  /** Clients of imports that egress gateways can't tell apart, by the key of the import. */
  readonly clientProblems: ReadonlyMap<string, readonly Problem[]>;
  /** Remembers statuses from pass to pass. */
  readonly memo: KeyedMemo<DesiredStatus>;
}

/** All statuses. */
export function statusesOf(input: StatusInput): ReadonlyMap<ObjectKey, DesiredStatus> {
  const statuses = new Map<ObjectKey, DesiredStatus>();
  const put = (kind: KindName, key: string, conditions: readonly Condition[]): void => {
    statuses.set(objectKey(kind, key), { kind, key, form: "Conditions", conditions });
  };
  const { world, policies, memo } = input;
  const imports = new Map(input.gathered.imports.map((imported) => [imported.key, imported]));
  for (const policy of policies.all)
    put(
      "WANPolicy",
      policy.metadata.name,
      policyConditions(policy, { policies, world, draining: input.draining, directory: input.directory }),
    );
  const { taken } = input;
  for (const [key, homeExport] of sortedEntries(input.exports)) {
    const imported = imports.get(key);
    const merged = input.gathered.merged.get(key);
    const isAdvertised = world.home.ServiceAdvertisement.has(key);
    const carried = input.other?.ofExport(homeExport);
    const dependencies = [
      homeExport,
      merged,
      imported?.dummies,
      taken.get(key)?.join(),
      world.homeId,
      isAdvertised,
      ...wordsOfTcp(tcpSupport(world)),
      ...wordsOf(carried),
    ];
    const status = memo.get(`ServiceExport ${key}`, dependencies, () => {
      const conditions = exportConditions(homeExport, {
        merged,
        imported,
        isAdvertised,
        foreign: taken.get(key) ?? [],
        homeId: world.homeId,
        isOurs: input.other === undefined,
        carried,
        tcp: tcpSupport(world),
      });
      return { kind: "ServiceExport", key, form: "Conditions", conditions };
    });
    statuses.set(objectKey("ServiceExport", key), status);
  }
  const unread = refusedExports(world.peers);
  for (const imported of input.gathered.imports) {
    const mcs = world.home.McsServiceImport.get(imported.key);
    if (mcs === undefined || !isOurs(mcs)) continue;
    const { key, merged } = imported;
    const shadow = world.home.Service.get(imported.shadowKey);
    const side = input.sides.get(key);
    const carried = input.other?.ofImport(imported);
    const rule = partitionRule(imported.rules, world.settings);
    const stale = staleExporters(merged, { peers: world.peers, probes: side?.probes ?? [], rule });
    const unusable = [
      ...stale,
      ...(unread.get(key) ?? []),
      ...(side?.unusable ?? []),
      ...closedExporters(imported, input.directory),
      ...(input.clientProblems.get(key) ?? []),
    ];
    const dependencies = [
      imported,
      world.homeId,
      mcs.metadata.generation,
      taken.get(key)?.join(),
      side,
      clusterIPsOf(shadow).join(),
      messageOf(unusable),
      ...wordsOfTcp(tcpSupport(world)),
      ...wordsOf(carried),
    ];
    const status = memo.get(`McsServiceImport ${key}`, dependencies, () => ({
      kind: "McsServiceImport",
      key,
      form: "Conditions",
      conditions: mcsConditions(imported, {
        foreign: taken.get(key) ?? [],
        side,
        shadow,
        unusable,
        carried,
        isOurs: input.other === undefined,
        tcp: tcpSupport(world),
        generation: mcs.metadata.generation,
      }),
      fields: {
        clusters: exporters(merged, world.homeId).map((cluster) => ({ cluster })),
        endpointSliceObjects: side?.objects.some(isMcsSlice) === true ? "Present" : "Absent",
      },
    }));
    statuses.set(objectKey("McsServiceImport", key), status);
  }
  for (const left of leftImports(world, statuses)) put("McsServiceImport", left.key, left.conditions);
  for (const [key, rules] of sortedEntries(world.home.ServiceImport)) {
    if (rules.metadata.deletionTimestamp !== undefined) continue;
    put(
      "ServiceImport",
      key,
      rulesConditions(key, {
        imported: imports.get(key),
        side: input.sides.get(key),
        foreign: taken.get(key) ?? [],
        other: input.other,
        world,
        policies,
        generation: rules.metadata.generation,
      }),
    );
  }
  const ofAccess = { exports: input.exports, policies, isOurs: input.other === undefined };
  for (const status of accessStatuses(world.home.AccessPolicy, ofAccess))
    statuses.set(objectKey(status.kind, status.key), status);
  const pool = poolStatus(input);
  if (pool !== undefined) statuses.set(objectKey(pool.kind, pool.key), pool);
  for (const status of input.other?.statuses ?? []) statuses.set(objectKey(status.kind, status.key), status);
  return statuses;
}

/** Exporting clusters to whose gateways nothing is sent over the policy that holds. */
function closedExporters({ merged, choice }: Import, { closed }: GatewayDirectory): readonly Problem[] {
  if (!("policy" in choice)) return [];
  return merged.members.flatMap(({ cluster, spec }) => closed(cluster, spec.pool, choice.policy) ?? []);
}

function exporters(merged: Merged, homeId: string | undefined): string[] {
  return merged.members
    .flatMap(({ cluster }) => (cluster === home ? (homeId === undefined ? [] : [homeId]) : [cluster]))
    .sort(compare);
}

/** Whether what is said is the same. */
const wordsOf = (finding: Finding | undefined): unknown[] => [
  finding?.status,
  finding?.reason,
  finding?.message,
];
const wordsOfTcp = ({ isCarried, hasRoutes }: TcpSupport): unknown[] => [isCarried, hasRoutes];
const isMcsSlice = ({ kind, object }: DesiredObject): boolean =>
  kind === "EndpointSlice" && object.metadata.labels?.[labels.mcsServiceName] !== undefined;

interface ExportSurroundings {
  readonly merged: Merged | undefined;
  readonly imported: Import | undefined;
  readonly isAdvertised: boolean;
  readonly foreign: readonly string[];
  readonly homeId: string | undefined;
  /** Whether another implementation carries its Gateway. */
  readonly carried: Finding | undefined;
  /** Whether mc-wan's own Envoys do. */
  readonly isOurs: boolean;
  readonly tcp: TcpSupport;
}

function exportConditions(homeExport: HomeExport, around: ExportSurroundings): Condition[] {
  const { generation } = homeExport.serviceExport.metadata;
  const { invalid, advertisement, choice, problems } = homeExport;
  if (invalid !== undefined || advertisement === undefined) {
    const finding = unless(invalid === undefined ? [] : [invalid], {
      status: "False",
      reason: reasons.NoService,
      message: "",
    });
    const pending = {
      status: "False",
      reason: reasons.Failed,
      message: "Nothing is exported: see the condition Valid.",
    } as const;
    return [condition(types.Valid, finding, generation), condition(types.Ready, pending, generation)];
  }
  const valid = { status: "True", reason: reasons.Valid, message: messageOf(problems) } as const;
  return [
    condition(
      types.Valid,
      valid.message === "" ? { ...valid, message: "The Service can be exported." } : valid,
      generation,
    ),
    condition(types.Ready, exportReady(homeExport, around), generation),
    condition(types.Conflict, conflict(around.merged?.conflicts ?? []), generation),
    condition(types.Classified, classified(advertisement.type === "Headless", choice), generation),
    condition(
      types.PortsSupported,
      portsSupported(
        advertisement,
        [...homeExport.unadvertised, ...closedTcpProblems(homeExport)],
        around.tcp,
      ),
      generation,
    ),
    ...(around.carried === undefined ? [] : [condition(types.Carried, around.carried, generation)]),
    ...affinityConditions(advertisement, { isOurs: around.isOurs, generation }),
  ];
}

function exportReady({ unheeded }: HomeExport, around: ExportSurroundings): Finding {
  const { imported, isAdvertised, foreign, homeId } = around;
  if (foreign.length > 0) return { status: "False", reason: reasons.NotOurs, message: notOurs(foreign) };
  if (homeId === undefined) {
    return {
      status: "Unknown",
      reason: reasons.Pending,
      message: "This cluster has no id yet. Create the ClusterProperty cluster.clusterset.k8s.io.",
    };
  }
  if (!isAdvertised)
    return {
      status: "False",
      reason: reasons.Pending,
      message: "The advertisement to peers is not written yet. If that stays, see the controller's log.",
    };
  const [first] = unheeded;
  if (first !== undefined) return { status: "True", reason: first.reason, message: messageOf(unheeded) };
  const renamed = imported?.dummies.renamed ?? [];
  return {
    status: "True",
    reason: reasons.Exported,
    message: `Peers can import the service.${renamedWords(renamed)}`,
  };
}

function conflict(conflicts: readonly Problem[]): Finding {
  return conflicts.length === 0
    ? { status: "False", reason: reasons.NoConflicts, message: "All exporters agree." }
    : {
        status: "True",
        reason: conflicts.map(({ reason }) => reason).join(","),
        message: messageOf(conflicts),
      };
}
