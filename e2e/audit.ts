/**
 * What mc-wan's accounts did, from the audit logs of the lab's API servers, against what its roles grant.
 *
 *     audit.log ─→ Use[] ┐
 *     roles ─→ Grant[] ──┴→ grants that nothing used, requests that were refused
 *
 * Source: Kubernetes, audit.k8s.io/v1 Event; rbac.authorization.k8s.io/v1.
 */

/** One request of an account, as far as RBAC judges it. */
export interface Use {
  /** The user: `system:serviceaccount:<namespace>:<name>`. */
  readonly user: string;
  readonly verb: string;
  readonly group: string;
  /** With its subresource, as `gateways/status`. */
  readonly resource: string;
  /** Empty for a list or watch over all namespaces, and for what has none. */
  readonly namespace: string;
  /** HTTP. */
  readonly code: number;
  /** By RBAC, not by what the object is or where: nothing can be made in a namespace that ends, say. */
  readonly isForbidden: boolean;
}

/** One verb for one resource that a role gives. */
export interface Grant {
  readonly role: string;
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  /** Of a Role: where it holds. */
  readonly namespace?: string;
}

/** A Role or ClusterRole, as the API gives it. */
export interface RbacRole {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly {
    readonly apiGroups?: readonly string[];
    readonly resources?: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource?: string;
    readonly apiGroup?: string;
    readonly subresource?: string;
    readonly namespace?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The requests in an audit log. A last line that is still being written is left out. */
export function usesOf(log: string): Use[] {
  const lines = log.split("\n").slice(0, -1);
  return lines.flatMap((line) => {
    const { verb, user, objectRef, responseStatus, annotations } = JSON.parse(line) as AuditEvent;
    if (objectRef?.resource === undefined) return [];
    const { resource, subresource, apiGroup = "", namespace = "" } = objectRef;
    return [
      {
        user: user.username,
        verb,
        group: apiGroup,
        resource: subresource === undefined ? resource : `${resource}/${subresource}`,
        namespace,
        code: responseStatus?.code ?? 0,
        isForbidden: annotations?.["authorization.k8s.io/decision"] === "forbid",
      },
    ];
  });
}

/** What roles grant, taken apart. */
export function grantsOf(roles: readonly RbacRole[]): Grant[] {
  return roles.flatMap(({ metadata: { name, namespace }, rules = [] }) =>
    rules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) =>
          verbs.map((verb) => ({
            role: name,
            verb,
            group,
            resource,
            ...(namespace === undefined ? {} : { namespace }),
          })),
        ),
      ),
    ),
  );
}

/** Grants that no request needed. A patch that made its object (201) needed the verb create too. */
export function unusedGrants(grants: readonly Grant[], uses: readonly Use[]): Grant[] {
  const key = ({ verb, group, resource }: Grant | Use): string => `${verb} ${group} ${resource}`;
  const allowed = uses.filter(({ isForbidden }) => !isForbidden);
  const made = allowed
    .filter(({ verb, code }) => verb === "patch" && code === 201)
    .map((use) => ({ ...use, verb: "create" }));
  const seen = new Map<string, Set<string>>();
  for (const use of [...allowed, ...made]) {
    const namespaces = seen.get(key(use)) ?? new Set();
    seen.set(key(use), namespaces.add(use.namespace));
  }
  return grants.filter((grant) => {
    const namespaces = seen.get(key(grant));
    return grant.namespace === undefined
      ? namespaces === undefined
      : !(namespaces?.has(grant.namespace) ?? false);
  });
}
