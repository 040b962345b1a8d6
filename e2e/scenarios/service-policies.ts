/** Two services with a policy each and no rules: the shadow Services lead straight to the ingress gateways. */
import type { Claim, Scenario } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import { applyExample, deleteExample, rollout } from "../example.ts";
import type { Workload } from "../example.ts";
import { probe } from "../traffic.ts";
import { bytesByTunnel, crossings } from "../wire.ts";

const example = "service-policies";
const mebibyte = 1024 * 1024;
const services = [
  { name: "payment", namespace: "secure", tunnel: "business", policyPort: 31121 },
  { name: "logging", namespace: "insecure", tunnel: "default", policyPort: 31122 },
] as const;
type ExampleService = (typeof services)[number];

const clientOf = (environment: Environment): Workload => ({
  cluster: environment.consumer,
  namespace: "secure",
  deployment: "client",
});
const urlOf = ({ name, namespace }: ExampleService): string =>
  `http://${name}-clusterset.${namespace}.svc.cluster.local:8080`;

async function setUp(environment: Environment, progress: (line: string) => void): Promise<void> {
  await applyExample(environment, example);
  await Promise.all([
    ...environment.exporters.flatMap((cluster) =>
      services.map(({ name, namespace }) => rollout(environment, { cluster, namespace, deployment: name })),
    ),
    rollout(environment, clientOf(environment)),
  ]);
  for (const service of services) {
    await eventually(`answers of ${service.name} from both exporters`, 60_000, async () => {
      const result = await probe(environment, clientOf(environment), [`${urlOf(service)}/`, "--count", "40"]);
      return result.statuses["200"] === 40 && Object.keys(result.clusters).length === 2 ? true : undefined;
    });
  }
  progress("service-policies: both services answer from both exporters");
}

function goesOnly(service: ExampleService): Claim {
  return {
    title: `${service.name} goes over ${service.tunnel} only, on port ${service.policyPort}`,
    needsLab: true,
    prove: async (environment) => {
      const { result, crossed } = await crossings(environment, environment.consumer.id, () =>
        probe(environment, clientOf(environment), [
          `${urlOf(service)}/`,
          "--count",
          "20",
          "--bytes",
          String(mebibyte / 8),
        ]),
      );
      const tunnelBytes = bytesByTunnel(crossed);
      const evidence = {
        statuses: result.statuses,
        payloadBytes: result.bytes,
        tunnelBytes,
        answers: result.clusters,
      };
      must(
        result.statuses["200"] === 20 && result.bytes >= mebibyte,
        "not every request was answered in full",
        evidence,
      );
      must(
        (tunnelBytes[service.tunnel] ?? 0) >= result.bytes,
        `the payload did not all go over ${service.tunnel}`,
        evidence,
      );
      must(
        crossed.every(
          ({ tunnel, port, bytes }) =>
            bytes === 0 || (tunnel === service.tunnel && port === service.policyPort),
        ),
        "something went another way",
        evidence,
      );
      return evidence;
    },
  };
}

const isDirect: Claim = {
  title: "the shadow Services lead to the exporting clusters' ingress gateways, at the policy's port",
  prove: async (environment) => {
    const evidence: Record<string, unknown> = {};
    for (const { name, namespace, policyPort } of services) {
      const slices = (await environment.kubectl.json(environment.consumer.context, [
        "get",
        "endpointslices",
        "-n",
        namespace,
        "-l",
        `kubernetes.io/service-name=${name}-clusterset`,
      ])) as { items: { ports: { port: number }[]; endpoints: { addresses: string[] }[] }[] };
      const ports = slices.items.flatMap((slice) => slice.ports.map(({ port }) => port));
      const addresses = slices.items.flatMap((slice) =>
        slice.endpoints.flatMap((endpoint) => endpoint.addresses),
      );
      evidence[name] = { ports, addresses };
      must(ports.length === 1 && ports[0] === policyPort, `${name} is not sent to ${policyPort}`, evidence);
      must(addresses.length >= 2, `${name} has too few gateways`, evidence);
    }
    return evidence;
  },
};

export const servicePolicies: Scenario = {
  title: "service-policies: a policy per service, without rules",
  setUp,
  claims: [isDirect, ...services.map(goesOnly)],
  tearDown: (environment) => deleteExample(environment, example),
};
