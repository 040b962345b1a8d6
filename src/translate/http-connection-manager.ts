/**
 * The HTTP connection manager of a listener: limits, what is stripped from requests, what is marked on replies.
 *
 * Two kinds of edge. At a `Client` edge (egress pool, users' Gateways) nothing that a request says about itself is
 * believed. At a `Wan` edge (ingress pool) requests come from gateways, whose word counts.
 *
 * Source: Envoy, extensions.filters.network.http_connection_manager.v3; section 5 of the specification.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ResponseFlagFilterSchema } from "../envoy/envoy/config/accesslog/v3/accesslog_pb.ts";
import type { HeaderMutationSchema as MutationSchema } from "../envoy/envoy/config/common/mutation_rules/v3/mutation_rules_pb.ts";
import { HeaderValueOption_HeaderAppendAction } from "../envoy/envoy/config/core/v3/base_pb.ts";
import { RBACSchema } from "../envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts";
import { RouterSchema } from "../envoy/envoy/extensions/filters/http/router/v3/router_pb.ts";
import {
  HttpConnectionManager_CodecType,
  HttpConnectionManager_PathWithEscapedSlashesAction,
  HttpConnectionManager_ServerHeaderTransformation,
  HttpConnectionManagerSchema,
} from "../envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { HttpConnectionManager } from "../envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { HeaderMutationSchema } from "../envoy/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation_pb.ts";
import { UuidRequestIdConfigSchema } from "../envoy/envoy/extensions/request_id/uuid/v3/uuid_pb.ts";
import { pack } from "./any.ts";
import { overAds } from "./clusters.ts";
import { corsFilter } from "./cors.ts";
import { duration } from "./duration.ts";
import { setHeader } from "./filters.ts";
import { accessFilterName } from "./access.ts";
import { clientsFilterName } from "./clients.ts";
import { callersFilterName } from "./gateway-trust.ts";
import { limitFilter } from "./limits.ts";
import { allButHopHeader, arrivalHeader, serverNameHeader, unservedHeader } from "./hop-headers.ts";

/** Who sends requests to a listener. */
export type EdgeRole = "Client" | "Wan";

/** What of a listener its connection manager depends on. */
export interface Edge {
  readonly port: number;
  readonly routeTable: string;
  readonly role: EdgeRole;
  /** Requests come in mutual TLS from gateways of the cluster set. */
  readonly isMutual: boolean;
  /** Its virtual hosts may say from whom requests come, by their source address. */
  readonly knowsClients: boolean;
}

const kibibyte = 1_024;
/** Over the WAN windows are as large as a fast and long link needs; a client gets what one connection needs. */
const http2Limits = {
  Client: {
    maxConcurrentStreams: 100,
    initialStreamWindowSize: 64 * kibibyte,
    initialConnectionWindowSize: 1_024 * kibibyte,
  },
  Wan: {
    maxConcurrentStreams: 1_000,
    initialStreamWindowSize: 1_024 * kibibyte,
    initialConnectionWindowSize: 16 * 1_024 * kibibyte,
  },
} as const;

type Mutation = MessageInitShape<typeof MutationSchema>;

const removePrefix = (prefix: string): Mutation => ({
  action: {
    case: "removeOnMatch",
    value: { keyMatcher: { matchPattern: { case: "prefix", value: prefix } } },
  },
});
const removeRegex = (regex: string): Mutation => ({
  action: {
    case: "removeOnMatch",
    value: { keyMatcher: { matchPattern: { case: "safeRegex", value: { regex } } } },
  },
});

/** Backends see the service's own name as Host; the one that the client used is kept here by the first gateway on the way. */
const forwardedHost: Mutation = {
  action: {
    case: "append",
    value: {
      header: { key: "x-forwarded-host", value: "%REQ(:AUTHORITY)%" },
      appendAction: HeaderValueOption_HeaderAppendAction.ADD_IF_ABSENT,
    },
  },
};

/** The name that the connection was opened for, so that routes can compare it with their own. */
const askedServerName: Mutation = {
  action: {
    case: "append",
    value: {
      header: { key: serverNameHeader, value: "%REQUESTED_SERVER_NAME%" },
      appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    },
  },
};

