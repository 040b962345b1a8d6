/** Kubeconfig text for lab clusters: a context, a cluster and a user per cluster, all of the same name. Pure; JSON, which is YAML. */

/** How to reach one cluster. */
export interface KubeconfigEntry {
  readonly context: string;
  readonly server: string;
  /** PEM. */
  readonly authority: string;
  readonly token: string;
}

/** A kubeconfig of these clusters; the first is current. */
export function kubeconfig(entries: readonly KubeconfigEntry[]): string {
  const user = (entry: KubeconfigEntry): string => `${entry.context}-admin`;
  return `${JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      "current-context": entries[0]?.context ?? "",
      clusters: entries.map((entry) => ({
        name: entry.context,
        cluster: {
          server: entry.server,
          "certificate-authority-data": Buffer.from(entry.authority).toString("base64"),
        },
      })),
      contexts: entries.map((entry) => ({
        name: entry.context,
        context: { cluster: entry.context, user: user(entry) },
      })),
      users: entries.map((entry) => ({ name: user(entry), user: { token: entry.token } })),
    },
    undefined,
    2,
  )}\n`;
}
