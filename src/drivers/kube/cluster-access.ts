/** How to reach one cluster and who we are there. Made by `kubeconfig.ts`, used by the transport. */

export interface ClusterAccess {
  /** `https://host:port`, and a path prefix if the server has one. */
  readonly server: URL;
  readonly tls: {
    readonly ca?: Buffer;
    readonly cert?: Buffer;
    readonly key?: Buffer;
    /** Name to expect in the server's certificate, where it is not the host. */
    readonly servername?: string;
    /** Only where the operator's own kubeconfig says so, never for a peer. */
    readonly rejectUnauthorized?: false;
  };
  /** Longest answer that is read; the transport's own limit where nothing is said. */
  readonly maxAnswerBytes?: number;
  /** The Authorization header for the next request; asked each time, since tokens rotate. */
  authorization(): Promise<string | undefined>;
}
