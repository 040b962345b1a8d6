/**
 * What mc-wan's own gateways show each other over the WAN, and by what they check each other.
 *
 *     identity/<fleet>           the certificate that the fleet's Envoys show
 *     trust/clusterset           whose certificates an ingress takes: all clusters of the set
 *     trust/ingress/<a>,<b>      whose certificates a client takes for a service that clusters a and b export
 *
 * Each cluster's authorities only count for its own trust domain: Envoy's SPIFFE validator looks for the bundle of the
 * trust domain of a certificate's first URI. Who calls is then judged by the same first URI, so that a second one in the
 * same certificate vouches for nothing. Authorities that can't be read are left out: who depends on them is refused.
 *
 * Source: Envoy, extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig, extensions.filters.http.rbac.v3.
 */
import { RBACSchema as NetworkRbacSchema } from "../envoy/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts";
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { ActionSchema, RBAC_Action } from "../envoy/envoy/config/rbac/v3/rbac_pb.ts";
import { RBACPerRouteSchema } from "../envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts";
import { UriSanInputSchema } from "../envoy/envoy/extensions/matching/common_inputs/ssl/v3/ssl_inputs_pb.ts";
import { SubjectAltNameMatcher_SanType } from "../envoy/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import { SecretSchema } from "../envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { SPIFFECertValidatorConfigSchema } from "../envoy/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.ts";
import type {
  Matcher_MatcherList_FieldMatcherSchema,
  Matcher_MatcherList_PredicateSchema,
} from "../envoy/xds/type/matcher/v3/matcher_pb.ts";
import type { StringMatcherSchema } from "../envoy/xds/type/matcher/v3/string_pb.ts";
import type { Desired, FleetName } from "../model/desired.ts";
import { spiffeIdOf } from "../model/identity.ts";
import type { KeyPairPem, TrustedAuthority } from "../model/identity.ts";
import { KeyedMemo } from "../model/memo.ts";
import { Redacted } from "../model/redacted.ts";
import type { ClusterId, World } from "../model/world.ts";
import { pack } from "./any.ts";
import type { Material } from "./certificates.ts";
import { keyPairSecret } from "./certificates.ts";
import { readAuthorities, readKeyPair } from "./key-pairs.ts";

/** The filter that looks at who calls. */
export const callersFilterName = "envoy.filters.http.rbac";

type Gateways = ReadonlyMap<FleetName, KeyPairPem>;

/** Looks up identities and whom to trust; the same content is the same object in every pass. */
export class GatewayTrust {
  readonly #materials = new KeyedMemo<Material | undefined>();
  readonly #usable = new KeyedMemo<TrustedAuthority | undefined>();
  readonly #callers = new KeyedMemo<Any>();
  #trusted: readonly TrustedAuthority[] = [];
  #gateways: Gateways = new Map();

  /** Starts a pass over one World. */
  startPass({ identity }: World, { trust }: Desired): void {
    for (const memo of [this.#materials, this.#usable, this.#callers]) memo.endPass();
    this.#gateways = identity?.gateways ?? new Map<FleetName, KeyPairPem>();
    this.#trusted = trust.flatMap((authority) => {
      const { cluster, trustDomain, bundle } = authority;
      return this.#usable.get(cluster, [trustDomain, bundle], () => usable(authority)) ?? [];
    });
  }

  /** What a fleet's Envoys show; undefined while there is nothing that they could. */
  identityOf(fleet: FleetName): Material | undefined {
    const pair = this.#gateways.get(fleet);
    if (pair === undefined) return undefined;
    const name = `identity/${fleet}`;
    return this.#materials.get(name, [pair.certificatePem, pair.keyPem.reveal()], () => {
      const read = readKeyPair(pair.certificatePem, pair.keyPem.reveal());
      return "fault" in read ? undefined : { name, secret: keyPairSecret(name, read) };
    });
  }

  /** By what an ingress checks its clients; undefined while nobody can be trusted. */
  get clusterset(): Material | undefined {
    return this.#validation("trust/clusterset", this.#trusted, []);
  }

  /** By what the ingress gateways of some clusters are checked; undefined while none of them can be. */
  ingressOf(clusters: readonly ClusterId[]): Material | undefined {
    const trusted = this.#trusted.filter(({ cluster }) => clusters.includes(cluster));
    const names = trusted.map(({ cluster, trustDomain }) => spiffeIdOf(trustDomain, cluster, "ingress"));
    return this.#validation(`trust/ingress/${clusters.join(",")}`, trusted, names);
  }

  /** Whose word is taken. */
  get trusted(): readonly TrustedAuthority[] {
    return this.#trusted;
  }

  /** Who may call at all, for the route tables of policies' ports: what stops being trusted is refused on open connections too. */
  get callers(): Any {
    const dependencies = this.#trusted.map(({ trustDomain }) => trustDomain);
    return this.#callers.get("", dependencies, () => callersOf(this.#trusted));
  }

  #validation(
    name: string,
    trusted: readonly TrustedAuthority[],
    ids: readonly string[],
  ): Material | undefined {
    return this.#materials.get(name, trusted, () =>
      trusted.length === 0 ? undefined : { name, secret: validationSecret(name, trusted, ids) },
    );
  }
}

