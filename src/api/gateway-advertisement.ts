/**
 * GatewayAdvertisement: where peers reach one pool of ingress gateways. Written by the cluster of the gateways only.
 * Schema: crds/gatewayadvertisements.mc-wan.l7mp.io.yaml.
 */
import { addressProblems, apiVersion, formatVersionProblems, parserOf } from "./custom-object.ts";
import type { GatewayEndpoint } from "./generated/gateway-advertisement.ts";
import type { CustomObject, Parsed } from "./custom-object.ts";
import type {
  GatewayAdvertisementSpec,
  GatewayAdvertisementStatus,
} from "./generated/gateway-advertisement.ts";
import { schema } from "./generated/gateway-advertisement-schema.ts";
import { bundleProblems } from "./trust-bundle.ts";

export type { GatewayEndpoint, AdvertisedIdentity, PeerStatus } from "./generated/gateway-advertisement.ts";

/** One pool of ingress gateways, as its cluster tells its peers. */
export type GatewayAdvertisement = CustomObject<
  typeof apiVersion,
  "GatewayAdvertisement",
  GatewayAdvertisementSpec,
  GatewayAdvertisementStatus
>;

/**
 * A GatewayAdvertisement from outside, or all that is wrong with it: unknown fields are passed over, an unknown value of
 * an enumeration or a newer formatVersion is a problem.
 */
export const parseGatewayAdvertisement: (input: unknown) => Parsed<GatewayAdvertisement> =
  parserOf<GatewayAdvertisement>({
    apiVersions: [apiVersion],
    kind: "GatewayAdvertisement",
    schema,
    check: ({ spec }) => [
      ...formatVersionProblems(spec),
      ...addressProblems(spec.endpoints.map(({ address }) => address)),
      ...(spec.identity === undefined ? [] : bundleProblems(spec.identity.bundle)),
    ],
  });

/** The port of a gateway for a policy; undefined if it doesn't listen for it. */
export const portAt = ({ ports }: Pick<GatewayEndpoint, "ports">, policy: string): number | undefined =>
  Object.hasOwn(ports, policy) ? ports[policy] : undefined;

/** How a gateway is spoken to at that port. Versions that don't know modes speak plain text. */
export const modeAt = (
  { modes = {} }: Pick<GatewayEndpoint, "modes">,
  policy: string,
): "MutualTLS" | "Plain" => (Object.hasOwn(modes, policy) ? modes[policy] : undefined) ?? "Plain";
