/**
 * Gateways of whole clusters that know each other: what crosses the tunnels, who is refused at a policy's port, what the
 * objects say, and who of other clusters may call what.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { InstallTarget } from "../../src/lab/install.ts";
import { annotations, dummyNamespace } from "../../src/model/names.ts";
import type { Claim, Scenario } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import { mustStand, standing } from "../expected.ts";
import { goesOnly } from "../goes-only.ts";
import { listenIn, runInPod } from "../in-pod.ts";
import type { Knock } from "../inside/knock.ts";
import { serviceExport } from "../manifests.ts";
import { applyObjects, deleteObjects } from "../mistake.ts";
import type { Manifest } from "../mistake.ts";
import {
  closeSealed,
  inSealed,
  openSealed,
  poolOf,
  sealed,
  sealedClient,
  sealedHost,
  sealedPolicies,
  sealedService,
  sealedUrl,
} from "../sealed.ts";
import { probe } from "../traffic.ts";

const { business, default: cheap, open } = sealedPolicies;
/** Keep-alives of two policies' idle connections; one answer of the claim is 128 KiB. */
const idleBytes = 16 * 1024;

const goes = ({ path, tunnel }: (typeof sealedPolicies)["business" | "default"]): Claim =>
  goesOnly({ method: "GET", url: sealedUrl, path, tunnel, client: sealedClient, idleBytes });

function firstOf({ exporters }: Environment): InstallTarget {
  const [first] = exporters;
  must(first !== undefined, "there is no exporter", {});
  return first;
}

const refusesStrangers: Claim = {
  title:
    "a request in plain text and a TLS client without a certificate, straight at the port of a gateway of another cluster, get no answer; at a port of mode Plain the first gets one",
  prove: async (environment) => {
    const pool = await poolOf(environment, firstOf(environment));
    const address = pool.spec.endpoints[0]?.address ?? "";
    const knock = (how: "plain" | "tls", port: number): Promise<Knock> =>
      runInPod(environment, sealedClient(environment), {
        program: "knock.ts",
        args: [how, address, port, sealedHost],
      });
    const evidence = {
      control: await knock("plain", open.port),
      plain: await knock("plain", business.port),
      withoutCertificate: await knock("tls", business.port),
    };
    const { control, plain, withoutCertificate } = evidence;
    must(control.answer.startsWith("HTTP/1.1 200"), "the port of mode Plain did not answer", evidence);
    must(plain.isConnected && withoutCertificate.isConnected, "nobody listens at the port", evidence);
    must(withoutCertificate.fingerprint !== "", "the gateway showed no certificate", evidence);
    must(!plain.answer.includes("HTTP"), "plain text was answered", evidence);
    must(withoutCertificate.answer === "", "a client without a certificate was answered", evidence);
    return evidence;
  },
};

