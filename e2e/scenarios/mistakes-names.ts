/** Names that meet, are too long, or are somebody else's. */
import { must } from "../claim.ts";
import type { Evidence } from "../claim.ts";
import type { Environment } from "../environment.ts";
import type { InstallTarget } from "../../src/lab/install.ts";
import { service, serviceExport } from "../manifests.ts";
import { isTold } from "../mistake.ts";
import { objectsOfService } from "../objects.ts";
import { probe } from "../traffic.ts";
import { exporterOf } from "./mistakes-exports.ts";

const older = { name: "a-b", namespace: "c" };
const younger = { name: "a", namespace: "b-c" };
const plain = "a-b-c-sd-wan-priority-high";
const long = { name: `long-${"x".repeat(57)}d`, namespace: "secure" };

async function standsAsBefore(
  environment: Environment,
  where: {
    readonly cluster: InstallTarget;
    readonly object: readonly string[];
    readonly path: string;
    readonly value: string;
  },
): Promise<Evidence> {
  const { cluster, object, path, value } = where;
  const seen = await environment.kubectl.run(cluster.context, ["get", ...object, "-o", `jsonpath=${path}`]);
  must(seen === value, "the user's object was changed", { seen, value });
  return { left: seen };
}

export const nameMistakes = [
  isTold(
    "of two services whose dummies' names meet, the older has the plain name, and the other is told its own",
    (environment) => {
      const exporter = exporterOf(environment);
      return {
        placed: [
          { in: exporter, objects: [service(older), serviceExport(older)] },
          { in: exporter, objects: [service(younger), serviceExport(younger)] },
        ],
        told: [
          {
            in: exporter,
            namespace: younger.namespace,
            object: "serviceexport/a",
            type: "Ready",
            status: "True",
            reason: "Exported",
            says: [/older export holds the plain names/, /a-b-c-sd-wan-priority-high-[0-9a-f]{8}/],
          },
          {
            in: environment.consumer,
            namespace: younger.namespace,
            object: "serviceimports.multicluster.x-k8s.io/a",
            type: "Ready",
            status: "True",
            reason: "Ready",
            says: [/a-b-c-sd-wan-priority-high-[0-9a-f]{8}/],
          },
        ],
        also: async () => {
          const holder = await objectsOfService(environment, environment.consumer, older);
          must(holder.includes(`Service mc-wan/${plain}`), "the older does not hold the plain name", {
            holder,
          });
          return {};
        },
      };
    },
  ),
  isTold("a service with a name of 63 characters is exported, imported and reached", (environment) => {
    const exporter = exporterOf(environment);
    return {
      placed: [{ in: exporter, objects: [service(long), serviceExport(long)] }],
      told: [
        {
          in: exporter,
          namespace: long.namespace,
          object: `serviceexport/${long.name}`,
          type: "Ready",
          status: "True",
          reason: "Exported",
          says: [],
        },
        {
          in: environment.consumer,
          namespace: long.namespace,
          object: `serviceimports.multicluster.x-k8s.io/${long.name}`,
          type: "Ready",
          status: "True",
          reason: "Ready",
          says: [/is reached as "long-x{49}-[0-9a-f]{8}"/],
        },
      ],
      also: async () => {
        must(long.name.length === 63, "the name is not that long", { length: long.name.length });
        const standing = await objectsOfService(environment, environment.consumer, long);
        const shadow =
          standing.find((name) => name.startsWith("Service secure/"))?.slice("Service secure/".length) ?? "";
        const client = { cluster: environment.consumer, namespace: "secure", deployment: "client" };
        const { statuses, failures } = await probe(environment, client, [
          `http://${shadow}.secure.svc.cluster.local:8080/`,
          "--count",
          "10",
        ]);
        must(statuses["200"] === 10, "it does not answer", { shadow, statuses, failures });
        return { shadow, statuses };
      },
    };
  }),
  isTold("a user's Service under the name of a shadow is left alone, and the import told", (environment) => {
    const at = { name: "occupied", namespace: "secure" };
    const user = service(
      { name: "occupied-clusterset", namespace: "secure" },
      { selector: { app: "client" }, ports: [{ port: 1234 }] },
    );
    const exporter = exporterOf(environment);
    return {
      placed: [
        { in: environment.consumer, objects: [user] },
        { in: exporter, objects: [service(at), serviceExport(at)] },
      ],
      told: [
        {
          in: environment.consumer,
          namespace: "secure",
          object: "serviceimports.multicluster.x-k8s.io/occupied",
          type: "Ready",
          reason: "NotOurs",
          says: [/Service "secure\/occupied-clusterset"/, /left alone/, /Rename or delete/],
        },
      ],
      also: () =>
        standsAsBefore(environment, {
          cluster: environment.consumer,
          object: ["-n", "secure", "service/occupied-clusterset"],
          path: "{.spec.selector.app} {.spec.ports[*].port}",
          value: "client 1234",
        }),
    };
  }),
  isTold(
    "a user's Gateway under the name of an ingress Gateway is left alone, and the export told",
    (environment) => {
      const at = { name: "occupied", namespace: "secure" };
      const exporter = exporterOf(environment);
      const user = {
        apiVersion: "gateway.networking.k8s.io/v1",
        kind: "Gateway",
        metadata: { name: "occupied-ingress", namespace: "secure" },
        spec: {
          gatewayClassName: "somebody-elses",
          listeners: [{ name: "web", port: 80, protocol: "HTTP" }],
        },
      };
      return {
        placed: [{ in: exporter, objects: [user, service(at), serviceExport(at)] }],
        told: [
          {
            in: exporter,
            namespace: "secure",
            object: "serviceexport/occupied",
            type: "Ready",
            reason: "NotOurs",
            says: [/Gateway "secure\/occupied-ingress"/, /left alone/, /Rename or delete/],
          },
        ],
        also: () =>
          standsAsBefore(environment, {
            cluster: exporter,
            object: ["-n", "secure", "gateway/occupied-ingress"],
            path: "{.spec.gatewayClassName} {.spec.listeners[*].name}",
            value: "somebody-elses web",
          }),
      };
    },
  ),
];
