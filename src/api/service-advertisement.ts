/**
 * ServiceAdvertisement: all that a peer needs to know of one exported service. Written by the exporting cluster only.
 * Schema: crds/serviceadvertisements.mc-wan.l7mp.io.yaml.
 */
import { addressProblems, apiVersion, formatVersionProblems, parserOf } from "./custom-object.ts";
import type { CustomObject, Parsed } from "./custom-object.ts";
import type { ServiceAdvertisementSpec } from "./generated/service-advertisement.ts";
import { schema } from "./generated/service-advertisement-schema.ts";

export type {
  AdvertisedClient,
  AdvertisedEndpoint,
  AdvertisedPort,
  ReadyBackends,
  ServiceAdvertisementSpec,
} from "./generated/service-advertisement.ts";

/** One exported service, as its cluster tells its peers. */
export type ServiceAdvertisement = CustomObject<
  typeof apiVersion,
  "ServiceAdvertisement",
  ServiceAdvertisementSpec,
  never
>;

/**
 * A ServiceAdvertisement from outside, or all that is wrong with it: unknown fields are passed over, an unknown value of
 * an enumeration or a newer formatVersion is a problem.
 */
export const parseServiceAdvertisement: (input: unknown) => Parsed<ServiceAdvertisement> =
  parserOf<ServiceAdvertisement>({
    apiVersions: [apiVersion],
    kind: "ServiceAdvertisement",
    schema,
    check: ({ spec }) => [
      ...formatVersionProblems(spec),
      ...addressProblems((spec.endpoints ?? []).flatMap(({ addresses }) => addresses)),
    ],
  });
