/**
 * What reconcile asks of a data plane in one pass: which GatewayClass its Gateways have, what has to be deployed for them,
 * where peers reach its ingress, and where the egress side of an import is. `envoy-plane.ts` and `gateway-api-plane.ts`
 * are the two there are; `Settings.dataPlane` chooses.
 *
 *     World, exports → DataPlanePass → exports, imports, statuses
 */
import type { AdvertisedIdentity, GatewayEndpoint } from "../api/gateway-advertisement.ts";
import type { DesiredStatus, DrainingPort, ServiceRef } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import type { Problem } from "../model/problem.ts";
import type { SlicesByService } from "../model/service-slices.ts";
import type { World } from "../model/world.ts";
import type { Contribution } from "./assemble.ts";
import type { Finding } from "./conditions.ts";
import type { EgressPlace } from "./egress-place.ts";
import type { HomeExport } from "./exports.ts";
import type { Import } from "./import-side.ts";
import type { PolicySet } from "./wan-policies.ts";

/** What the pass knows before. */
export interface DataPlaneInput {
  readonly policies: PolicySet;
  /** Slices of all Services but those that mc-wan writes itself. */
  readonly slices: SlicesByService;
  readonly owner: OwnerReference | undefined;
  /** What peers are told of the identity of mc-wan's own gateways. */
  readonly identity: AdvertisedIdentity | undefined;
  /** The home cluster's exports, by `namespace/name`. */
  readonly exports: ReadonlyMap<string, HomeExport>;
}

/** A data plane's answers for one World. */
export interface DataPlanePass {
  /** Of generated Gateways; undefined: none may be written. */
  readonly gatewayClassName: string | undefined;
  /** status.addresses of ingress Gateways, where they are ours to write. */
  readonly ingressAddresses: readonly string[];
  /** What is deployed, and what peers are told of its gateways. */
  readonly contributions: readonly Contribution[];
  /** The home cluster's own gateways, by the name of their pool. */
  readonly homePools: ReadonlyMap<string, readonly GatewayEndpoint[]>;
  /** See {@link Desired.draining}. */
  readonly draining: readonly DrainingPort[];
  /** Why peers are not told of our own gateways: for lack of an address, and of ports of policies. */
  readonly ingress: { readonly unaddressed: readonly Problem[]; readonly closed: readonly Problem[] };
  /** Where the egress sides of all imports are. */
  readonly egress: (imports: readonly Import[]) => (imported: Import) => EgressPlace;
  /** Set where another implementation carries the traffic, which knows nothing of WAN backends. */
  readonly other?: OtherCarrier;
}

/** What is different where another implementation carries the traffic. */
export interface OtherCarrier {
  /** Backends of an export of the home cluster, ready ones and all. */
  readonly homeBackends: (service: ServiceRef) => { readonly ready: number; readonly total: number };
  /** Whether the home cluster's Gateway of an export is carried; undefined if it needs none. */
  readonly ofExport: (homeExport: HomeExport) => Finding | undefined;
  /** Whether the home cluster's Gateway of an import is carried; undefined if it needs none. */
  readonly ofImport: (imported: Import) => Finding | undefined;
  /** controllerName under which it writes statuses of routes; undefined while its GatewayClass is not usable. */
  readonly controllerName: string | undefined;
  /** Of GatewayClasses that nobody carries now. */
  readonly statuses: readonly DesiredStatus[];
}

/** A data plane in reconcile: remembers from pass to pass. */
export interface DataPlaneInReconcile {
  pass(world: World, input: DataPlaneInput): DataPlanePass;
}
