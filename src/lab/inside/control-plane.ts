/**
 * The control plane of one cluster: its keys and files, and the command lines of its programs.
 * Starts nothing itself; cluster.ts says when. Never a rule of the cluster's content (see cluster-objects.ts).
 */
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAuthority, createSigningKey } from "../certificates.ts";
import { kubeconfig, type KubeconfigEntry } from "../kubeconfig.ts";
import { labFiles, type ClusterPlan, type LabPlan } from "../lab-plan.ts";
import type { NodeAgentConfig } from "../node-agent-config.ts";
import { API_SERVER_PORT } from "../sdwan/ruleset.ts";
import { auditOf } from "./audit.ts";
import type { ProgramSpec } from "./processes.ts";

/** The etcd that all clusters of a lab share; the address is relative to the folder it runs in. */
const ETCD_ADDRESS = "unix://etcd.sock:0";
const KUBELET_PORT = 10250;

/** What was made for a cluster before it starts. */
export interface PreparedCluster {
  readonly plan: ClusterPlan;
  readonly folder: string;
  /** For programs in the lab's namespaces, an administrator's. */
  readonly kubeconfigFile: string;
  readonly inside: KubeconfigEntry;
  readonly host: KubeconfigEntry;
  readonly nodeAgent: NodeAgentConfig;
}

/** Makes keys, tokens and configuration files of a cluster below `<runDir>/<id>`. */
export async function prepareCluster(lab: LabPlan, plan: ClusterPlan): Promise<PreparedCluster> {
  const folder = join(lab.runDir, plan.id);
  const agentDir = join(folder, "node");
  await mkdir(agentDir, { recursive: true });
  const { addresses } = plan;
  const authority = await createAuthority(`mc-wan lab ${plan.id}`);
  const [serving, kubeletClient, kubeletServing, signing] = await Promise.all([
    authority.issue({
      commonName: "kube-apiserver",
      dnsNames: [
        "localhost",
        plan.id,
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
      ],
      addresses: ["127.0.0.1", addresses.apiServer, addresses.kubernetesService],
    }),
    authority.issue({ commonName: "kube-apiserver-kubelet-client", organization: "system:masters" }),
    authority.issue({
      commonName: `system:node:${plan.nodeName}`,
      organization: "system:nodes",
      dnsNames: [plan.nodeName],
      addresses: [addresses.node],
    }),
    createSigningKey(),
  ]);
  const token = randomBytes(24).toString("hex");
  const audit = auditOf(folder);
  const entry = { context: plan.context, authority: authority.certificate, token };
  const inside = { ...entry, server: `https://${addresses.apiServer}:${API_SERVER_PORT}` };
  const nodeAgent: NodeAgentConfig = {
    cluster: plan.id,
    nodeName: plan.nodeName,
    nodeIP: addresses.node,
    podGatewayIP: addresses.apiServer,
    kubeconfig: join(folder, "kubeconfig"),
    podCIDR: addresses.podCIDR,
    dnsIP: addresses.dnsService,
    clusterDomain: "cluster.local",
    runDir: agentDir,
    imagesFile: lab.imagesFile ?? "",
    kubelet: {
      port: KUBELET_PORT,
      certFile: join(folder, "kubelet.crt"),
      keyFile: join(folder, "kubelet.key"),
      clientCAFile: join(folder, "ca.crt"),
    },
    cacheDir: lab.cacheDir,
  };
  await writeAll(folder, {
    "ca.crt": authority.certificate,
    "apiserver.crt": serving.certificate,
    "apiserver.key": serving.key,
    "kubelet-client.crt": kubeletClient.certificate,
    "kubelet-client.key": kubeletClient.key,
    "kubelet.crt": kubeletServing.certificate,
    "kubelet.key": kubeletServing.key,
    "sa.pub": signing.publicKey,
    "sa.key": signing.privateKey,
    "tokens.csv": `${token},mcwan-lab,mcwan-lab,system:masters\n`,
    kubeconfig: kubeconfig([inside]),
    "node-agent.json": JSON.stringify(nodeAgent, undefined, 2),
    [audit.file]: audit.text,
    "kube-proxy.yaml": JSON.stringify(kubeProxyConfiguration(plan, join(folder, "kubeconfig"))),
    Corefile: corefile(plan, join(folder, "kubeconfig")),
    "resolv.conf": `search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver ${addresses.dnsService}\noptions ndots:5\n`,
  });
  return {
    plan,
    folder,
    kubeconfigFile: join(folder, "kubeconfig"),
    inside,
    host: { ...entry, server: `https://127.0.0.1:${plan.hostPort}` },
    nodeAgent,
  };
}

/** Writes the kubeconfigs of the whole lab: for the host, and for processes in the lab's namespaces. */
export async function writeKubeconfigs(runDir: string, clusters: readonly PreparedCluster[]): Promise<void> {
  const files = labFiles(runDir);
  const secret = { mode: 0o600 };
  await writeFile(files.kubeconfig, kubeconfig(clusters.map((cluster) => cluster.host)), secret);
  await writeFile(files.insideKubeconfig, kubeconfig(clusters.map((cluster) => cluster.inside)), secret);
}

/** The one etcd. Losing data in a power cut is no concern of a lab, hence no fsync. */
export function etcdProgram(lab: LabPlan): ProgramSpec {
  return {
    name: "etcd",
    cwd: lab.runDir,
    argv: [
      lab.programs.etcd,
      "--data-dir=etcd",
      `--listen-client-urls=${ETCD_ADDRESS}`,
      `--advertise-client-urls=${ETCD_ADDRESS}`,
      "--listen-peer-urls=http://127.0.0.1:22380",
      "--initial-advertise-peer-urls=http://127.0.0.1:22380",
      "--initial-cluster=default=http://127.0.0.1:22380",
      "--unsafe-no-fsync",
      "--log-level=warn",
    ],
  };
}

