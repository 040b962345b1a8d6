/**
 * From contexts of a kubeconfig to members: who each cluster is, and how its peers reach it.
 *
 *     context → API → ClusterProperty: id;   kubeconfig's server, or what the cluster advertises: endpoint
 */
import { homeAccess } from "../drivers/kube/kubeconfig.ts";
import { KubeClient } from "../drivers/kube/kube-client.ts";
import type { ClusterAccess } from "../drivers/kube/cluster-access.ts";
import { UsageError } from "../model/errors.ts";
import { kinds } from "../model/kinds.ts";
import { clusterIdProperty } from "../model/names.ts";
import type { Endpoint, Member, MemberApi } from "./member.ts";

export interface MemberChoice {
  /** Two or more contexts, each another cluster. */
  readonly contexts: readonly string[];
  /** Path of the kubeconfig; left out: as kubectl finds it. */
  readonly kubeconfig?: string | undefined;
  /** By context, where the cluster has no ClusterProperty: the `--cluster-id` of its controller. */
  readonly ids?: Readonly<Record<string, string>>;
  /** By context, where peers reach the API server elsewhere than we do: `https://host:port`. */
  readonly servers?: Readonly<Record<string, string>>;
}

/** Clusters as we reach them, until {@link close}. */
export interface Connections {
  readonly clusters: readonly Reached[];
  close(): Promise<void>;
}

/** One cluster of a kubeconfig. */
export interface Reached {
  readonly context: string;
  readonly access: ClusterAccess;
  readonly api: MemberApi;
}

/** Clusters that may join, until {@link close}. */
export interface OpenMembers {
  readonly members: readonly Member[];
  close(): Promise<void>;
}

/** Makes ready to ask each cluster; asks none. @throws UsageError for what the person who called has to mend. */
export async function connect(
  contexts: readonly string[],
  kubeconfig: string | undefined,
): Promise<Connections> {
  if (new Set(contexts).size < contexts.length)
    throw new UsageError("a context is named twice: name each cluster once");
  const clusters = await Promise.all(
    contexts.map(async (context) => {
      const access = await accessTo(context, kubeconfig);
      return { context, access, api: new KubeClient(access) };
    }),
  );
  return {
    clusters,
    close: async () => {
      await Promise.all(clusters.map(({ api }) => api.close()));
    },
  };
}

/** Asks every cluster who it is. @throws UsageError for what the person who called has to mend. */
export async function openMembers(choice: MemberChoice): Promise<OpenMembers> {
  if (choice.contexts.length < 2) throw new UsageError("one cluster has no peers: name two contexts or more");
  const connections = await connect(choice.contexts, choice.kubeconfig);
  const close = (): Promise<void> => connections.close();
  try {
    const members = await Promise.all(connections.clusters.map((cluster) => memberOf(cluster, choice)));
    refuseSameIds(members);
    return { members, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function accessTo(context: string, kubeconfig: string | undefined): Promise<ClusterAccess> {
  try {
    return await homeAccess({ context, ...(kubeconfig !== undefined && { kubeconfig }) });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`context ${context}: ${error.message}`, { cause: error });
  }
}

async function memberOf(
  {
    context,
    access,
    api,
  }: { readonly context: string; readonly access: ClusterAccess; readonly api: MemberApi },
  { ids, servers }: MemberChoice,
): Promise<Member> {
  const id = ids?.[context] ?? (await clusterId(api));
  if (id === undefined)
    throw new UsageError(
      `${context} has no id: create ClusterProperty ${clusterIdProperty} there, or give --id ${context}=<the --cluster-id of its controller>`,
    );
  return { context, id, api, endpoint: await endpointOf({ access, api, context }, servers?.[context]) };
}

/** The id that the cluster's ClusterProperty gives it. */
export async function clusterId(api: MemberApi): Promise<string | undefined> {
  const property = await api.get(kinds.ClusterProperty, { name: clusterIdProperty });
  const { value } = (property?.["spec"] ?? {}) as { value?: unknown };
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** What is given; else our own way, unless it ends on this machine; else the address that the cluster advertises to its Pods. */
async function endpointOf(
  {
    access,
    api,
    context,
  }: { readonly access: ClusterAccess; readonly api: MemberApi; readonly context: string },
  given: string | undefined,
): Promise<Endpoint> {
  const authority = access.tls.ca?.toString("utf8");
  const trusted = authority === undefined ? {} : { authority };
  if (given !== undefined) return { server: given, ...trusted };
  if (!isLoopback(access.server.hostname)) {
    const { servername } = access.tls;
    return {
      server: access.server.href.replace(/\/$/, ""),
      ...trusted,
      ...(servername !== undefined && { serverName: servername }),
    };
  }
  const slice = await api.get(kinds.EndpointSlice, { namespace: "default", name: "kubernetes" });
  const { endpoints, ports } = (slice ?? {}) as {
    endpoints?: readonly { addresses: readonly string[] }[];
    ports?: readonly { port?: number }[];
  };
  const address = endpoints?.[0]?.addresses[0];
  const port = ports?.[0]?.port;
  if (address === undefined || port === undefined)
    throw new UsageError(
      `${context}: its API server is at ${access.server.host} for us and advertises no other address: give --server ${context}=https://<host>:<port>`,
    );
  return { server: `https://${address}:${port}`, ...trusted };
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "[::1]" || host === "0.0.0.0" || host.startsWith("127.");

function refuseSameIds(members: readonly Member[]): void {
  for (const [index, { id, context }] of members.entries()) {
    const other = members.slice(0, index).find((member) => member.id === id);
    if (other !== undefined)
      throw new UsageError(
        `${other.context} and ${context} both have the id ${id}: they are one cluster, or one needs another ClusterProperty ${clusterIdProperty}`,
      );
  }
}
