/**
 * Kubeconfigs to {@link ClusterAccess}: the operator's own (what is not plain goes to client-node, which understands
 * anything), and a peer's, out of a Secret, of which only plain credentials over TLS are taken: nothing in it may run a
 * program, read a file of ours or lead the connection elsewhere.
 */
import { readFile } from "node:fs/promises";
import type { KubeConfig } from "@kubernetes/client-node";
import { reasons } from "../../api/conditions.ts";
import { UsageError } from "../../model/errors.ts";
import type { Problem } from "../../model/problem.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { isHttps, plainAccess, readContext, type KubeconfigContext } from "./kubeconfig-file.ts";
import { remembered } from "./remembered.ts";
import { serviceAccountAccess } from "./service-account.ts";

/** Import on first use: client-node takes 35 MB, and a Pod has no need of it. */
async function newKubeConfig(): Promise<KubeConfig> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  return new KubeConfig();
}

/**
 * Access to the home cluster: a file, else the service account of the Pod, else kubectl's defaults.
 * @throws UsageError if there is no usable kubeconfig.
 */
export async function homeAccess(options: HomeAccessOptions): Promise<ClusterAccess> {
  try {
    return (await leanAccess(options)) ?? (await anyAccess(options));
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new UsageError(
      `the kubeconfig can't be read (${whyUnread(cause)}): name another with --kubeconfig`,
      { cause },
    );
  }
}

interface HomeAccessOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Access by the Pod's service account, or by what stands in plain in a file; undefined where it takes more than that. */
async function leanAccess({ kubeconfig, context }: HomeAccessOptions): Promise<ClusterAccess | undefined> {
  if (kubeconfig === undefined)
    return process.env["KUBERNETES_SERVICE_HOST"] === undefined
      ? undefined
      : await serviceAccountAccess(process.env);
  const found = await readContext(await readFile(kubeconfig, "utf8"), context);
  return found && plainAccess(found);
}

async function anyAccess({ kubeconfig, context }: HomeAccessOptions): Promise<ClusterAccess> {
  const config = await newKubeConfig();
  if (kubeconfig === undefined) config.loadFromDefault();
  else config.loadFromFile(kubeconfig);
  if (context !== undefined) config.setCurrentContext(context);
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

/** A page of 100 objects of 1,000 endpoints each is a third of this; a larger one would take the memory of everybody else. */
const longestAnswerOfPeers = 32 * 1024 * 1024;

/** Access to a peer, or why its kubeconfig is refused, all reasons. `bytes` is the value in the Secret. */
export async function peerAccess(bytes: Buffer): Promise<ClusterAccess | readonly Problem[]> {
  let context: KubeconfigContext | undefined;
  try {
    context = await readContext(bytes.toString("utf8"));
  } catch {
    // The library's message may quote the file.
    return [unreadable];
  }
  if (context === undefined)
    return [refused("The kubeconfig's current-context names no cluster or no user. Set current-context.")];
  const problems = peerProblems(context);
  if (problems.length > 0) return problems;
  const access = plainAccess(context);
  return access === undefined ? [unreadable] : { ...access, maxAnswerBytes: longestAnswerOfPeers };
}

function peerProblems({ cluster, user }: KubeconfigContext): Problem[] {
  const has = (fields: Readonly<Record<string, unknown>>, ...names: readonly string[]): boolean =>
    names.some((name) => fields[name] !== undefined && fields[name] !== null);
  const checks: readonly (readonly [boolean, string])[] = [
    [has(user, "exec"), "It runs a program (exec). Use a service account's token."],
    [has(user, "auth-provider"), "It has an auth-provider. Use a service account's token."],
    [
      has(user, "client-certificate", "client-key", "tokenFile") || has(cluster, "certificate-authority"),
      "It names files, which don't exist here. Put the data in (kubectl config view --flatten).",
    ],
    [has(user, "username", "password"), "It has a user name and password. Use a token."],
    [
      has(user, "as", "as-uid", "as-groups", "as-user-extra"),
      "It impersonates another user. Use that user's own token.",
    ],
    [!isHttps(cluster["server"]), "Its server is no https:// address. Credentials are only sent over TLS."],
    [
      isLinkLocal(cluster["server"]),
      "Its server is a link-local address, where a cloud's metadata service would get the credentials. Give the API server's own address.",
    ],
    [
      has(cluster, "insecure-skip-tls-verify") && cluster["insecure-skip-tls-verify"] !== false,
      "It skips verification (insecure-skip-tls-verify). Put the CA in (certificate-authority-data).",
    ],
    [has(cluster, "proxy-url"), "It names a proxy (proxy-url). Give an address that is reached directly."],
    [
      !has(user, "token") && !has(user, "client-certificate-data"),
      "It has no credentials: neither a token nor a certificate.",
    ],
    [
      has(user, "client-certificate-data") !== has(user, "client-key-data"),
      "It has a certificate or a key without the other.",
    ],
  ];
  return checks
    .filter(([isWrong]) => isWrong)
    .map(([, message]) => refused(`The kubeconfig is refused. ${message}`));
}

function isLinkLocal(server: unknown): boolean {
  if (typeof server !== "string" || !URL.canParse(server)) return false;
  // Whatever way an IPv4 address is written, the parsed one has four decimal numbers.
  return /^(169\.254\.|\[fe[89ab][0-9a-f]:|\[::ffff:a9fe:)/.test(new URL(server).hostname);
}

const refused = (message: string): Problem => ({ reason: reasons.InvalidKubeconfig, message });
const unreadable = refused(
  "The kubeconfig can't be parsed. Write it again: `kubectl config view --minify --flatten` prints one that is whole.",
);

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