const saysSo: Claim = {
  title:
    "the objects say it: the ingress's listeners, the dummies' BackendTLSPolicy, the advertised mode of each port",
  prove: async (environment) => {
    const { consumer, exporters } = environment;
    const ofPolicies = [open, business, cheap];
    for (const cluster of exporters) {
      const kinds = ["gateways.gateway.networking.k8s.io", "gatewayadvertisements.mc-wan.l7mp.io"];
      const objects = await standing(environment, { cluster, kinds });
      const authorities = { group: "mc-wan.l7mp.io", kind: "GatewayAdvertisement", name: "mc-wan-ingress" };
      mustStand(objects, `Gateway ${sealed.namespace}/${sealed.name}-ingress`, {
        spec: {
          listeners: ofPolicies.map(({ name, port, mode }) => ({
            ...{ name, port },
            ...(mode === "Plain"
              ? { protocol: "HTTP", tls: undefined }
              : {
                  protocol: "HTTPS",
                  tls: {
                    mode: "Terminate",
                    options: { "mc-wan.l7mp.io/identity": "ingress" },
                    certificateRefs: undefined,
                  },
                }),
          })),
          tls: { frontend: { default: { validation: { caCertificateRefs: [authorities] } } } },
        },
      });
      mustStand(objects, "GatewayAdvertisement mc-wan-system/mc-wan-ingress", {
        spec: {
          endpoints: (seen) =>
            Array.isArray(seen) &&
            seen.length > 0 &&
            (seen as { modes?: Record<string, string> }[]).every(({ modes = {} }) =>
              ofPolicies.every(({ name, mode }) => (modes[name] ?? "Plain") === mode),
            ),
        },
      });
    }
    const kinds = ["backendtlspolicies.gateway.networking.k8s.io"];
    const objects = await standing(environment, { cluster: consumer, kinds });
    const uris = exporters.map(({ id }) => `spiffe://${id}.mc-wan.l7mp.io/cluster/${id}/gateway/ingress`);
    const [policy] = objects.filter(({ metadata }) => metadata.namespace === dummyNamespace);
    must(policy !== undefined, "there is no BackendTLSPolicy", {});
    mustStand(objects, `BackendTLSPolicy ${dummyNamespace}/${policy.metadata.name}`, {
      spec: {
        targetRefs: [business, cheap].map(({ name }) => ({
          ...{ group: "", kind: "Service" },
          name: `${sealed.name}-${sealed.namespace}-${name}`,
        })),
        validation: {
          hostname: sealedHost,
          wellKnownCACertificates: "mc-wan.l7mp.io/clusterset",
          subjectAltNames: uris.map((uri) => ({ type: "URI", uri })),
        },
      },
    });
    return { backendTlsPolicy: policy.metadata.name, uris };
  },
};

/** What `mcwan probe` sends as a body. */
const words = "mc-wan mc-wan mc-wan mc-wan";
const listenMs = 6_000;

const isSecret: Claim = {
  title:
    "who listens in on the tunnels reads what goes over a policy of mode Plain, and nothing of what goes over one of MutualTLS",
  needsLab: true,
  prove: async (environment) => {
    const { consumer, exporters } = environment;
    const ports = [business.port, cheap.port, open.port];
    const heard = Promise.all(
      [consumer, ...exporters].map(({ id }) =>
        listenIn(environment, id, { ms: listenMs, text: words, ports }),
      ),
    );
    // The listeners are there by then; what is sent before is sent again.
    const until = performance.now() + listenMs - 2_000;
    const statuses: Record<string, number> = {};
    do {
      for (const { path } of [business, cheap, open]) {
        const result = await probe(environment, sealedClient(environment), [
          ...[`${sealedUrl}${path}`, "--method", "POST", "--count", "5"],
          ...["--body-bytes", "65536", "--bytes", "65536"],
        ]);
        for (const [status, count] of Object.entries(result.statuses))
          statuses[status] = (statuses[status] ?? 0) + count;
      }
    } while (performance.now() < until);
    const sums = Object.fromEntries(ports.map((port) => [port, { packets: 0, withText: 0 }]));
    for (const one of await heard)
      for (const [port, { packets, withText }] of Object.entries(one)) {
        const sum = sums[port] ?? { packets: 0, withText: 0 };
        sums[port] = { packets: sum.packets + packets, withText: sum.withText + withText };
      }
    const evidence = { statuses, heard: sums };
    must(Object.keys(statuses).join() === "200", "not every request was answered with 200", evidence);
    must((sums[open.port]?.withText ?? 0) > 10, "plain text was not recognised", evidence);
    for (const { port } of [business, cheap]) {
      must((sums[port]?.packets ?? 0) > 10, `nothing was heard at port ${port}`, evidence);
      must(sums[port]?.withText === 0, `clear text crossed at port ${port}`, evidence);
    }
    return evidence;
  },
};

const accessPolicy = ({ id }: InstallTarget): Manifest => ({
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "AccessPolicy",
  metadata: inSealed("callers"),
  spec: {
    targetRefs: [{ group: "multicluster.x-k8s.io", kind: "ServiceExport", name: sealed.name }],
    rules: [{ from: [{ cluster: id }], to: [{ methods: ["GET"], path: { value: business.path } }] }],
  },
});

