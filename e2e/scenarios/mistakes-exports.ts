/** Mistakes in ServiceExports. */
import { must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import type { InstallTarget } from "../../src/lab/install.ts";
import { service, serviceExport } from "../manifests.ts";
import { isTold } from "../mistake.ts";
import { objectsOfService } from "../objects.ts";
import { probe } from "../traffic.ts";

const inMistakes = (name: string) => ({ name, namespace: "mistakes" });

/** The cluster that makes the mistakes of exporters. */
export function exporterOf({ exporters: [exporter] }: Environment): InstallTarget {
  must(exporter !== undefined, "there is no exporter", {});
  return exporter;
}

/** A Service that can't be exported at all. */
function invalid(title: string, details: { name: string; spec?: object; reason: string; says: RegExp[] }) {
  const at = inMistakes(details.name);
  return isTold(title, (environment) => {
    const exporter = exporterOf(environment);
    return {
      placed: [
        {
          in: exporter,
          objects: [...(details.spec === undefined ? [] : [service(at, details.spec)]), serviceExport(at)],
        },
      ],
      told: [
        {
          in: exporter,
          namespace: at.namespace,
          object: `serviceexport/${at.name}`,
          type: "Valid",
          reason: details.reason,
          says: details.says,
        },
      ],
      also: async () => {
        const standing = await objectsOfService(environment, environment.consumer, at);
        must(standing.length === 0, "another cluster imported it", { standing });
        return {};
      },
    };
  });
}

export const exportMistakes = [
  isTold("an export with a WANPolicy that doesn't exist is told at both ends, and closed", (environment) => {
    // Its Pods are there: only the policy is missing.
    const at = { name: "unpoliced", namespace: "secure" };
    const exporter = exporterOf(environment);
    const says = [/"sd-wan-priority-hihg"/, /Create it, or name another/];
    return {
      placed: [{ in: exporter, objects: [service(at), serviceExport(at, "sd-wan-priority-hihg")] }],
      told: [
        {
          in: exporter,
          namespace: "secure",
          object: "serviceexport/unpoliced",
          type: "Classified",
          reason: "PolicyNotFound",
          says,
        },
        {
          in: environment.consumer,
          namespace: "secure",
          object: "serviceimports.multicluster.x-k8s.io/unpoliced",
          type: "Classified",
          reason: "NoPolicy",
          says: [/polic/i],
        },
      ],
      also: async () => {
        const client = { cluster: environment.consumer, namespace: "secure", deployment: "client" };
        const url = "http://unpoliced-clusterset.secure.svc.cluster.local:8080/";
        const { statuses, failures } = await probe(environment, client, [url, "--count", "5"]);
        must(statuses["200"] === undefined, "requests crossed the WAN on some tunnel", {
          statuses,
          failures,
        });
        return { statuses, failures };
      },
    };
  }),
  invalid("an export of a Service that doesn't exist is not valid", {
    name: "nothing",
    reason: "NoService",
    says: [/"nothing"/, /"mistakes"/, /Create it, or delete the ServiceExport/],
  }),
  invalid("an export of an ExternalName Service is not valid", {
    name: "elsewhere",
    spec: { type: "ExternalName", externalName: "example.com" },
    reason: "InvalidServiceType",
    says: [/ExternalName/, /Give it a selector|export another/],
  }),
  isTold(
    "an export of a UDP-only Service is told at both ends that its port can't be carried",
    (environment) => {
      const at = inMistakes("udp-only");
      const exporter = exporterOf(environment);
      const says = [/53\/UDP/, /only HTTP, gRPC and TCP/];
      const spec = { selector: { app: "none" }, ports: [{ name: "dns", port: 53, protocol: "UDP" }] };
      return {
        placed: [{ in: exporter, objects: [service(at, spec), serviceExport(at)] }],
        told: [
          {
            in: environment.consumer,
            namespace: at.namespace,
            object: "serviceimports.multicluster.x-k8s.io/udp-only",
            type: "PortsSupported",
            reason: "UnsupportedProtocol",
            says,
          },
          {
            in: exporter,
            namespace: at.namespace,
            object: "serviceexport/udp-only",
            type: "PortsSupported",
            reason: "UnsupportedProtocol",
            says,
          },
        ],
      };
    },
  ),
];
