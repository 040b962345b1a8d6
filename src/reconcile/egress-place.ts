/** Where the egress side of an import is, as its data plane tells. */

/** Where the egress side of one import is. */
export interface EgressPlace {
  /** Ports of its Pods by number of the service's port; empty: no egress Gateway stands for the import. */
  readonly containerPorts: ReadonlyMap<number, number>;
  /** Addresses that are known to listen, by number of the service's port. */
  readonly listening: ReadonlyMap<number, readonly { readonly address: string }[]>;
  /**
   * Whether a shadow that still goes past the egress should go on so until somebody listens there: there is somebody who
   * may.
   */
  readonly mayListen: boolean;
  /** Annotations to remember where no tenant writes: at the import's ReferenceGrant. */
  readonly note: Readonly<Record<string, string>>;
}
