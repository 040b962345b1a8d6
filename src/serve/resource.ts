/**
 * Encodes resources once: bytes are kept beside the message they came from, so what did not change is never encoded
 * again. The version of a resource is a hash of its bytes: a restarted or second replica gives the same one.
 *
 *     message → bytes of discovery.v3.Resource { name = 3, version = 1, resource = 2 (Any) }
 */
import { createHash } from "node:crypto";
import type { Message } from "@bufbuild/protobuf";
import { Cluster_DiscoveryType, ClusterSchema } from "../envoy/envoy/config/cluster/v3/cluster_pb.ts";
import type { Cluster } from "../envoy/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { ClusterLoadAssignment } from "../envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import type { Listener } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import { SecretSchema } from "../envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type { Secret } from "../envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { canonicalBytes } from "../model/canonical-bytes.ts";
import type { RouteTable } from "../model/envoy-config.ts";
import type { Redacted } from "../model/redacted.ts";
import { xdsType } from "../model/xds-types.ts";
import type { XdsTypeUrl } from "../model/xds-types.ts";
import { clustersOfListener, partsOf } from "./named-clusters.ts";
import { tableContent, tableParts, tableWithout } from "./route-table-parts.ts";
import type { TableParts } from "./route-table-parts.ts";
import { lengthDelimited } from "./wire.ts";

/** One resource, ready to be put into a response. */
export interface Resource {
  readonly name: string;
  /** 16 hex characters of the SHA-256 of the content; then what table-sift.ts notes of refused parts. */
  readonly version: string;
  /** The encoded discovery.v3.Resource. */
  readonly bytes: Uint8Array;
  /** Names of the endpoints (of a cluster) or of the route tables (of a listener) without which it is not in force. */
  readonly needs?: readonly string[];
  /** Of a cluster: names of the secrets without which it is not in force. */
  readonly secrets?: readonly string[];
  /** Names of the clusters to which it leads: of a route table, of a listener past its routes, of an aggregate. */
  readonly clusters?: ReadonlySet<string>;
  /** Of a route table: what it is made of. */
  readonly table?: TableParts;
  /** Of a route table: the same, closed where it leads to these clusters. */
  readonly without?: (missing: ReadonlySet<string>) => Resource;
}

/** The types that Envoys are served. */
export type ServedType = Exclude<XdsTypeUrl, typeof xdsType.virtualHost>;

const known = new WeakMap<object, Resource>();

/** A cluster and the secrets that it names, if it does. */
export function clusterResource(
  name: string,
  cluster: Cluster,
  secrets: readonly string[] | undefined,
): Resource {
  return remembered(cluster, () => {
    const { clusterDiscoveryType: discovery, edsClusterConfig } = cluster;
    const isEds = discovery.case === "type" && discovery.value === Cluster_DiscoveryType.EDS;
    const serviceName = edsClusterConfig?.serviceName ?? "";
    const resource = encode(xdsType.cluster, name, canonicalBytes(ClusterSchema, cluster));
    const parts = partsOf(cluster);
    return {
      ...resource,
      ...(isEds && { needs: [serviceName === "" ? name : serviceName] }),
      ...(secrets && { secrets }),
      ...(parts.length > 0 && { clusters: new Set(parts) }),
    };
  });
}

/** The endpoints of a cluster, under the name that Envoy asks for. */
export function assignmentResource(name: string, assignment: ClusterLoadAssignment): Resource {
  return remembered(assignment, () =>
    encode(xdsType.clusterLoadAssignment, name, canonicalBytes(ClusterLoadAssignmentSchema, assignment)),
  );
}

/** A listener and the route tables that it names. */
export function listenerResource(
  name: string,
  listener: Listener,
  tables: readonly string[] | undefined,
): Resource {
  return remembered(listener, () => {
    const resource = encode(xdsType.listener, name, canonicalBytes(ListenerSchema, listener));
    const clusters = new Set(clustersOfListener(listener));
    return { ...resource, clusters, ...(tables && { needs: tables }) };
  });
}

/** A route table. */
export function routeResourceOf(name: string, table: RouteTable): Resource {
  return remembered(table, () => tableResource(name, tableParts(table), ""));
}

/** A route table of these parts. The version ends with `note`, which says what was done to the parts. */
export function tableResource(name: string, table: TableParts, note: string): Resource {
  const content = tableContent(table);
  return {
    ...framed(xdsType.routeConfiguration, name, { content, version: hashOf(content) + note }),
    clusters: new Set(table.hosts.flatMap(({ clusters }) => clusters)),
    table,
    without: (missing) => tableResource(name, tableWithout(table, missing), note),
  };
}

/** A certificate with its key, or authorities. */
export function secretResource(name: string, secret: Redacted<Secret>): Resource {
  return remembered(secret, () =>
    encode(xdsType.secret, name, canonicalBytes(SecretSchema, secret.reveal())),
  );
}

function remembered(source: Message | RouteTable | Redacted<Secret>, make: () => Resource): Resource {
  let resource = known.get(source);
  if (resource === undefined) {
    resource = make();
    known.set(source, resource);
  }
  return resource;
}

function encode(type: ServedType, name: string, content: Uint8Array): Resource {
  return framed(type, name, { content, version: hashOf(content) });
}

const hashOf = (content: Uint8Array): string =>
  createHash("sha256").update(content).digest("hex").slice(0, 16);

function framed(
  type: ServedType,
  name: string,
  { content, version }: { readonly content: Uint8Array; readonly version: string },
): Resource {
  const any = Buffer.concat([lengthDelimited(1, Buffer.from(type)), lengthDelimited(2, content)]);
  const bytes = Buffer.concat([
    lengthDelimited(1, Buffer.from(version)),
    lengthDelimited(2, any),
    lengthDelimited(3, Buffer.from(name)),
  ]);
  return { name, version, bytes };
}
