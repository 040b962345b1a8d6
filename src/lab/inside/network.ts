/**
 * The lab's network, as text for `ip -batch`: cluster namespaces, management links, tunnels, and the client of `mcwan lab curl`.
 * `networkCommands` is pure; `makeNetwork` runs them in the lab's own namespaces and never touches the host's.
 *
 *     c1 ══ wan0-c2 ═══ wan0-c1 ══ c2        one veth pair per pair of clusters and tunnel
 *      ├─ ctl-c2 ───────── ctl-c1 ─┤         one per pair of clusters: peers' API servers
 *      └─ mgmt ── m1 [lab] m2 ── mgmt ─┘     star: the lab itself, and the host's kubectl
 */
import {
  clusterAddresses,
  CONTROL_PLANE,
  CONTROL_PLANE_TABLE,
  routingTable,
  type LinkEnd,
} from "../address-plan.ts";
import { controlPlaneEndsOf, linksOf, tunnelEndsOf, type ClusterPlan, type LabPlan } from "../lab-plan.ts";
import { run } from "../node-agent/run-command.ts";
import { API_SERVER_PORT, MANAGEMENT_INTERFACE, ruleset } from "../sdwan/ruleset.ts";

/** The name of the namespace that `mcwan lab curl` runs in. */
export function clientNetns(cluster: string): string {
  return `client.${cluster}`;
}

/** The namespace of the far ends of links that go through the user-space wire. No cluster's id has a dot. */
export const WIRE_NETNS = "lab.wires";

/** Commands of `ip`, by the namespace they run in; undefined is the lab's own. */
interface NamespaceCommands {
  readonly netns: string | undefined;
  readonly lines: readonly string[];
}

/** Everything between and around the clusters, in the order in which it has to be made. */
export function networkCommands(plan: Pick<LabPlan, "clusters" | "tunnels">): NamespaceCommands[] {
  const veths = linksOf(plan).map(
    ({ ends: [a, b] }) =>
      `link add ${a.end.interface} netns ${a.cluster} type veth peer name ${b.end.interface} netns ${b.cluster}`,
  );
  return [
    { netns: undefined, lines: [...plan.clusters.flatMap(labCommands), ...veths] },
    ...plan.clusters.map((cluster) => ({
      netns: cluster.id,
      lines: [
        ...clusterCommands(cluster),
        ...[...tunnelEndsOf(plan, cluster.id), ...controlPlaneEndsOf(plan, cluster.id)].flatMap((end) => [
          `addr add ${end.address}/30 dev ${end.interface}`,
          `link set ${end.interface} up`,
          `route add ${routeOverLink(plan, { cluster, end, interface: end.interface })}`,
        ]),
        ...controlPlaneRules(plan, cluster),
      ],
    })),
    ...plan.clusters.map((cluster) => ({ netns: clientNetns(cluster.id), lines: clientCommands(cluster) })),
  ];
}

/** Makes all namespaces and links and loads the packet filters. Throws with the command and what it said. */
export async function makeNetwork(plan: LabPlan): Promise<void> {
  const netns = [WIRE_NETNS, ...plan.clusters.flatMap((cluster) => [cluster.id, clientNetns(cluster.id)])];
  await run([
    "sh",
    "-ec",
    `echo 1 > /proc/sys/net/ipv4/ip_forward; for n in ${netns.join(" ")}; do ip netns add $n; done`,
  ]);
  await Promise.all(
    [WIRE_NETNS, ...plan.clusters.map(({ id }) => id)].map((name) =>
      run([...inNetns(name), "sh", "-ec", SYSCTLS]),
    ),
  );
  for (const { netns: name, lines } of networkCommands(plan)) await ipBatch(name, lines);
  await Promise.all(plan.clusters.map((cluster) => loadRuleset(plan, cluster)));
}

/** Argv before a command that is to run in a namespace of the lab. */
export function inNetns(name: string): string[] {
  return ["nsenter", `--net=/run/netns/${name}`];
}

/** Runs lines of `ip -batch` in a namespace (undefined: the lab's own). */
export async function ipBatch(netns: string | undefined, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  await run(["ip", ...(netns === undefined ? [] : ["-n", netns]), "-batch", "-"], {
    input: `${lines.join("\n")}\n`,
  });
}

