/**
 * The packet filter of one cluster's namespace, as nftables text: what may leave and enter over which link, and the proof of it.
 * Pure. Never touches kube-proxy's tables; never decides the route (that is `ip rule`, see policy-ports.ts).
 *
 *     wan links:      TCP to or from an open policy port | noise between link addresses | else counted and rejected
 *     control planes: peers' API servers | else counted and rejected
 *     management:     the lab itself | else counted and rejected
 *
 * What is counted: every TCP packet of a policy port that passes a link, keyed by link, port and the TCP header's length (`doff`), at the IP
 * layer (IPv4 header included, super-packets of segmentation offload as one). So TCP payload = bytes - packets x (20 + 4 x doff), exactly,
 * retransmissions included. Keyed by server port: `request` is what goes to the port, `reply` what comes from it.
 */
import { CLUSTERS_CIDR, MANAGEMENT_CIDR, TUNNELS_CIDR } from "../address-plan.ts";

/** Name of our table, family `inet`. */
export const TABLE = "mcwan_lab";
/** Interface name of the management link in a cluster's namespace. */
export const MANAGEMENT_INTERFACE = "mgmt";
/** Port of every API server. */
export const API_SERVER_PORT = 6443;
/** Source ports of the controllers' probes of gateways (drivers/net/tcp-probe.ts): no payload, and counted apart. */
const PROBE_PORTS = "29000-29999";
/** Length of an IPv4 header without options, which is what the lab's kernels send. */
export const IPV4_HEADER_BYTES = 20;

/** The sets that count, and what each holds. */
export const COUNTING_SETS = {
  out_request: { direction: "out", role: "request" },
  out_reply: { direction: "out", role: "reply" },
  in_request: { direction: "in", role: "request" },
  in_reply: { direction: "in", role: "reply" },
} as const;

/** What the packet filter of a cluster depends on. */
export interface RulesetInput {
  /** Names of the cluster's ends of tunnel links. */
  readonly tunnelInterfaces: readonly string[];
  /** Names of its ends of links to other control planes. */
  readonly controlInterfaces: readonly string[];
  readonly apiServer: string;
  readonly peerApiServers: readonly string[];
}

/** The whole table, to be loaded with `nft -f`; loading it again starts the counts from zero. */
export function ruleset(input: RulesetInput): string {
  const quoted = (names: readonly string[]): string => elements(names.map((name) => `"${name}"`));
  return `table inet ${TABLE}
delete table inet ${TABLE}
table inet ${TABLE} {
  set links { type ifname; ${quoted(input.tunnelInterfaces)} }
  set control_links { type ifname; ${quoted(input.controlInterfaces)} }
  set open { type ifname . inet_service; }
  set peer_api_servers { type ipv4_addr; ${elements(input.peerApiServers)} }
  set out_request { typeof oifname . tcp dport . tcp doff; flags dynamic; size 65535; counter; }
  set out_reply { typeof oifname . tcp sport . tcp doff; flags dynamic; size 65535; counter; }
  set in_request { typeof iifname . tcp dport . tcp doff; flags dynamic; size 65535; counter; }
  set in_reply { typeof iifname . tcp sport . tcp doff; flags dynamic; size 65535; counter; }
  set refused_out { typeof ip daddr . meta l4proto . th dport; flags dynamic; size 4096; counter; }
  set refused_in { typeof iifname . meta l4proto . th dport; flags dynamic; size 4096; counter; }
  counter noise { }
  counter probes { }
  counter refused { }

  chain refuse {
    counter name refused reject with icmpx admin-prohibited
  }
  chain wan_out {
    oifname . tcp dport @open tcp sport ${PROBE_PORTS} counter name probes return
    oifname . tcp sport @open tcp dport ${PROBE_PORTS} counter name probes return
    oifname . tcp dport @open add @out_request { oifname . tcp dport . tcp doff counter } return
    oifname . tcp sport @open add @out_reply { oifname . tcp sport . tcp doff counter } return
    ip saddr ${TUNNELS_CIDR} ip daddr ${TUNNELS_CIDR} meta l4proto { icmp, udp } counter name noise return
    meta l4proto { tcp, udp } add @refused_out { ip daddr . meta l4proto . th dport counter }
    goto refuse
  }
  chain wan_in {
    iifname . tcp dport @open tcp sport ${PROBE_PORTS} counter name probes return
    iifname . tcp sport @open tcp dport ${PROBE_PORTS} counter name probes return
    iifname . tcp dport @open add @in_request { iifname . tcp dport . tcp doff counter } return
    iifname . tcp sport @open add @in_reply { iifname . tcp sport . tcp doff counter } return
    ip saddr ${TUNNELS_CIDR} ip daddr ${TUNNELS_CIDR} meta l4proto { icmp, udp } counter name noise return
    meta l4proto { tcp, udp } add @refused_in { iifname . meta l4proto . th dport counter }
    goto refuse
  }
  chain management_out {
    ip daddr ${MANAGEMENT_CIDR} return
    meta l4proto { tcp, udp } add @refused_out { ip daddr . meta l4proto . th dport counter }
    goto refuse
  }
  chain control_out {
    ip daddr @peer_api_servers tcp dport ${API_SERVER_PORT} return
    ip saddr ${input.apiServer} tcp sport ${API_SERVER_PORT} return
    meta l4proto { tcp, udp } add @refused_out { ip daddr . meta l4proto . th dport counter }
    goto refuse
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname @links jump wan_in
    oifname @links jump wan_out
    oifname @control_links jump control_out
    oifname "${MANAGEMENT_INTERFACE}" jump management_out
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname @links jump wan_in
  }
  chain output {
    type filter hook output priority filter; policy accept;
    oifname @links jump wan_out
    oifname @control_links jump control_out
    oifname "${MANAGEMENT_INTERFACE}" jump management_out
  }
}
`;
}

/** nft text that lets a policy port pass these links. Adding it again changes nothing. */
export function openPort(interfaces: readonly string[], port: number): string {
  return change("add", interfaces, port);
}

/** nft text that ends it. The port's counts stay. */
export function closePort(interfaces: readonly string[], port: number): string {
  return change("delete", interfaces, port);
}

/** Arguments of `ip rule add|del` after the verb, for one policy port: one rule for requests, one for the replies. */
export function routingRules(port: number, table: number): string[] {
  return ["dport", "sport"].map(
    (field) => `pref 1000 to ${CLUSTERS_CIDR} ipproto tcp ${field} ${port} lookup ${table}`,
  );
}

function change(verb: "add" | "delete", interfaces: readonly string[], port: number): string {
  return interfaces.map((name) => `${verb} element inet ${TABLE} open { "${name}" . ${port} }\n`).join("");
}

/** nft refuses an empty list of elements. */
function elements(values: readonly string[]): string {
  return values.length === 0 ? "" : `elements = { ${values.join(", ")} }`;
}
