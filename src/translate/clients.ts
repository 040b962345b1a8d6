/**
 * From whom a request comes, as the egress gateways say it to those of other clusters: looked up by the connection's source
 * address, in a table that is part of the service's virtual host, and so is data like any route.
 *
 *     source address → shadow policy of the RBAC filter that has it → its name, in dynamic metadata → x-mc-wan-client
 *
 * A shadow policy lets nobody through or out: it only says which one fits. Where none does there is no header, and what
 * a client wrote there was taken off before. The header is put on what leaves over mutual TLS, and on nothing else.
 *
 * Source: Envoy, config.rbac.v3.RBAC, extensions.filters.http.rbac.v3.RBAC.shadow_rules_stat_prefix.
 */
import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  HeaderValueOption_HeaderAppendAction,
  HeaderValueOptionSchema,
} from "../envoy/envoy/config/core/v3/base_pb.ts";
import { RBAC_Action } from "../envoy/envoy/config/rbac/v3/rbac_pb.ts";
import { RouteSchema, VirtualHostSchema } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { Route, VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { RBACPerRouteSchema } from "../envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts";
import type { VouchedClients } from "../model/desired.ts";
import { clientHeader } from "../model/names.ts";
import { pack } from "./any.ts";
import { isMutualTlsCluster } from "./backends.ts";

/** The filter that looks up from whom a request comes. */
export const clientsFilterName = "mc-wan.clients";

/** Before what the filter says of its shadow policies. */
const said = "client_";

/** What a virtual host says to the filter. Addresses are those of the connection, whatever headers say. */
export function clientsTable(clients: VouchedClients): Any {
  const policies = Object.entries(clients).map(([account, addresses]) => {
    const principals = addresses.map((addressPrefix) => ({
      identifier: {
        case: "directRemoteIp" as const,
        value: { addressPrefix, prefixLen: 32 },
      },
    }));
    const permissions = [{ rule: { case: "any" as const, value: true } }];
    return [account, { principals, permissions }] as const;
  });
  return pack(RBACPerRouteSchema, {
    rbac: {
      shadowRules: { action: RBAC_Action.ALLOW, policies: Object.fromEntries(policies) },
      shadowRulesStatPrefix: said,
    },
  });
}

const clientName = create(HeaderValueOptionSchema, {
  header: {
    key: clientHeader,
    value: `%DYNAMIC_METADATA(envoy.filters.http.rbac:${said}shadow_effective_policy_id)%`,
  },
  appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
});

/** A virtual host whose requests say from whom they come, where they leave over mutual TLS. */
export function vouching(host: VirtualHost): VirtualHost {
  return create(VirtualHostSchema, { ...host, routes: host.routes.map(naming) });
}

/** The same route with the header, for all of its requests or for the shares that go there. */
function naming(route: Route): Route {
  if (route.action.case !== "route") return route;
  const { clusterSpecifier } = route.action.value;
  if (clusterSpecifier.case === "cluster" && isMutualTlsCluster(clusterSpecifier.value))
    return create(RouteSchema, { ...route, requestHeadersToAdd: [...route.requestHeadersToAdd, clientName] });
  if (clusterSpecifier.case !== "weightedClusters") return route;
  const clusters = clusterSpecifier.value.clusters.map((share) =>
    isMutualTlsCluster(share.name)
      ? { ...share, requestHeadersToAdd: [...share.requestHeadersToAdd, clientName] }
      : share,
  );
  const weighted = { case: "weightedClusters" as const, value: { ...clusterSpecifier.value, clusters } };
  return create(RouteSchema, {
    ...route,
    action: { case: "route", value: { ...route.action.value, clusterSpecifier: weighted } },
  });
}