/** kube-apiserver, in the folder of the lab because etcd's socket is there. */
export function apiServerProgram(lab: LabPlan, cluster: PreparedCluster): ProgramSpec {
  const { plan, folder } = cluster;
  return {
    name: `${plan.id}-kube-apiserver`,
    netns: plan.id,
    cwd: lab.runDir,
    argv: [
      lab.programs.kubeApiserver,
      `--etcd-servers=${ETCD_ADDRESS}`,
      `--etcd-prefix=/${plan.id}`,
      `--secure-port=${API_SERVER_PORT}`,
      "--bind-address=0.0.0.0",
      `--advertise-address=${plan.addresses.apiServer}`,
      `--tls-cert-file=${folder}/apiserver.crt`,
      `--tls-private-key-file=${folder}/apiserver.key`,
      "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
      `--service-account-key-file=${folder}/sa.pub`,
      `--service-account-signing-key-file=${folder}/sa.key`,
      `--service-cluster-ip-range=${plan.addresses.serviceCIDR}`,
      `--token-auth-file=${folder}/tokens.csv`,
      "--authorization-mode=Node,RBAC",
      "--allow-privileged=true",
      "--kubelet-preferred-address-types=InternalIP",
      `--kubelet-client-certificate=${folder}/kubelet-client.crt`,
      `--kubelet-client-key=${folder}/kubelet-client.key`,
      `--kubelet-certificate-authority=${folder}/ca.crt`,
      "--profiling=false",
      ...auditOf(folder).flags,
    ],
  };
}

/** kube-controller-manager, without the controllers that a cloud or a second node would want. */
export function controllerManagerProgram(lab: LabPlan, cluster: PreparedCluster): ProgramSpec {
  const { folder, kubeconfigFile, plan } = cluster;
  return {
    name: `${plan.id}-kube-controller-manager`,
    netns: plan.id,
    argv: [
      lab.programs.kubeControllerManager,
      `--kubeconfig=${kubeconfigFile}`,
      `--authentication-kubeconfig=${kubeconfigFile}`,
      `--authorization-kubeconfig=${kubeconfigFile}`,
      "--leader-elect=false",
      "--use-service-account-credentials=false",
      `--service-account-private-key-file=${folder}/sa.key`,
      `--root-ca-file=${folder}/ca.crt`,
      `--cert-dir=${folder}/kube-controller-manager`,
      "--bind-address=127.0.0.1",
      "--profiling=false",
      "--controllers=*,-node-ipam-controller,-node-route-controller,-service-lb-controller",
    ],
  };
}

/** kube-proxy; `nft` has to be on its PATH. */
export function kubeProxyProgram(lab: LabPlan, cluster: PreparedCluster): ProgramSpec {
  return {
    name: `${cluster.plan.id}-kube-proxy`,
    netns: cluster.plan.id,
    argv: [lab.programs.kubeProxy, `--config=${cluster.folder}/kube-proxy.yaml`],
  };
}

/** CoreDNS with the cluster's and the cluster set's names, and no others: the lab has no way out. */
export function corednsProgram(lab: LabPlan, cluster: PreparedCluster): ProgramSpec {
  return {
    name: `${cluster.plan.id}-coredns`,
    netns: cluster.plan.id,
    argv: [lab.programs.coredns, `-conf=${cluster.folder}/Corefile`],
  };
}

/** The node agent, which runs the Pods. */
export function nodeAgentProgram(lab: LabPlan, cluster: PreparedCluster): ProgramSpec {
  return {
    name: `${cluster.plan.id}-node-agent`,
    netns: cluster.plan.id,
    argv: [
      process.execPath,
      join(lab.sourceDir, "lab", "node-agent", "main.ts"),
      join(cluster.folder, "node-agent.json"),
    ],
  };
}

function kubeProxyConfiguration(plan: ClusterPlan, kubeconfigFile: string): unknown {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "nftables",
    clientConnection: { kubeconfig: kubeconfigFile },
    hostnameOverride: plan.nodeName,
    // All of the cluster counts as local, so that Pods keep their addresses on the way to other clusters.
    clusterCIDR: plan.addresses.cidr,
    detectLocalMode: "ClusterCIDR",
    healthzBindAddress: "127.0.0.1:10256",
    metricsBindAddress: "127.0.0.1:10249",
    // Not for a namespace without rights on the host to set.
    oomScoreAdj: 0,
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    // The clusters are small: Kubernetes' default (1 s) is for thousands of Services. 0 would mean the default.
    nftables: { minSyncPeriod: "10ms", syncPeriod: "30s" },
  };
}

/**
 * Names of the cluster set have a server of their own: one without ready endpoints is not there (KEP-1645), which must not come to
 * hold for the cluster's own Services. Denials are not kept: what has just come is found.
 */
function corefile({ addresses }: ClusterPlan, kubeconfigFile: string): string {
  const server = (zones: string, kubernetes: readonly string[]): string => `${zones} {
    bind ${addresses.dns}
    errors
${kubernetes.map((line) => `    ${line}\n`).join("")}    cache {
        success 9984 5
        disable denial
    }
    loadbalance
}
`;
  const common = [`    kubeconfig ${kubeconfigFile}`, "    ttl 5"];
  return [
    server("clusterset.local:53", [
      "kubernetes clusterset.local {",
      ...common,
      "    multicluster clusterset.local",
      "    ignore empty_service",
      "}",
    ]),
    server(".:53", ["kubernetes cluster.local in-addr.arpa {", ...common, "    pods insecure", "}"]),
  ].join("");
}

async function writeAll(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  await Promise.all(
    Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text, { mode: 0o600 })),
  );
}
