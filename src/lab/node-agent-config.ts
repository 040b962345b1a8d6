/**
 * The agreement between the lab and its node agents: what the lab puts into the JSON file whose path is the agent's only argument.
 *
 *     lab/inside/cluster.ts ── node src/lab/node-agent/main.ts <runDir>/node-agent.json ──> node agent (in the cluster's network namespace)
 *
 * Never holds secrets itself, only the paths of files that do.
 */

/** Where the agent's kubelet endpoint (exec, logs, port-forward) listens, and whom it believes. */
interface KubeletEndpointConfig {
  /** TCP port on `nodeIP`, also announced in the Node's `daemonEndpoints`. */
  readonly port: number;
  /** PEM certificate for `nodeIP`; kube-apiserver verifies it. */
  readonly certFile: string;
  readonly keyFile: string;
  /** PEM CA of kube-apiserver's client certificate: without a certificate of this CA every request is refused (pods reach the port too). */
  readonly clientCAFile: string;
}

/** All that a node agent is told. Paths are absolute and hold inside the lab's namespaces; addresses are IPv4. */
export interface NodeAgentConfig {
  /** The cluster's id, as `c1`. */
  readonly cluster: string;
  /** Name of the one Node, which the lab has created before the agent starts; the agent keeps its Lease and its Ready condition. */
  readonly nodeName: string;
  /** The Node's InternalIP, already on an interface of the namespace the agent runs in. */
  readonly nodeIP: string;
  /** The namespace's address that pods use as their next hop and that answers for the node towards pods (198.18.N.1). */
  readonly podGatewayIP: string;
  /** Kubeconfig with an administrator's rights, verified TLS, current context set. */
  readonly kubeconfig: string;
  /** Pod addresses are given out of this range (all of it, nothing else uses it). The agent adds a /32 route per pod. */
  readonly podCIDR: string;
  /** ClusterIP of the `kube-system/kube-dns` Service, for the pods' resolv.conf. */
  readonly dnsIP: string;
  /** Usually `cluster.local`. */
  readonly clusterDomain: string;
  /** The agent's own folder, exists, empty at start: pod roots, volumes and logs. It is thrown away with the lab. */
  readonly runDir: string;
  /** JSON file that maps image names to what is run for them; its shape is the node agent's (`node-agent/images.ts`). Empty: only the built-in names. */
  readonly imagesFile: string;
  readonly kubelet: KubeletEndpointConfig;
  /** Folder of the lab's programs (envoy, kubectl, …), read-only. */
  readonly cacheDir: string;
}
