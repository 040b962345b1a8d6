/**
 * The text of a kubeconfig → the cluster and user of one of its contexts, and access by what stands there in plain: an
 * https:// address, an authority, a token or a certificate with its key. Never reads another file, runs a program or asks
 * another server: who needs that takes client-node (`kubeconfig.ts`), which costs a process 35 MB.
 *
 * Source: Kubernetes, client-go, clientcmd/api/v1.
 */
import { isRecord } from "../../model/record.ts";
import type { ClusterAccess } from "./cluster-access.ts";

/** Fields as they stand in the file, whatever they are. */
type Fields = Readonly<Record<string, unknown>>;

/** What a context of a kubeconfig names. */
export interface KubeconfigContext {
  readonly cluster: Fields;
  readonly user: Fields;
}

/**
 * The cluster and user of a context, by default the current one; undefined if the text doesn't say both.
 * @throws Error if the text is no YAML. It says where and quotes nothing: a token may stand there.
 */
export async function readContext(text: string, name?: string): Promise<KubeconfigContext | undefined> {
  const { LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined)
    throw new Error(`no YAML: ${error.code} in line ${lines.linePos(error.pos[0]).line}`);
  const config: unknown = document.toJS();
  if (!isRecord(config)) return undefined;
  const context = named(config["contexts"], name ?? config["current-context"], "context");
  const cluster = named(config["clusters"], context?.["cluster"], "cluster");
  const user = named(config["users"], context?.["user"], "user");
  return cluster === undefined || user === undefined ? undefined : { cluster, user };
}

/** Of a list of named entries what the entry of this name holds under `field`. */
function named(list: unknown, name: unknown, field: string): Fields | undefined {
  if (!Array.isArray(list) || typeof name !== "string") return undefined;
  const entry: unknown = list.find((one: unknown) => isRecord(one) && one["name"] === name);
  const held = isRecord(entry) ? entry[field] : undefined;
  return isRecord(held) ? held : undefined;
}

/** All that may stand in a context that is followed here. What is only for people, or only saves bytes, is passed over. */
const plainFields: { readonly [K in keyof KubeconfigContext]: ReadonlySet<string> } = {
  cluster: new Set([
    "server",
    "certificate-authority-data",
    "tls-server-name",
    "disable-compression",
    "extensions",
  ]),
  user: new Set(["token", "client-certificate-data", "client-key-data", "extensions"]),
};

/** Access by a context; undefined if anything but plain credentials stands there, or something is not a text. */
export function plainAccess({ cluster, user }: KubeconfigContext): ClusterAccess | undefined {
  const isPlain =
    fieldsOf(cluster).every((key) => plainFields.cluster.has(key)) &&
    fieldsOf(user).every((key) => plainFields.user.has(key));
  const { server, "tls-server-name": servername } = cluster;
  const { token } = user;
  const texts = [servername, token, ...dataOf(cluster, user)];
  if (!isPlain || !isHttps(server) || !texts.every(isTextOrMissing)) return undefined;
  const [ca, cert, key] = dataOf(cluster, user).map((data) =>
    typeof data === "string" ? Buffer.from(data, "base64") : undefined,
  );
  if ((cert === undefined) !== (key === undefined)) return undefined;
  const authorization = typeof token === "string" ? `Bearer ${token}` : undefined;
  return {
    server: new URL(server),
    tls: {
      ...(ca && { ca }),
      ...(cert && { cert }),
      ...(key && { key }),
      ...(typeof servername === "string" && { servername }),
    },
    authorization: () => Promise.resolve(authorization),
  };
}

/** Fields that say something: what is null, or not skipped, says nothing. */
const fieldsOf = (fields: Fields): readonly string[] =>
  Object.entries(fields).flatMap(([key, value]) =>
    value === null || (key === "insecure-skip-tls-verify" && value === false) ? [] : [key],
  );

const dataOf = (cluster: Fields, user: Fields): readonly unknown[] => [
  cluster["certificate-authority-data"],
  user["client-certificate-data"],
  user["client-key-data"],
];

const isTextOrMissing = (value: unknown): boolean =>
  value === undefined || value === null || typeof value === "string";

/** Whether credentials may be sent there at all. */
export function isHttps(server: unknown): server is string {
  return typeof server === "string" && URL.canParse(server) && new URL(server).protocol === "https:";
}