/** IPv6 off: its neighbour discovery would be noise on the links. A packet may come over another interface than its answer goes: the wire's. */
const SYSCTLS = `
cd /proc/sys/net
echo 1 > ipv4/ip_forward
for f in ipv4/conf/all/rp_filter ipv4/conf/default/rp_filter; do echo 0 > $f; done
for f in ipv6/conf/all/disable_ipv6 ipv6/conf/default/disable_ipv6; do [ ! -e $f ] || echo 1 > $f; done`;

function labCommands({ id, number, addresses }: ClusterPlan): string[] {
  return [
    `link add m${number} type veth peer name ${MANAGEMENT_INTERFACE} netns ${id}`,
    `addr add ${addresses.managementGateway}/30 dev m${number}`,
    `link set m${number} up`,
    `route add ${addresses.cidr} via ${addresses.management} dev m${number} onlink`,
    `route add ${addresses.serviceCIDR} via ${addresses.management} dev m${number} onlink`,
  ];
}

function clusterCommands({ id, addresses }: ClusterPlan): string[] {
  return [
    "link set lo up",
    `addr add ${addresses.apiServer}/32 dev lo`,
    `addr add ${addresses.node}/32 dev lo`,
    `route add local ${addresses.controlPlaneCIDR} dev lo`,
    `addr add ${addresses.management}/30 dev ${MANAGEMENT_INTERFACE}`,
    `link set ${MANAGEMENT_INTERFACE} up`,
    `route add default via ${addresses.managementGateway} dev ${MANAGEMENT_INTERFACE} src ${addresses.node}`,
    `link add client type veth peer name eth0 netns ${clientNetns(id)}`,
    "link set client up",
    `route add ${addresses.client}/32 dev client src ${addresses.apiServer}`,
  ];
}

/** What follows `ip route add|replace` for the way to a peer over one of a link's interfaces. Throws for a link that the plan doesn't have. */
export function routeOverLink(
  plan: Pick<LabPlan, "clusters" | "tunnels">,
  at: { readonly cluster: ClusterPlan; readonly end: LinkEnd; readonly interface: string },
): string {
  const { cluster, end } = at;
  const peer = plan.clusters.find((candidate) => candidate.id === end.peer);
  const table =
    end.link === CONTROL_PLANE
      ? CONTROL_PLANE_TABLE
      : routingTable(
          plan.tunnels.map((tunnel) => tunnel.name),
          end.link,
        );
  if (peer === undefined || table === undefined) throw new Error(`no peer or tunnel for ${end.interface}`);
  return `${peer.addresses.cidr} via ${end.peerAddress} dev ${at.interface} src ${cluster.addresses.node} table ${table} onlink`;
}

/** To peers' API servers, and from the own one to peers. */
function controlPlaneRules(plan: Pick<LabPlan, "clusters">, { id, addresses }: ClusterPlan): string[] {
  const peers = plan.clusters.filter((peer) => peer.id !== id);
  const words = `ipproto tcp dport ${API_SERVER_PORT} lookup ${CONTROL_PLANE_TABLE}`;
  return [
    ...peers.map((peer) => `rule add pref 900 to ${peer.addresses.apiServer}/32 ${words}`),
    `rule add pref 900 from ${addresses.apiServer}/32 ${words.replace("dport", "sport")}`,
  ];
}

/** The same network that a Pod has. */
function clientCommands({ addresses }: ClusterPlan): string[] {
  return [
    "link set lo up",
    `addr add ${addresses.client}/32 dev eth0`,
    "link set eth0 up",
    `route add ${addresses.apiServer}/32 dev eth0 scope link`,
    `route add default via ${addresses.apiServer} dev eth0`,
  ];
}

async function loadRuleset(plan: LabPlan, cluster: ClusterPlan): Promise<void> {
  const input = ruleset({
    tunnelInterfaces: tunnelEndsOf(plan, cluster.id).flatMap(interfacesOf),
    controlInterfaces: controlPlaneEndsOf(plan, cluster.id).flatMap(interfacesOf),
    apiServer: cluster.addresses.apiServer,
    peerApiServers: plan.clusters
      .filter(({ id }) => id !== cluster.id)
      .map(({ number }) => clusterAddresses(number).apiServer),
  });
  await run([...inNetns(cluster.id), plan.programs.nft, "-f", "-"], { input });
}

function interfacesOf(end: LinkEnd): string[] {
  return [end.interface, end.wireInterface];
}
