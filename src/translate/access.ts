/**
 * Who of other clusters may call a service → what the ingress's virtual hosts of the service let through: role-based access
 * control on the one URI of the caller's certificate, on the client that this caller names, on method and path.
 *
 * Clients are named by egress gateways of the shared pools only, each for its own cluster: what any other gateway says of them
 * counts for nothing, and a rule that asks for a client fits no request that names none.
 *
 * Only what is let through by name passes: a cluster that is not trusted, a rule that nobody fits, or no rule at all let
 * nobody through.
 *
 * Source: Envoy, config.rbac.v3.RBAC, extensions.filters.http.rbac.v3.RBACPerRoute.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { AccessClient, AccessRequest, AccessRule } from "../api/access-policy.ts";
import { RBAC_Action } from "../envoy/envoy/config/rbac/v3/rbac_pb.ts";
import type { PermissionSchema, PrincipalSchema } from "../envoy/envoy/config/rbac/v3/rbac_pb.ts";
import { RBACPerRouteSchema } from "../envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts";
import type { ServiceAccess } from "../model/desired.ts";
import { spiffeIdOf } from "../model/identity.ts";
import { clientHeader } from "../model/names.ts";
import type { TrustedAuthority } from "../model/identity.ts";
import { pack } from "./any.ts";
import { headerBegins, headerIs } from "./matches.ts";

/** The filter that looks at what a caller may call; apart from the one that looks at who calls at all. */
export const accessFilterName = "mc-wan.access";

type Principal = MessageInitShape<typeof PrincipalSchema>;
type Permission = MessageInitShape<typeof PermissionSchema>;
interface TextMatch {
  readonly case: "exact" | "prefix";
  readonly value: string;
}

/** What a virtual host of the service says to the filter. `trusted` are the authorities whose word is taken. */
export function accessFilter(access: ServiceAccess, trusted: readonly TrustedAuthority[]): Any {
  const callers = trusted.filter(({ cluster }) => access.clusters?.includes(cluster) ?? true);
  const rules: readonly AccessRule[] = access.rules ?? [{}];
  const policies = rules.flatMap((rule, index) => {
    const principals = principalsOf(rule, callers);
    return principals.length === 0
      ? []
      : [[`rule-${index}`, { principals, permissions: permissionsOf(rule) }] as const];
  });
  return pack(RBACPerRouteSchema, {
    rbac: { rules: { action: RBAC_Action.ALLOW, policies: Object.fromEntries(policies) } },
  });
}

/** The gateways of the clusters that a rule is for, or those of them that name a client whom it is for. */
function principalsOf(
  { from = [{}] }: Partial<AccessRule>,
  callers: readonly TrustedAuthority[],
): Principal[] {
  return callers.flatMap((caller) => {
    const clients = from.filter(({ cluster = caller.cluster }) => cluster === caller.cluster);
    // Who lets in all of a cluster need not ask further.
    if (clients.some(isAnybody)) return [gatewaysOf(caller)];
    return clients.flatMap(({ namespace, serviceAccount }) => {
      // An account is one of a namespace: without it nobody is meant.
      if (namespace === undefined) return [];
      const ids = [egressOf(caller), clientIs(namespace, serviceAccount)];
      return [{ identifier: { case: "andIds" as const, value: { ids } } }];
    });
  });
}

const isAnybody = ({ namespace, serviceAccount }: AccessClient): boolean =>
  namespace === undefined && serviceAccount === undefined;

const gatewaysOf = ({ trustDomain, cluster }: TrustedAuthority): Principal =>
  callerIs({ case: "prefix", value: spiffeIdOf(trustDomain, cluster, "") });

const egressOf = ({ trustDomain, cluster }: TrustedAuthority): Principal =>
  callerIs({ case: "exact", value: spiffeIdOf(trustDomain, cluster, "egress") });

const callerIs = (matchPattern: TextMatch): Principal => ({
  identifier: { case: "authenticated", value: { principalName: { matchPattern } } },
});

/** Neither a namespace nor an account holds a slash. */
function clientIs(namespace: string, serviceAccount: string | undefined): Principal {
  const value =
    serviceAccount === undefined
      ? headerBegins(clientHeader, `${namespace}/`)
      : headerIs(clientHeader, `${namespace}/${serviceAccount}`);
  return { identifier: { case: "header", value } };
}

/** A rule that says what may be called means requests, and no stream of bytes (CONNECT). */
function permissionsOf({ to }: AccessRule): Permission[] {
  if (to === undefined) return [{ rule: { case: "any", value: true } }];
  return to.map(({ methods, path }) => {
    const parts: Permission[] = [{ rule: { case: "notRule", value: methodIs("CONNECT") } }];
    if (methods !== undefined) parts.push(anyOf(methods.map(methodIs)));
    if (path !== undefined) parts.push(pathIs(path));
    return { rule: { case: "andRules", value: { rules: parts } } };
  });
}

const anyOf = (rules: Permission[]): Permission => ({ rule: { case: "orRules", value: { rules } } });

const methodIs = (method: string): Permission => ({
  rule: { case: "header", value: headerIs(":method", method) },
});

/** A prefix is one of whole elements: /a is of /a and /a/b, not of /ab. */
function pathIs({ type = "PathPrefix", value }: NonNullable<AccessRequest["path"]>): Permission {
  const url = (form: "exact" | "prefix", text: string): Permission => ({
    rule: {
      case: "urlPath",
      value: { rule: { case: "path", value: { matchPattern: { case: form, value: text } } } },
    },
  });
  if (type === "Exact") return url("exact", value);
  const bare = value.replace(/\/+$/, "");
  return bare === "" ? url("prefix", "/") : anyOf([url("exact", bare), url("prefix", `${bare}/`)]);
}
