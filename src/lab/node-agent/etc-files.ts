/**
 * The files of a container's /etc that are made from the Pod: resolv.conf, hosts, passwd, group, hostname, nsswitch.conf. PURE.
 */
import type { IPodSpec } from "kubernetes-models/v1/PodSpec";

/** What the files are made from. `user` is the uid of the container, 0 for root. */
export interface EtcInput {
  readonly namespace: string;
  readonly hostname: string;
  readonly podIP: string;
  readonly dnsIP: string;
  readonly clusterDomain: string;
  /** The host's resolv.conf, for `dnsPolicy: Default`. */
  readonly hostResolvConf: string;
  readonly user: number;
}

function resolvConf(spec: IPodSpec, input: EtcInput): string {
  const { namespace, clusterDomain } = input;
  const policy = spec.dnsPolicy ?? "ClusterFirst";
  const own = spec.dnsConfig ?? {};
  if (policy === "Default" || (policy === "ClusterFirst" && spec.hostNetwork === true))
    return input.hostResolvConf;
  const cluster = policy !== "None";
  const nameservers = [...(cluster ? [input.dnsIP] : []), ...(own.nameservers ?? [])];
  const searches = [
    ...(cluster ? [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain] : []),
    ...(own.searches ?? []),
  ];
  const options = new Map<string, string | undefined>(cluster ? [["ndots", "5"]] : []);
  for (const { name, value } of own.options ?? []) if (name !== undefined) options.set(name, value);
  return [
    ...nameservers.map((address) => `nameserver ${address}`),
    ...(searches.length === 0 ? [] : [`search ${searches.join(" ")}`]),
    ...(options.size === 0
      ? []
      : [
          `options ${[...options].map(([name, value]) => (value === undefined ? name : `${name}:${value}`)).join(" ")}`,
        ]),
    "",
  ].join("\n");
}

function hosts(spec: IPodSpec, { podIP, hostname, namespace, clusterDomain }: EtcInput): string {
  const own =
    spec.subdomain === undefined
      ? hostname
      : `${hostname}.${spec.subdomain}.${namespace}.svc.${clusterDomain} ${hostname}`;
  const aliases = (spec.hostAliases ?? []).map(
    ({ ip, hostnames }) => `${ip}\t${(hostnames ?? []).join("\t")}`,
  );
  return [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    `${podIP}\t${own}`,
    ...aliases,
    "",
  ].join("\n");
}

/** File name to content. */
export function etcFiles(spec: IPodSpec, input: EtcInput): Record<string, string> {
  const user = input.user === 0 ? "" : `user:x:${input.user}:${input.user}::/tmp:/sbin/nologin\n`;
  const group = input.user === 0 ? "" : `user:x:${input.user}:\n`;
  return {
    "resolv.conf": resolvConf(spec, input),
    hosts: hosts(spec, input),
    hostname: `${input.hostname}\n`,
    passwd: `root:x:0:0:root:/root:/bin/sh\n${user}nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n`,
    group: `root:x:0:\ntty:x:5:\n${group}nogroup:x:65534:\n`,
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  };
}
