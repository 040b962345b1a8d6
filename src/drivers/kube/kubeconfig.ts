/**
 * Kubeconfigs to {@link ClusterAccess}: the operator's own (anything that client-node understands), and a peer's, out
 * of a Secret, of which only plain credentials over TLS are taken: nothing in it may run a program, read a file of ours
 * or lead the connection elsewhere.
 */
import type { KubeConfig } from "@kubernetes/client-node";
import { reasons } from "../../api/conditions.ts";
import { UsageError } from "../../model/errors.ts";
import type { Problem } from "../../model/problem.ts";
import type { ClusterAccess } from "./cluster-access.ts";

/** How long a header from client-node is used: it re-reads token files and runs exec plugins itself when they are due. */
const authorizationMs = 15_000;

/** Import on first use: client-node takes 90 MB. */
async function newKubeConfig(): Promise<KubeConfig> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  return new KubeConfig();
}

/**
 * Access to the home cluster: a file, else the service account of the Pod, else kubectl's defaults.
 * @throws UsageError if there is no usable kubeconfig.
 */
export async function homeAccess(options: { kubeconfig?: string; context?: string }): Promise<ClusterAccess> {
  const config = await newKubeConfig();
  try {
    if (options.kubeconfig !== undefined) config.loadFromFile(options.kubeconfig);
    else if (process.env["KUBERNETES_SERVICE_HOST"] !== undefined) config.loadFromCluster();
    else config.loadFromDefault();
    if (options.context !== undefined) config.setCurrentContext(options.context);
  } catch (cause) {
    throw new UsageError(
      `the kubeconfig can't be read (${whyUnread(cause)}): name another with --kubeconfig`,
      {
        cause,
      },
    );
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new UsageError("the kubeconfig names no cluster: give --kubeconfig and --context");
  const options1 = await httpsOptions(config);
  return {
    server: new URL(cluster.server),
    tls: {
      ...(options1.ca && { ca: options1.ca }),
      ...(options1.cert && { cert: options1.cert }),
      ...(options1.key && { key: options1.key }),
      ...(cluster.tlsServerName !== undefined && { servername: cluster.tlsServerName }),
      ...(cluster.skipTLSVerify && { rejectUnauthorized: false as const }),
    },
    authorization: remembered(async () => (await httpsOptions(config)).authorization),
  };
}

/** Of a parser's error nothing is told: it may quote the file. */
function whyUnread(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? cause.message : "it is no kubeconfig";
}

/** Access to a peer, or why its kubeconfig is refused, all reasons. `bytes` is the value in the Secret. */
export async function peerAccess(bytes: Buffer): Promise<ClusterAccess | readonly Problem[]> {
  const config = await newKubeConfig();
  try {
    config.loadFromString(bytes.toString("utf8"));
  } catch {
    // The library's message may quote the file.
    return [
      refused(
        "The kubeconfig can't be parsed. Write it again: `kubectl config view --minify --flatten` prints one that is whole.",
      ),
    ];
  }
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  if (cluster === null || user === null) {
    return [refused("The kubeconfig's current-context names no cluster or no user. Set current-context.")];
  }
  const problems = peerProblems(cluster, user);
  if (problems.length > 0) return problems;
  const authorization = user.token === undefined ? undefined : `Bearer ${user.token}`;
  return {
    server: new URL(cluster.server),
    tls: {
      ...decoded("ca", cluster.caData),
      ...decoded("cert", user.certData),
      ...decoded("key", user.keyData),
      ...(cluster.tlsServerName !== undefined && { servername: cluster.tlsServerName }),
    },
    authorization: () => Promise.resolve(authorization),
  };
}

function peerProblems(
  cluster: NonNullable<ReturnType<KubeConfig["getCurrentCluster"]>>,
  user: NonNullable<ReturnType<KubeConfig["getCurrentUser"]>>,
): Problem[] {
  const checks: readonly (readonly [boolean, string])[] = [
    [
      user.exec !== undefined && user.exec !== null,
      "It runs a program (exec). Use a service account's token.",
    ],
    [
      user.authProvider !== undefined && user.authProvider !== null,
      "It has an auth-provider. Use a service account's token.",
    ],
    [
      user.certFile !== undefined || user.keyFile !== undefined || cluster.caFile !== undefined,
      "It names files, which don't exist here. Put the data in (kubectl config view --flatten).",
    ],
    [
      user.username !== undefined || user.password !== undefined,
      "It has a user name and password. Use a token.",
    ],
    [user.impersonateUser !== undefined, "It impersonates another user. Use that user's own token."],
    [!isHttps(cluster.server), "Its server is no https:// address. Credentials are only sent over TLS."],
    [
      cluster.skipTLSVerify,
      "It skips verification (insecure-skip-tls-verify). Put the CA in (certificate-authority-data).",
    ],
    [
      cluster.proxyUrl !== undefined,
      "It names a proxy (proxy-url). Give an address that is reached directly.",
    ],
    [
      user.token === undefined && user.certData === undefined,
      "It has no credentials: neither a token nor a certificate.",
    ],
    [
      (user.certData === undefined) !== (user.keyData === undefined),
      "It has a certificate or a key without the other.",
    ],
  ];
  return checks
    .filter(([isWrong]) => isWrong)
    .map(([, message]) => refused(`The kubeconfig is refused. ${message}`));
}

const refused = (message: string): Problem => ({ reason: reasons.InvalidKubeconfig, message });

function isHttps(server: unknown): boolean {
  return typeof server === "string" && URL.canParse(server) && new URL(server).protocol === "https:";
}

function decoded<Name extends string>(name: Name, data: string | undefined): Partial<Record<Name, Buffer>> {
  return data === undefined ? {} : ({ [name]: Buffer.from(data, "base64") } as Record<Name, Buffer>);
}

interface HttpsOptions {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly authorization?: string;
}

/** What client-node would put on a request, exec plugins and token files included. */
async function httpsOptions(config: KubeConfig): Promise<HttpsOptions> {
  const options: {
    headers: Record<string, string>;
    ca?: Buffer;
    cert?: Buffer;
    key?: Buffer;
    auth?: string;
  } = { headers: {} };
  await config.applyToHTTPSOptions(options);
  const basic =
    options.auth === undefined ? undefined : `Basic ${Buffer.from(options.auth).toString("base64")}`;
  const authorization = options.headers["Authorization"] ?? basic;
  return {
    ...(options.ca && { ca: options.ca }),
    ...(options.cert && { cert: options.cert }),
    ...(options.key && { key: options.key }),
    ...(authorization !== undefined && { authorization: authorization.trim() }),
  };
}

function remembered(read: () => Promise<string | undefined>): () => Promise<string | undefined> {
  let value: Promise<string | undefined> | undefined;
  let readAt = 0;
  return async () => {
    const now = performance.now();
    if (value === undefined || now - readAt > authorizationMs) {
      readAt = now;
      value = read();
      value.catch(() => (value = undefined));
    }
    return await value;
  };
}
