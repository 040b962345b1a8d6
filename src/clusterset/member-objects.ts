/**
 * The objects by which one cluster lets another read it: an account with its token at the cluster that is read, and a Secret
 * with a kubeconfig at the one that reads. See docs/reference.md, "Clusters".
 *
 * Pure. None of them carries our managed-by label: the controller doesn't write them and must not take them away.
 */
import { parse, stringify } from "yaml";
import type { KindInfo } from "../model/kinds.ts";
import { kinds } from "../model/kinds.ts";
import type { KubeObject, ObjectMeta } from "../model/kube-object.ts";
import { group, labels, systemNamespace } from "../model/names.ts";
import type { ClusterId } from "../model/world.ts";
import type { Member } from "./member.ts";

/** The ClusterRole of deploy/ that says what peers may read. */
export const peerRole = "mc-wan-peer";
/** On accounts, their bindings and tokens: the id of the cluster that reads with them. */
export const readerLabel = `${group}/reader`;

export const clusterRole: KindInfo = {
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRole",
  plural: "clusterroles",
  namespaced: false,
};
export const clusterRoleBinding: KindInfo = {
  ...clusterRole,
  kind: "ClusterRoleBinding",
  plural: "clusterrolebindings",
};

/** One object to write, with where its kind is in the API. */
export interface MemberObject {
  readonly kind: KindInfo;
  readonly object: KubeObject;
}

/** Name of the account, and of its binding, with which `reader` reads. */
export const accountName = (reader: ClusterId): string => `mc-wan-peer-${reader}`;
/** Name of the Secret that Kubernetes fills with the account's token. */
export const tokenName = (reader: ClusterId): string => `${accountName(reader)}-token`;
/** Name of the Secret with which a cluster reads `peer`. */
export const peerSecretName = (peer: ClusterId): string => `peer-${peer}`;

/**
 * What the cluster that is read gets: an account of its own for each reader, so that one can be shut out alone. The binding is
 * owned by the role, so that it goes with the installation.
 */
export function accountObjects(reader: ClusterId, role: KubeObject): readonly MemberObject[] {
  const name = accountName(reader);
  const labelled = { labels: { [readerLabel]: reader } };
  return [
    core("ServiceAccount", {
      metadata: { name, namespace: systemNamespace, ...labelled },
      automountServiceAccountToken: false,
    }),
    {
      kind: clusterRoleBinding,
      object: {
        apiVersion: clusterRoleBinding.apiVersion,
        kind: clusterRoleBinding.kind,
        metadata: {
          name,
          ...labelled,
          ownerReferences: [
            {
              apiVersion: clusterRole.apiVersion,
              kind: clusterRole.kind,
              name: peerRole,
              uid: role.metadata.uid ?? "",
            },
          ],
        },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: clusterRole.kind, name: peerRole },
        subjects: [{ kind: "ServiceAccount", name, namespace: systemNamespace }],
      },
    },
    core("Secret", {
      metadata: {
        name: tokenName(reader),
        namespace: systemNamespace,
        ...labelled,
        annotations: { "kubernetes.io/service-account.name": name },
      },
      type: "kubernetes.io/service-account-token",
    }),
  ];
}

/** What the reading cluster gets: how to reach `peer`, and as whom. `authority` is PEM. */
export function peerSecret(
  peer: Pick<Member, "id" | "endpoint">,
  credentials: { readonly token: string; readonly authority: string },
): MemberObject {
  const { server, authority, serverName } = peer.endpoint;
  const name = `mc-wan-peer-${peer.id}`;
  const authorities = [credentials.authority, authority]
    .filter((pem): pem is string => pem !== undefined)
    .map((pem) => pem.trim());
  const kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [
      {
        name,
        cluster: {
          server,
          ...(serverName !== undefined && { "tls-server-name": serverName }),
          "certificate-authority-data": base64(`${[...new Set(authorities)].join("\n")}\n`),
        },
      },
    ],
    users: [{ name, user: { token: credentials.token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  };
  return core("Secret", {
    metadata: {
      name: peerSecretName(peer.id),
      namespace: systemNamespace,
      labels: { [labels.peer]: peer.id },
    },
    type: "Opaque",
    data: { kubeconfig: base64(stringify(kubeconfig)) },
  });
}

/** Where a Secret for a peer leads; undefined if that can't be read, so that it may be replaced. */
export function serverIn(secret: KubeObject): string | undefined {
  const { kubeconfig = "" } = (secret["data"] ?? {}) as { kubeconfig?: string };
  try {
    const config = parse(Buffer.from(kubeconfig, "base64").toString("utf8")) as {
      clusters?: readonly { cluster?: { server?: unknown } }[];
    } | null;
    const server = config?.clusters?.[0]?.cluster?.server;
    return typeof server === "string" ? server : undefined;
  } catch {
    return undefined;
  }
}

function core(
  kind: "ServiceAccount" | "Secret",
  fields: { readonly metadata: ObjectMeta; readonly [field: string]: unknown },
): MemberObject {
  const info = kinds[kind];
  return { kind: info, object: { apiVersion: info.apiVersion, kind: info.kind, ...fields } };
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
