/** Random Pods that are clients, and what exporters ask of them; and what must hold of what egress gateways say of them. */
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { RBACPerRouteSchema } from "../../src/envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts";
import type { KubeObject } from "../../src/model/kube-object.ts";
import { egressPool } from "../../src/model/names.ts";
import { clientsFilterName } from "../../src/translate/clients.ts";
import { dense, maybe, namespaceName, objectOf, serviceName } from "./names.ts";
import type { Outcome } from "./pass.ts";

const account = fc.constantFrom("web", "web", "default", "constructor");
/** Few, so that Pods meet. */
const address = fc.constantFrom(
  "198.18.1.51",
  "198.18.1.51",
  "198.18.1.52",
  "198.18.1.52",
  "fd00::1",
  "127.0.0.1",
);

export const clientPod: fc.Arbitrary<KubeObject> = fc
  .record({
    namespace: namespaceName,
    name: fc.constantFrom("p", "q", "r"),
    serviceAccountName: maybe(account),
    hostNetwork: fc.constantFrom(undefined, undefined, undefined, true),
    phase: fc.constantFrom("Running", "Running", "Running", "Pending", "Succeeded", "Failed"),
    podIP: maybe(address),
  })
  .map(({ namespace, name, serviceAccountName, hostNetwork, phase, podIP }) =>
    objectOf(
      ["v1", "Pod"],
      { namespace, name },
      { spec: dense({ serviceAccountName, hostNetwork }), status: dense({ phase, podIP }) },
    ),
  );

const client = fc
  .record({
    cluster: maybe(fc.constantFrom("west", "west", "north")),
    namespace: namespaceName,
    serviceAccount: maybe(account),
  })
  .map(dense);

/** As a ServiceAdvertisement holds them. */
export const askedClients = fc.array(client, { maxLength: 3 });

export const accessPolicy: fc.Arbitrary<KubeObject> = fc
  .record({
    namespace: namespaceName,
    name: fc.constantFrom("p", "q"),
    of: serviceName,
    from: maybe(
      fc.array(fc.oneof(client, fc.constant({ cluster: "north" })), { minLength: 1, maxLength: 3 }),
    ),
  })
  .map(({ namespace, name, of, from }) =>
    objectOf(
      ["mc-wan.l7mp.io/v1alpha1", "AccessPolicy"],
      { namespace, name },
      {
        spec: {
          targetRefs: [{ group: "multicluster.x-k8s.io", kind: "ServiceExport", name: of }],
          rules: [dense({ from })],
        },
      },
    ),
  );

/** Addresses that an egress gateway takes for a client that is not the one Pod that has them, or that nobody asks for. */
export function strayClients({ world, desired, translation }: Outcome): readonly string[] {
  const tables = translation.config.fleets.get(egressPool)?.routes ?? new Map<string, never>();
  return [...tables].flatMap(([table, { virtualHosts }]) =>
    virtualHosts.flatMap(({ typedPerFilterConfig }) => {
      const config = typedPerFilterConfig[clientsFilterName];
      const said = config && anyUnpack(config, RBACPerRouteSchema)?.rbac?.shadowRules?.policies;
      const asked = desired.clients.get(table.split("/").slice(1, 3).join("/")) ?? {};
      return Object.entries(said ?? {}).flatMap(([name, { principals }]) =>
        principals.flatMap(({ identifier }) => {
          const at = identifier.case === "directRemoteIp" ? identifier.value.addressPrefix : "anywhere";
          const [owner, another] = [...world.home.ClientPod.values()].filter((pod) =>
            pod.addresses.includes(at),
          );
          const isRight =
            owner !== undefined &&
            another === undefined &&
            owner.isOfNode !== true &&
            `${owner.metadata.namespace ?? ""}/${owner.account}` === name;
          return isRight && Object.hasOwn(asked, name) ? [] : [`${table}: ${at} is taken for ${name}`];
        }),
      );
    }),
  );
}
