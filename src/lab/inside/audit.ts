/**
 * What the API server of a lab notes of requests: every one of an account in `mc-wan-system`, without bodies, in
 * `<run folder>/<cluster>/audit.log`. Of nobody else's.
 *
 * Source: Kubernetes, audit.k8s.io/v1 Policy.
 */
import { join } from "node:path";
import { systemNamespace } from "../../model/names.ts";

/** Of a cluster with its files in `folder`: what is written before its API server starts, and how that is told. */
export function auditOf(folder: string): {
  readonly file: string;
  readonly text: string;
  readonly flags: readonly string[];
} {
  const file = "audit-policy.yaml";
  return {
    file,
    text: JSON.stringify(policy),
    flags: [`--audit-policy-file=${join(folder, file)}`, `--audit-log-path=${join(folder, auditLog)}`],
  };
}

/** Name of the file, a JSON object a line. */
export const auditLog = "audit.log";

const policy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { level: "Metadata", userGroups: [`system:serviceaccounts:${systemNamespace}`] },
    { level: "None" },
  ],
};