/** What happens to a request's headers before anything else looks at them. */
function earlyMutations({ role, port, isMutual }: Edge): Mutation[] {
  if (role === "Wan") {
    return [
      removePrefix("x-envoy-"),
      forwardedHost,
      { action: { case: "remove", value: serverNameHeader } },
      ...(isMutual ? [askedServerName] : []),
      { action: { case: "append", value: setHeader(arrivalHeader, String(port)) } },
    ];
  }
  const forwarded: Mutation = { action: { case: "remove", value: "forwarded" } };
  // A client's hop header stays: a request that holds one is refused where it would cross the WAN again.
  return [
    removePrefix("x-envoy-"),
    removePrefix("x-forwarded-"),
    forwarded,
    forwardedHost,
    removeRegex(allButHopHeader),
  ];
}

/** Envoy's flags for replies of its own where no byte of the request reached a backend. */
const unservedFlags: MessageInitShape<typeof ResponseFlagFilterSchema> = { flags: ["UF", "UH", "UO"] };

/** Without rules of its own: where no route is found nobody is let through anyway, and the answer stays 404. */
const callersFilter = withoutRules(callersFilterName);

/** Virtual hosts of services that not everybody may call say who may. */
const accessFilter = withoutRules(accessFilterName);

/** Virtual hosts of services that ask for it have a table of clients. */
const clientsFilter = withoutRules(clientsFilterName);

/** A filter of access control that does nothing where no virtual host or table says more. */
function withoutRules(name: string) {
  return { name, configType: { case: "typedConfig" as const, value: pack(RBACSchema, {}) } };
}

export function httpConnectionManager(edge: Edge): HttpConnectionManager {
  const { role, routeTable, isMutual, knowsClients } = edge;
  const isClientEdge = role === "Client";
  return create(HttpConnectionManagerSchema, {
    codecType: isMutual ? HttpConnectionManager_CodecType.HTTP2 : HttpConnectionManager_CodecType.AUTO,
    statPrefix: routeTable.replaceAll("/", "_"),
    routeSpecifier: { case: "rds", value: { configSource: overAds, routeConfigName: routeTable } },
    httpFilters: [
      // Before all others: some of them answer by themselves. The route table says who may call.
      ...(isMutual ? [callersFilter] : []),
      // In plain text too: who can't be told apart is let through nowhere where it matters.
      ...(isClientEdge ? [] : [accessFilter]),
      // Before what answers by itself, too: a client's flood is a flood whatever it asks.
      ...(isClientEdge ? [limitFilter] : []),
      ...(knowsClients ? [clientsFilter] : []),
      corsFilter,
      {
        name: "envoy.filters.http.router",
        configType: { case: "typedConfig", value: pack(RouterSchema, { suppressEnvoyHeaders: true }) },
      },
    ],
    commonHttpProtocolOptions: { idleTimeout: duration(3_600_000), maxHeadersCount: 500 },
    http2ProtocolOptions: { ...http2Limits[role], allowConnect: true },
    serverHeaderTransformation: HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH,
    maxRequestHeadersKb: 96,
    streamIdleTimeout: duration(3_600_000),
    requestHeadersTimeout: duration(10_000),
    useRemoteAddress: isClientEdge,
    skipXffAppend: false,
    earlyHeaderMutationExtensions: [
      {
        name: "envoy.http.early_header_mutation.header_mutation",
        typedConfig: pack(HeaderMutationSchema, { mutations: earlyMutations(edge) }),
      },
    ],
    generateRequestId: true,
    preserveExternalRequestId: true,
    // An id that came with the request goes on unchanged.
    requestIdExtension: { typedConfig: pack(UuidRequestIdConfigSchema, { packTraceReason: false }) },
    upgradeConfigs: [{ upgradeType: "websocket" }],
    normalizePath: true,
    mergeSlashes: true,
    pathWithEscapedSlashesAction: HttpConnectionManager_PathWithEscapedSlashesAction.UNESCAPE_AND_FORWARD,
    stripTrailingHostDot: true,
    ...(isClientEdge ? {} : { localReplyConfig: markUnserved() }),
  });
}

function markUnserved(): NonNullable<
  MessageInitShape<typeof HttpConnectionManagerSchema>["localReplyConfig"]
> {
  const filter = { filterSpecifier: { case: "responseFlagFilter" as const, value: unservedFlags } };
  return { mappers: [{ filter, headersToAdd: [setHeader(unservedHeader, "true")] }] };
}
