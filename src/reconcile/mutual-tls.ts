/**
 * What generated objects say of mutual TLS between gateways, in the standard fields. No Secret is named anywhere: the
 * certificates are mc-wan's own, in a namespace that no tenant reads, and no grant may ever let a tenant's Gateway show
 * them. mc-wan's Envoys get them by the identity that is named instead.
 *
 * Source: Gateway API, ListenerTLSConfig.options, FrontendTLSConfig, BackendTLSPolicy.
 */
import { modeOf } from "../api/wan-policy.ts";
import type { DesiredObject, ServiceRef } from "../model/desired.ts";
import { spiffeIdOf } from "../model/identity.ts";
import type { TrustedAuthority } from "../model/identity.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import { dummyNamespace, group, ingressPool, systemNamespace } from "../model/names.ts";
import { serverNameOf } from "../model/server-names.ts";
import type { DummyNames } from "./dummy-services.ts";
import { metadataOf, typeOf } from "./owners.ts";
import { grantName } from "./reference-grants.ts";
import type { PolicySet } from "./wan-policies.ts";

/** Protocol and TLS of an ingress Gateway's listener for a policy of mode MutualTLS. */
export const mutualTlsListener = {
  protocol: "HTTPS",
  tls: { mode: "Terminate" as const, options: { [`${group}/identity`]: "ingress" } },
};

/** Who may connect there: gateways of the clusters that are known by the advertisement of this cluster, and by its peers'. */
export const clientsOfSet = {
  default: {
    validation: {
      caCertificateRefs: [
        { group, kind: "GatewayAdvertisement", namespace: systemNamespace, name: ingressPool },
      ],
    },
  },
};

/** Gateway API allows so many targets of one policy. */
const maxTargets = 16;
/** And so many names. */
const maxNames = 5;

/** Authorities of the cluster set, as a BackendTLSPolicy names them. */
const authoritiesOfSet = `${group}/clusterset`;

/** BackendTLSPolicies for the dummies of one service whose policies have mode MutualTLS. */
export function dummyTlsPolicies(
  service: ServiceRef,
  {
    names,
    policies,
    exporters,
  }: {
    readonly names: DummyNames;
    readonly policies: PolicySet;
    /** Authorities of the clusters whose gateways may answer. */
    readonly exporters: readonly TrustedAuthority[];
  },
  owner: OwnerReference | undefined,
): DesiredObject[] {
  const secured = [...names].flatMap(([name, dummy]) => {
    const policy = policies.accepted.get(name);
    return policy !== undefined && modeOf(policy) === "MutualTLS" ? [dummy] : [];
  });
  const uris = exporters.map(({ cluster, trustDomain }) => spiffeIdOf(trustDomain, cluster, "ingress"));
  const objects: DesiredObject[] = [];
  for (let start = 0; start < secured.length; start += maxTargets) {
    const targets = secured.slice(start, start + maxTargets);
    const part = start === 0 ? [] : [String(start / maxTargets + 1)];
    objects.push({
      kind: "BackendTLSPolicy",
      object: {
        ...typeOf("BackendTLSPolicy"),
        metadata: metadataOf({
          namespace: dummyNamespace,
          name: grantName(service, ...part),
          cause: service,
          owner,
        }),
        spec: {
          targetRefs: targets.map((name) => ({ group: "", kind: "Service", name })),
          validation: {
            hostname: serverNameOf(service),
            wellKnownCACertificates: authoritiesOfSet,
            // More than fit are checked all the same; the field can't hold them.
            ...(uris.length > 0 && {
              subjectAltNames: uris.slice(0, maxNames).map((uri) => ({ type: "URI", uri })),
            }),
          },
        },
      },
    });
  }
  return objects;
}
