/** Looks at what stands in the clusters: conditions, objects that mc-wan manages. */
import { homeAccess } from "../src/drivers/kube/kubeconfig.ts";
import { KubeClient } from "../src/drivers/kube/kube-client.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KindName } from "../src/model/kinds.ts";
import { controllerName, fieldManager, labels } from "../src/model/names.ts";
import type { InstallTarget } from "../src/lab/install.ts";
import type { Environment } from "./environment.ts";

export interface SeenCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

interface SeenObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion: string;
    readonly labels?: Record<string, string>;
    readonly managedFields?: readonly { readonly manager: string; readonly operation: string }[];
  };
  readonly status?: {
    readonly conditions?: readonly SeenCondition[];
    readonly parents?: readonly {
      readonly controllerName: string;
      readonly conditions: readonly SeenCondition[];
    }[];
  };
}

/** Every kind of which mc-wan writes objects, but for its own, which go with their CRDs. */
const standardKinds = [
  "services",
  "endpoints",
  "endpointslices",
  "gateways.gateway.networking.k8s.io",
  "httproutes.gateway.networking.k8s.io",
  "tcproutes.gateway.networking.k8s.io",
  "backendtlspolicies.gateway.networking.k8s.io",
  "referencegrants.gateway.networking.k8s.io",
  "serviceimports.multicluster.x-k8s.io",
  "deployments",
  "serviceaccounts",
  "poddisruptionbudgets",
];
const managedKinds = [
  ...standardKinds,
  "serviceadvertisements.mc-wan.l7mp.io",
  "gatewayadvertisements.mc-wan.l7mp.io",
];

/** A condition of an object (of a route: of the entry that mc-wan wrote); undefined if it isn't there. */
export async function conditionOf(
  environment: Environment,
  where: { readonly cluster: InstallTarget; readonly namespace?: string; readonly object: string },
  type: string,
): Promise<SeenCondition | undefined> {
  const scope = where.namespace === undefined ? [] : ["-n", where.namespace];
  const object = (await environment.kubectl.json(where.cluster.context, [
    "get",
    ...scope,
    where.object,
  ])) as SeenObject;
  const own = object.status?.parents?.find((parent) => parent.controllerName === controllerName)?.conditions;
  return (own ?? object.status?.conditions ?? []).find((condition) => condition.type === type);
}

/** `kind namespace/name` → resourceVersion of everything in a cluster that carries mc-wan's label. */
export async function managedObjects(
  environment: Environment,
  cluster: InstallTarget,
  options: { readonly withOwnKinds: boolean } = { withOwnKinds: true },
): Promise<Map<string, string>> {
  const list = (await environment.kubectl.json(cluster.context, [
    "get",
    (options.withOwnKinds ? managedKinds : standardKinds).join(","),
    "-A",
    "--show-managed-fields",
    "-l",
    `${labels.managedBy}=${labels.managedByValue}`,
  ])) as { items: SeenObject[] };
  return new Map(
    list.items
      .filter(isOurs)
      .map(({ kind, metadata }) => [
        `${kind} ${metadata.namespace ?? ""}/${metadata.name}`,
        metadata.resourceVersion,
      ]),
  );
}

/** Kubernetes copies a Service's labels to the Endpoints and slices that it makes: those are not mc-wan's. */
function isOurs({ metadata }: SeenObject): boolean {
  return (
    metadata.managedFields?.some(
      ({ manager, operation }) => manager === fieldManager && operation === "Apply",
    ) ?? false
  );
}

/**
 * Looks, again and again, at what came from one service in a cluster. Asks the API server itself: kubectl would take
 * longer than what is measured with it.
 */
export async function watchObjectsOfService(
  environment: Environment,
  cluster: InstallTarget,
  service: { readonly namespace: string; readonly name: string },
): Promise<() => Promise<string[]>> {
  const access = await homeAccess({ kubeconfig: environment.kubeconfig, context: cluster.context });
  const client = new KubeClient(access);
  const selector = `${labels.serviceNamespace}=${service.namespace},${labels.serviceName}=${service.name}`;
  return async () => {
    const signal = AbortSignal.timeout(10_000);
    const lists = await Promise.all(
      serviceKinds.map(async (kind) => {
        const { items } = await client.list(kinds[kind], { labels: selector, signal });
        return (items as SeenObject[]).map(
          ({ metadata }) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`,
        );
      }),
    );
    return lists.flat().sort();
  };
}

/** What {@link watchObjectsOfService} sees now. */
export async function objectsOfService(
  environment: Environment,
  cluster: InstallTarget,
  service: { readonly namespace: string; readonly name: string },
): Promise<string[]> {
  return (await watchObjectsOfService(environment, cluster, service))();
}

/** Kinds of what mc-wan makes for a service. */
const serviceKinds = [
  "Service",
  "Endpoints",
  "EndpointSlice",
  "Gateway",
  "HTTPRoute",
  "TCPRoute",
  "BackendTLSPolicy",
  "ReferenceGrant",
  "McsServiceImport",
  "ServiceAdvertisement",
] as const satisfies readonly KindName[];
