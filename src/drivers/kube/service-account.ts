/**
 * Access to the cluster in whose Pod this process runs, by the Pod's service account: an authority and a token that the
 * kubelet keeps in files and replaces before it ends.
 *
 * Source: Kubernetes documentation, "Accessing the API from within a Pod".
 */
import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import type { ClusterAccess } from "./cluster-access.ts";
import { remembered } from "./remembered.ts";

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Where Kubernetes says that its API is, in every container. */
export interface PodEnvironment {
  readonly KUBERNETES_SERVICE_HOST?: string;
  readonly KUBERNETES_SERVICE_PORT?: string;
}

/**
 * Access by the files of a service account. The token is read again as it gets older.
 * @throws Error of the file system if there is no authority or no token.
 */
export async function serviceAccountAccess(
  { KUBERNETES_SERVICE_HOST: host = "", KUBERNETES_SERVICE_PORT: port = "443" }: PodEnvironment,
  folder = serviceAccount,
): Promise<ClusterAccess> {
  const readToken = async (): Promise<string> =>
    `Bearer ${(await readFile(join(folder, "token"), "utf8")).trim()}`;
  const [ca] = await Promise.all([readFile(join(folder, "ca.crt")), readToken()]);
  return {
    server: new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`),
    tls: { ca },
    authorization: remembered(readToken),
  };
}
