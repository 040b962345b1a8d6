/**
 * The proof of path: what each cluster's packet filter has counted, by link, policy port and direction. Pure parsing; lab.ts does the asking.
 * What exactly is counted is said in sdwan/ruleset.ts.
 */
import type { LinkEnd } from "./address-plan.ts";
import { arrayAt, isObject, numberAt, objectAt, stringAt, type JsonObject } from "./node-agent/json.ts";
import { COUNTING_SETS, IPV4_HEADER_BYTES } from "./sdwan/ruleset.ts";

/** One policy port on one link, one direction, seen from one cluster. */
export interface LinkCounters {
  readonly cluster: string;
  readonly peer: string;
  readonly tunnel: string;
  /** The policy port. */
  readonly port: number;
  /** `out`: from `cluster` to `peer`. */
  readonly direction: "out" | "in";
  /** `request`: towards the port; `reply`: from it. */
  readonly role: "request" | "reply";
  /** TCP packets, super-packets of segmentation offload as one; pure acknowledgements too. */
  readonly packets: number;
  /** TCP payload in bytes, without any header; retransmissions count again. */
  readonly payloadBytes: number;
}

/** What was rejected between clusters. */
export interface RefusedCounters {
  readonly cluster: string;
  readonly direction: "out" | "in";
  /** Destination address (out) or the link it came from (in). */
  readonly of: string;
  /** IP protocol number or name, as nft gives it. */
  readonly protocol: string;
  readonly port: number;
  readonly packets: number;
}

/** A link's interface counters, noise and headers included: beside the proof, never the proof. */
export interface InterfaceCounters {
  readonly cluster: string;
  readonly peer: string;
  readonly tunnel: string;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** All counters of a lab since it came up. */
export interface LabCounters {
  readonly links: readonly LinkCounters[];
  readonly refused: readonly RefusedCounters[];
  readonly interfaces: readonly InterfaceCounters[];
}

/** Where counters were read. */
export interface CountedCluster {
  readonly cluster: string;
  readonly ends: readonly LinkEnd[];
}

/** The counters in the output of `nft -j list table`. Elements of links that the cluster doesn't have are left out. */
export function parseCounters(
  at: CountedCluster,
  nftJson: string,
): { links: LinkCounters[]; refused: RefusedCounters[] } {
  const links = new Map<string, LinkCounters>();
  const refused: RefusedCounters[] = [];
  const listed = arrayAt(objectAt({ listed: JSON.parse(nftJson) as unknown }, "listed"), "nftables");
  for (const set of listed.flatMap((entry) =>
    isObject(entry) && isObject(entry["set"]) ? [entry["set"]] : [],
  )) {
    const name = stringAt(set, "name");
    for (const element of arrayAt(set, "elem")) {
      const counted =
        isObject(element) && isObject(element["elem"]) ? countedElement(element["elem"]) : undefined;
      if (counted === undefined) continue;
      if (isCountingSet(name)) addLink(links, { at, name, counted });
      else if (name === "refused_out" || name === "refused_in")
        refused.push(refusedOf(at, name === "refused_out" ? "out" : "in", counted));
    }
  }
  return { links: [...links.values()], refused };
}

/** The counters of a cluster's links in the text of /proc/net/dev. */
export function parseInterfaces(at: CountedCluster, procNetDev: string): InterfaceCounters[] {
  const byName = new Map(
    procNetDev.split("\n").flatMap((line): [string, number[]][] => {
      const [name, rest] = line.split(":");
      return name === undefined || rest === undefined
        ? []
        : [[name.trim(), rest.trim().split(/\s+/).map(Number)]];
    }),
  );
  return at.ends.map((end) => {
    const ways = [end.interface, end.wireInterface].map((name) => byName.get(name) ?? []);
    const sum = (field: number): number => ways.reduce((total, fields) => total + (fields[field] ?? 0), 0);
    return {
      cluster: at.cluster,
      peer: end.peer,
      tunnel: end.link,
      receivedBytes: sum(0),
      sentBytes: sum(8),
    };
  });
}

interface CountedElement {
  readonly key: readonly unknown[];
  readonly packets: number;
  readonly bytes: number;
}

function countedElement(element: JsonObject): CountedElement | undefined {
  if (!isObject(element["val"]) || !isObject(element["counter"])) return undefined;
  const counter = objectAt(element, "counter");
  return {
    key: arrayAt(objectAt(element, "val"), "concat"),
    packets: numberAt(counter, "packets"),
    bytes: numberAt(counter, "bytes"),
  };
}

function isCountingSet(name: string): name is keyof typeof COUNTING_SETS {
  return Object.hasOwn(COUNTING_SETS, name);
}

/** Elements of one link and port differ by the length of the TCP header; they are added up without it. */
function addLink(
  links: Map<string, LinkCounters>,
  from: { at: CountedCluster; name: keyof typeof COUNTING_SETS; counted: CountedElement },
): void {
  const { at, name, counted } = from;
  const [link, port, headerWords] = counted.key;
  const end = endNamed(at, link);
  if (end === undefined || typeof port !== "number" || typeof headerWords !== "number") return;
  const key = `${name} ${end.interface} ${port}`;
  const before = links.get(key);
  const payload = counted.bytes - counted.packets * (IPV4_HEADER_BYTES + 4 * headerWords);
  links.set(key, {
    cluster: at.cluster,
    peer: end.peer,
    tunnel: end.link,
    port,
    ...COUNTING_SETS[name],
    packets: (before?.packets ?? 0) + counted.packets,
    payloadBytes: (before?.payloadBytes ?? 0) + payload,
  });
}

function refusedOf(at: CountedCluster, direction: "out" | "in", counted: CountedElement): RefusedCounters {
  const [of, protocol, port] = counted.key;
  const link = endNamed(at, of);
  return {
    cluster: at.cluster,
    direction,
    of: link === undefined ? text(of) : `${link.peer} (${link.link})`,
    protocol: text(protocol),
    port: typeof port === "number" ? port : 0,
    packets: counted.packets,
  };
}

/** A link has two interfaces at an end: the direct one, and the one of the way through the wire. */
function endNamed(at: CountedCluster, name: unknown): LinkEnd | undefined {
  return at.ends.find((end) => end.interface === name || end.wireInterface === name);
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
