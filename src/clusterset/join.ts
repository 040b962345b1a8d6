/**
 * Makes clusters peers of each other: each gets, for each of the others, an account that may read policies and
 * advertisements, and a Secret with which it reads that other one.
 *
 *     account for B at A → token → Secret at B          for every ordered pair
 *
 * Changes nothing else, and nothing at all if it can be seen beforehand that it can't be done everywhere.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../model/errors.ts";
import { kinds } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { labels, systemNamespace } from "../model/names.ts";
import { nameOf } from "./findings.ts";
import { listAll } from "./list-all.ts";
import type { Member } from "./member.ts";
import {
  accountObjects,
  clusterRole,
  peerRole,
  peerSecret,
  peerSecretName,
  serverIn,
  tokenName,
} from "./member-objects.ts";
import type { MemberObject } from "./member-objects.ts";

const tokenTimeoutMs = 30_000;

/** What became, or would become, of one object. */
export interface Step {
  readonly context: string;
  /** `apply`: it stands, and a dry run doesn't tell whether anything of it would change. */
  readonly verb: "create" | "update" | "keep" | "apply" | "delete";
  readonly object: KubeObject;
}

export interface JoinOptions {
  /** Nothing is written; tokens that don't exist yet are shown as such. */
  readonly isDryRun: boolean;
  /** Tokens that exist are replaced by new ones: the old ones are refused, at the latest after 10 s. */
  readonly rotate: boolean;
  /** A peer may lead to another server than before. */
  readonly replace: boolean;
  readonly step: (step: Step) => void;
  readonly signal: AbortSignal;
}

/** In place of a token that only a join that writes would bring about. */
export const noToken = "<token of the account, made by the join>";

/**
 * Joins every cluster with every other; what already holds stays as it is.
 * @throws UsageError where mc-wan isn't installed, or another Secret stands for the same peer.
 */
export async function join(members: readonly Member[], options: JoinOptions): Promise<void> {
  const installed = await Promise.all(
    members.map(async (member) => ({ member, role: await installedRole(member) })),
  );
  await Promise.all(members.map((member) => refuseOtherSecrets(member, members, options)));
  const pairs = installed.flatMap(({ member, role }) =>
    members.filter((reader) => reader !== member).map((reader) => ({ member, reader, role })),
  );
  await Promise.all(
    pairs.map(async (pair) => {
      await letRead(pair, options);
    }),
  );
}

async function letRead(
  { member, reader, role }: { readonly member: Member; readonly reader: Member; readonly role: KubeObject },
  options: JoinOptions,
): Promise<void> {
  const token = { namespace: systemNamespace, name: tokenName(reader.id) };
  if (options.rotate && !options.isDryRun) await drop(member, token);
  for (const wanted of accountObjects(reader.id, role)) await put(member, wanted, options);
  const credentials = await credentialsOf({ member, token }, options);
  await put(reader, peerSecret(member, credentials), options);
}

/** The role of the account: its absence tells that deploy/ was not applied. */
async function installedRole({ api, context }: Member): Promise<KubeObject> {
  const [role, namespace] = await Promise.all([
    api.get(clusterRole, { name: peerRole }),
    api.get(kinds.Namespace, { name: systemNamespace }),
  ]);
  if (role === undefined || namespace === undefined)
    throw new UsageError(
      `mc-wan is not installed at ${context}: kubectl --context ${context} apply --server-side -k deploy`,
    );
  return role;
}

/**
 * Another Secret for a peer: the older would hold, and nobody would see why the new one does nothing. Our own that leads
 * elsewhere: most likely an id is given to the wrong cluster, and the right one would be lost.
 */
async function refuseOtherSecrets(
  { api, context }: Member,
  members: readonly Member[],
  { signal, replace }: JoinOptions,
): Promise<void> {
  const secrets = { kind: kinds.Secret, namespace: systemNamespace, labels: labels.peer };
  for (const secret of await listAll(api, { ...secrets, signal })) {
    const { name, labels: own } = secret.metadata;
    const member = members.find(({ id }) => id === own?.[labels.peer]);
    if (member === undefined) continue;
    if (name !== peerSecretName(member.id))
      throw new UsageError(
        `${context}: Secret ${systemNamespace}/${name} already stands for peer ${member.id}: kubectl --context ${context} delete secret -n ${systemNamespace} ${name}`,
      );
    const server = serverIn(secret);
    if (!replace && server !== undefined && server !== member.endpoint.server)
      throw new UsageError(
        `${context}: peer ${member.id} is at ${server}, and ${member.context} is at ${member.endpoint.server}: see that ${member.context} is ${member.id}; if it has moved, join again with --replace`,
      );
  }
}

async function put(member: Member, { kind, object }: MemberObject, options: JoinOptions): Promise<void> {
  const { namespace, name } = object.metadata;
  const standing = await member.api.get(kind, { namespace, name });
  const written = options.isDryRun ? undefined : await member.api.apply(kind, object);
  options.step({ context: member.context, verb: verbOf(standing, written), object });
}

function verbOf(standing: KubeObject | undefined, written: KubeObject | undefined): Step["verb"] {
  if (standing === undefined) return "create";
  if (written === undefined) return "apply";
  return written.metadata.resourceVersion === standing.metadata.resourceVersion ? "keep" : "update";
}

async function drop(
  { api }: Member,
  token: { readonly namespace: string; readonly name: string },
): Promise<void> {
  const standing = await api.get(kinds.Secret, token);
  if (standing?.metadata.uid !== undefined)
    await api.delete(kinds.Secret, token, { uid: standing.metadata.uid });
}

/** Kubernetes' token controller fills the Secret in a moment after it was made. */
async function credentialsOf(
  {
    member,
    token,
  }: { readonly member: Member; readonly token: { readonly namespace: string; readonly name: string } },
  { isDryRun, signal }: JoinOptions,
): Promise<{ token: string; authority: string }> {
  const deadline = performance.now() + tokenTimeoutMs;
  for (;;) {
    const secret = await member.api.get(kinds.Secret, token);
    const data = (secret?.["data"] ?? {}) as Readonly<Record<string, string | undefined>>;
    const { token: value, "ca.crt": authority } = data;
    if (value !== undefined && authority !== undefined)
      return { token: decoded(value), authority: decoded(authority) };
    if (isDryRun) return { token: noToken, authority: member.endpoint.authority ?? "" };
    if (performance.now() > deadline)
      throw new UsageError(
        `${member.context}: Kubernetes put no token into ${nameOf({ kind: "Secret", metadata: token })} within ${tokenTimeoutMs / 1000} s: see that its kube-controller-manager runs, then join again`,
      );
    await sleep(100, undefined, { signal });
  }
}

const decoded = (base64: string): string => Buffer.from(base64, "base64").toString("utf8");