function usable(authority: TrustedAuthority): TrustedAuthority | undefined {
  const read = readAuthorities(authority.bundle);
  return "fault" in read ? undefined : { ...authority, bundle: read.bundle };
}

function validationSecret(
  name: string,
  trusted: readonly TrustedAuthority[],
  ids: readonly string[],
): Material["secret"] {
  const config = pack(SPIFFECertValidatorConfigSchema, {
    trustDomains: trusted.map(({ trustDomain, bundle }) => ({
      name: trustDomain,
      trustBundle: { specifier: { case: "inlineString" as const, value: bundle } },
    })),
  });
  const value = {
    customValidatorConfig: { name: "envoy.tls.cert_validator.spiffe", typedConfig: config },
    matchTypedSubjectAltNames: ids.map((id) => ({
      sanType: SubjectAltNameMatcher_SanType.URI,
      matcher: { matchPattern: { case: "exact" as const, value: id } },
    })),
  };
  return new Redacted(create(SecretSchema, { name, type: { case: "validationContext", value } }));
}

type Predicate = MessageInitShape<typeof Matcher_MatcherList_PredicateSchema>;
type StringMatch = NonNullable<MessageInitShape<typeof StringMatcherSchema>["matchPattern"]>;

/** All URIs of the caller's certificate, with commas between them. */
const uris = { name: "envoy.matching.inputs.uri_san", typedConfig: pack(UriSanInputSchema, {}) };

const isUri = (matchPattern: StringMatch): Predicate => ({
  matchType: {
    case: "singlePredicate",
    value: { input: uris, matcher: { case: "valueMatch", value: { matchPattern } } },
  },
});

const anyOf = (predicates: readonly Predicate[]): Predicate => {
  const [only, second] = predicates;
  return only !== undefined && second === undefined
    ? only
    : { matchType: { case: "orMatcher", value: { predicate: [...predicates] } } };
};

const decide = (
  name: string,
  action: RBAC_Action,
  predicate: Predicate,
): MessageInitShape<typeof Matcher_MatcherList_FieldMatcherSchema> => ({
  predicate,
  onMatch: {
    onMatch: {
      case: "action",
      value: { name: "action", typedConfig: pack(ActionSchema, { name, action }) },
    },
  },
});

/**
 * The same for streams, where TLS has checked whom to trust: who receives sends nothing. It is part of a listener, so that it
 * depends on nothing that changes.
 */
export const streamCallers: Any = pack(NetworkRbacSchema, {
  statPrefix: "callers",
  matcher: {
    matcherType: {
      case: "matcherList",
      value: {
        matchers: [
          decide(
            "no-sender",
            RBAC_Action.DENY,
            anyOf([
              isUri({ case: "contains", value: "," }),
              isUri({ case: "suffix", value: "/gateway/ingress" }),
            ]),
          ),
          decide("cluster-set", RBAC_Action.ALLOW, isUri({ case: "prefix", value: "spiffe://" })),
        ],
      },
    },
  },
});

/** Gateways that send: all of a cluster but those that receive. Who is nobody of these is denied. */
function callersOf(trusted: readonly TrustedAuthority[]): Any {
  const several = isUri({ case: "contains", value: "," });
  const receiving = trusted.map(({ cluster, trustDomain }) =>
    isUri({ case: "exact", value: spiffeIdOf(trustDomain, cluster, "ingress") }),
  );
  const ofSet = trusted.map(({ cluster, trustDomain }) =>
    isUri({ case: "prefix", value: spiffeIdOf(trustDomain, cluster, "") }),
  );
  const matchers = [
    decide("no-sender", RBAC_Action.DENY, anyOf([several, ...receiving])),
    ...(ofSet.length === 0 ? [] : [decide("cluster-set", RBAC_Action.ALLOW, anyOf(ofSet))]),
  ];
  return pack(RBACPerRouteSchema, {
    rbac: { matcher: { matcherType: { case: "matcherList", value: { matchers } } } },
  });
}
