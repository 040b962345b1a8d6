/**
 * Route tables in parts: the bytes of the head and of each virtual host, so that one change among a thousand virtual
 * hosts encodes one, and a virtual host that an Envoy refuses can be left out (table-sift.ts).
 */
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { RouteConfigurationSchema } from "../envoy/envoy/config/route/v3/route_pb.ts";
import { VirtualHostSchema } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { canonicalBytes } from "../model/canonical-bytes.ts";
import type { RouteTable } from "../model/envoy-config.ts";
import { clustersOfHost, hostWithout } from "./named-clusters.ts";
import { lengthDelimited } from "./wire.ts";

/** A virtual host, encoded. */
export interface HostPart {
  /** 12 hex characters of the SHA-256 of the content. */
  readonly id: string;
  readonly domains: readonly string[];
  /** Names of the clusters to which it leads. */
  readonly clusters: readonly string[];
  /** The field of a RouteConfiguration: tag, length, content. */
  readonly bytes: Uint8Array;
  /** What the part was made of. */
  readonly source: VirtualHost;
}

/** All of a RouteConfiguration. */
export interface TableParts {
  /** Everything but the virtual hosts. */
  readonly head: Uint8Array;
  readonly hosts: readonly HostPart[];
}

/** The parts of a table. */
export function tableParts(table: RouteTable): TableParts {
  return {
    head: canonicalBytes(RouteConfigurationSchema, table.head),
    hosts: table.virtualHosts.map(hostPart),
  };
}

/** The content of the RouteConfiguration: the bytes of its head, then those of each virtual host. */
export function tableContent({ head, hosts }: TableParts): Uint8Array {
  return Buffer.concat([head, ...hosts.map(({ bytes }) => bytes)]);
}

/** The same names, answered 500 whatever is asked: closed, so that no other virtual host answers for them. */
export function closedPart({ source }: HostPart): HostPart {
  let part = closedParts.get(source);
  if (part === undefined) {
    const { name, domains } = source;
    const match = { pathSpecifier: { case: "prefix" as const, value: "/" } };
    const action = { case: "directResponse" as const, value: { status: 500 } };
    part = hostPart(
      create(VirtualHostSchema, { name, domains, routes: [{ name: "refused", match, action }] }),
    );
    closedParts.set(source, part);
  }
  return part;
}

/** The same table, closed where it leads to these clusters. */
export function tableWithout({ head, hosts }: TableParts, missing: ReadonlySet<string>): TableParts {
  return { head, hosts: hosts.map((host) => partWithout(host, missing)) };
}

function partWithout(host: HostPart, missing: ReadonlySet<string>): HostPart {
  const closed = host.clusters.filter((name) => missing.has(name)).join("\n");
  if (closed === "") return host;
  let made = partsWithout.get(host.source);
  if (made?.closed !== closed) {
    made = { closed, part: hostPart(hostWithout(host.source, missing)) };
    partsWithout.set(host.source, made);
  }
  return made.part;
}

const partsWithout = new WeakMap<VirtualHost, { readonly closed: string; readonly part: HostPart }>();
const parts = new WeakMap<VirtualHost, HostPart>();
const closedParts = new WeakMap<VirtualHost, HostPart>();

function hostPart(source: VirtualHost): HostPart {
  let part = parts.get(source);
  if (part === undefined) {
    const content = canonicalBytes(VirtualHostSchema, source);
    const id = createHash("sha256").update(content).digest("hex").slice(0, 12);
    const clusters = clustersOfHost(source);
    part = { id, domains: source.domains, clusters, bytes: lengthDelimited(2, content), source };
    parts.set(source, part);
  }
  return part;
}