/** Waits until requests with these words get these statuses and no other; an array for each request. */
async function areAnswered(
  environment: Environment,
  what: string,
  expected: readonly (readonly [status: number, path: string, method: string])[],
): Promise<Record<string, unknown>> {
  const evidence: Record<string, unknown> = {};
  const { afterMs } = await eventually(what, 20_000, async () => {
    for (const [status, path, method] of expected) {
      const result = await probe(environment, sealedClient(environment), [
        ...[`${sealedUrl}${path}`, "--method", method, "--count", "20"],
      ]);
      evidence[`${method} ${path}`] = result.statuses;
      if (result.statuses[String(status)] !== 20) throw new Error(JSON.stringify(evidence));
    }
    return true;
  });
  return { ...evidence, afterMs };
}

const obeysAccessPolicies: Claim = {
  title:
    "an AccessPolicy that lets one cluster GET one path: 200 there, 403 for all else and over Plain; without it 200 again",
  prove: async (environment) => {
    const { consumer, exporters } = environment;
    const policies = exporters.map((cluster) => ({ in: cluster, objects: [accessPolicy(consumer)] }));
    const all = [business, cheap, open].map(({ path }) => [200, path, "GET"] as const);
    try {
      await Promise.all(policies.map((policy) => applyObjects(environment, policy)));
      const limited = await areAnswered(environment, "the policy in force", [
        [200, business.path, "GET"],
        [403, business.path, "POST"],
        [403, cheap.path, "GET"],
        [403, open.path, "GET"],
      ]);
      await Promise.all(policies.map((policy) => deleteObjects(environment, policy)));
      return { limited, without: await areAnswered(environment, "the policy's end", all) };
    } finally {
      await Promise.all(policies.map((policy) => deleteObjects(environment, policy)));
    }
  },
};

/** For so long it is looked for an import that must not come; the one that must is there by then. */
const neverMs = 2_500;

const limitsExports: Claim = {
  title: `${annotations.clusters} on a ServiceExport: the cluster that it names imports the service and is answered, another doesn't import it`,
  prove: async (environment) => {
    const { consumer, exporters, kubectl } = environment;
    const [first, other] = exporters;
    must(first !== undefined && other !== undefined, "there are not two exporters", {});
    const at = inSealed("ledger");
    const { metadata, ...exported } = serviceExport(at, business.name);
    const limited = { ...metadata.annotations, [annotations.clusters]: consumer.id };
    const objects = [
      sealedService(at.name),
      { ...exported, metadata: { ...metadata, annotations: limited } },
    ];
    try {
      await applyObjects(environment, { in: first, objects });
      const url = `http://ledger.${sealed.namespace}.svc.clusterset.local:8080/`;
      const { value } = await eventually("answers to the cluster that is named", 30_000, async () => {
        const result = await probe(environment, sealedClient(environment), [url, "--count", "10"]);
        return result.statuses["200"] === 10 ? result : undefined;
      });
      await sleep(neverMs);
      const names = ["serviceimports.multicluster.x-k8s.io/ledger", "service/ledger-clusterset"];
      const [here, there] = await Promise.all(
        [consumer, other].map(({ context }) =>
          kubectl.run(context, ["get", "-n", sealed.namespace, "--ignore-not-found", "-o", "name", ...names]),
        ),
      );
      const evidence = { answers: value.clusters, [consumer.id]: here, [other.id]: there };
      must((here ?? "").trim().split("\n").length === 2, "the cluster that is named has no import", evidence);
      must(there === "", "another cluster imports it", evidence);
      return evidence;
    } finally {
      await deleteObjects(environment, { in: first, objects });
    }
  },
};

export const mutualTls: Scenario = {
  title: "mutual TLS: gateways know each other, and nobody else is let in or can read",
  setUp: async (environment, progress) => {
    await openSealed(environment);
    progress("mutual TLS: both exporters answer over every policy");
  },
  claims: [
    goes(business),
    goes(cheap),
    refusesStrangers,
    saysSo,
    isSecret,
    obeysAccessPolicies,
    limitsExports,
  ],
  tearDown: closeSealed,
};
