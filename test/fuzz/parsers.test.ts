/**
 * Everything that reads what comes from outside: whatever is there, it is taken or refused by the reader's own word, at once, and
 * nothing of a secret is told. Samples that are right are made wrong somewhere; what was found once is an example of its
 * own. MCWAN_FUZZ=n runs n times as many.
 */
import { toBinary, create } from "@bufbuild/protobuf";
import { expect } from "chai";
import fc from "fast-check";
import { parseGatewayAdvertisement } from "../../src/api/gateway-advertisement.ts";
import { parseServiceExport } from "../../src/api/multicluster.ts";
import { parseServiceAdvertisement } from "../../src/api/service-advertisement.ts";
import { parseServiceImport } from "../../src/api/service-import.ts";
import { bundleProblems } from "../../src/api/trust-bundle.ts";
import { parseWANPolicy } from "../../src/api/wan-policy.ts";
import { decodeRequest, streamRequestOf } from "../../src/drivers/grpc/discovery-messages.ts";
import { parseReport, reportBytes } from "../../src/drivers/grpc/report-message.ts";
import { peerAccess } from "../../src/drivers/kube/kubeconfig.ts";
import { LineSplitter } from "../../src/drivers/kube/watch-lines.ts";
import { DeltaDiscoveryRequestSchema } from "../../src/envoy/envoy/service/discovery/v3/discovery_pb.ts";
import { createAuthority } from "../../src/lab/certificates.ts";
import { kubeconfig } from "../../src/lab/kubeconfig.ts";
import { kinds } from "../../src/model/kinds.ts";
import type { KubeObject } from "../../src/model/kube-object.ts";
import { labels, systemNamespace } from "../../src/model/names.ts";
import { xdsType } from "../../src/model/xds-types.ts";
import { MalformedLineError } from "../../src/observe/kube-reader.ts";
import { PeerParser } from "../../src/observe/peer-objects.ts";
import { readPeerSecrets } from "../../src/observe/peer-secrets.ts";
import { readObject, readWatchLine } from "../../src/observe/watch-event.ts";
import { readAuthorities, readKeyPair } from "../../src/translate/key-pairs.ts";
import { mangled, mutated } from "./mutations.ts";

const runsFactor = Number(process.env["MCWAN_FUZZ"] ?? 1);
const runs = { numRuns: 300 * runsFactor };
const canary = "canary-5f1e";
const ours = "mc-wan.l7mp.io/v1alpha1";
const metadata = { name: "payment", namespace: "secure", uid: "u", resourceVersion: "12" };

const advertisement = {
  apiVersion: ours,
  kind: "ServiceAdvertisement",
  metadata,
  spec: {
    formatVersion: 1,
    type: "Headless",
    exportTime: "2026-01-02T03:04:05Z",
    ports: [{ name: "http", protocol: "TCP", port: 8080, appProtocol: "h2c" }],
    ipFamilies: ["IPv4"],
    pool: "mc-wan-ingress",
    readyBackends: [{ zone: "a", count: 2 }],
    labels: { a: "b" },
    endpoints: [{ addresses: ["198.18.1.1"], hostname: "a", ready: true }],
  },
};
const pool = {
  apiVersion: ours,
  kind: "GatewayAdvertisement",
  metadata: { name: "mc-wan-ingress", namespace: systemNamespace, resourceVersion: "1" },
  spec: {
    formatVersion: 1,
    mode: "PodIP",
    endpoints: [{ address: "198.18.1.2", zone: "a", ports: { high: 31_111 } }],
  },
};
const policy = {
  apiVersion: ours,
  kind: "WANPolicy",
  metadata: { name: "high", resourceVersion: "1" },
  spec: { tunnel: "business", port: 31_111, dscp: 46, sla: { latencyMs: 50 } },
};
const rules = {
  apiVersion: ours,
  kind: "ServiceImport",
  metadata,
  spec: {
    http: {
      rules: [
        {
          matches: [{ path: { type: "PathPrefix", value: "/a" }, headers: [{ name: "a", value: "b" }] }],
          filters: [
            { type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name: "a", value: "b" }] } },
          ],
          backendRefs: [{ group: "mc-wan.l7mp.io", kind: "WANPolicy", name: "high", weight: 1 }],
          timeouts: { request: "10s" },
        },
      ],
    },
    limits: { requestsPerSecond: 10 },
  },
};
const sampleKubeconfig = JSON.parse(
  kubeconfig([{ context: "x", server: "https://198.18.0.9:6443", authority: "ca", token: canary }]),
) as unknown;

/** Runs a reader over what an arbitrary makes; each time it may take 50 ms and 5 ms for each KiB, of three tries at best. */
async function reads<T>(
  what: fc.Arbitrary<T>,
  read: (input: T) => unknown,
  sizeOf: (input: T) => number = (input) => (JSON.stringify(input) as string | undefined)?.length ?? 0,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(what, async (input) => {
      const limitMs = 50 + (5 * sizeOf(input)) / 1024;
      let tookMs = Infinity;
      // Something else of the process, as its garbage collector, may take time meanwhile.
      for (let tries = 0; tries < 3 && tookMs > limitMs; tries += 1) {
        const started = process.cpuUsage();
        const said = await read(input);
        const { user, system } = process.cpuUsage(started);
        tookMs = (user + system) / 1000;
        expect((JSON.stringify(said) as string | undefined) ?? "").not.to.contain(canary);
      }
      expect(tookMs, "ms").to.be.below(limitMs);
      expect(({} as { polluted?: unknown }).polluted).to.equal(undefined);
    }),
    runs,
  );
}

describe("what reads from outside, whatever is there,", function () {
  this.timeout(60_000 * runsFactor);

  it("takes or refuses objects of every kind that it parses", async () => {
    for (const [parse, sample] of [
      [parseServiceAdvertisement, advertisement],
      [parseGatewayAdvertisement, pool],
      [parseWANPolicy, policy],
      [parseServiceImport, rules],
      [parseServiceExport, { apiVersion: "multicluster.x-k8s.io/v1beta1", kind: "ServiceExport", metadata }],
    ] as const) {
      expect(parse(sample).ok, sample.kind).to.equal(true);
      await reads(mutated(sample), (input) => {
        const parsed = parse(input);
        if (!parsed.ok) expect(parsed.problems).not.to.deep.equal([]);
      });
    }
  });

  it("takes or refuses what a peer says, object by object, and keeps what is right beside it", async () => {
    const other = { ...advertisement, metadata: { ...metadata, name: "other" } };
    await reads(mutated(advertisement), (input) => {
      const refused: string[] = [];
      const parser = new PeerParser(({ key }) => refused.push(key));
      const read = readObject(input, kinds.ServiceAdvertisement);
      const stores: Record<string, ReadonlyMap<string, KubeObject>> = {
        ServiceAdvertisement: new Map<string, KubeObject>([
          ["secure/other", other],
          ...(read === undefined ? [] : [["secure/payment", read] as const]),
        ]),
      };
      const objects = parser.objects((kind) => stores[kind] ?? new Map<string, KubeObject>());
      expect(objects.ServiceAdvertisement.has("secure/other")).to.equal(true);
    });
  });

  it("reads a line of a watch, or asks for a new list", async () => {
    const line = { type: "MODIFIED", object: advertisement };
    const types = new Set<string>();
    await reads(mutated(line), (input) => {
      const step = readWatchLine(input, kinds.ServiceAdvertisement);
      types.add(step.type);
      if (step.type === "Put") expect(step.object.kind).to.equal("ServiceAdvertisement");
    });
    expect([...types]).to.include.members(["Put", "Relist"]);
  });

  it("splits a watch's bytes into lines, wherever they are cut, or refuses them", async () => {
    const bytes = Buffer.from(`${JSON.stringify({ type: "ADDED", object: { a: "ő🎉" } })}\n\n{"b":1}\n`);
    const cuts = fc.array(fc.nat({ max: bytes.length }), { maxLength: 8 });
    await reads(fc.tuple(mangled(bytes), cuts), ([stream, at]) => {
      const places = [
        0,
        ...at.toSorted((a, b) => a - b).map((place) => place % (stream.length + 1)),
        stream.length,
      ];
      const pieces = places
        .toSorted((a, b) => a - b)
        .map((to, index, all) => stream.subarray(all[index - 1] ?? 0, to));
      const splitter = new LineSplitter({ maxLineBytes: 1000 });
      const lines = (): unknown => pieces.flatMap((piece) => splitter.push(piece));
      const whole = (): unknown => new LineSplitter({ maxLineBytes: 1000 }).push(stream);
      const outcomes = [lines, whole].map((split) => {
        try {
          return split();
        } catch (error) {
          expect(error).to.be.instanceOf(MalformedLineError);
          return "refused";
        }
      });
      expect(outcomes[0]).to.deep.equal(outcomes[1]);
    });
  });

  it("takes or refuses requests of Envoys, and reports of replicas", async () => {
    const request = create(DeltaDiscoveryRequestSchema, {
      node: { id: "a", cluster: "b", metadata: { fields: {} } },
      typeUrl: xdsType.cluster,
      resourceNamesSubscribe: ["*", "a"],
      resourceNamesUnsubscribe: ["b"],
      initialResourceVersions: { a: "1", __proto__: "2" },
      responseNonce: "3",
      errorDetail: { code: 3, message: `bad {"inline_string":"${canary}"}` },
    });
    const bytes = toBinary(DeltaDiscoveryRequestSchema, { ...request, typeUrl: xdsType.secret });
    await reads(
      fc.oneof(
        mangled(bytes),
        fc.uint8Array({ maxLength: 2_000 }).map((array) => Buffer.from(array)),
      ),
      (input) => {
        const message = decodeRequest(input);
        if (message !== undefined) streamRequestOf(message);
      },
      (input) => input.length,
    );
    const report = {
      acknowledgements: [{ gateway: "a/b", generation: 1 }],
      refusedRoutes: [{ fleet: "f", kind: "HTTPRoute" as const, key: "a/b", reason: "bad" }],
      listening: { pod: { ports: [31_111], isConnected: true, sendsTo: {} } },
    };
    await reads(
      mangled(reportBytes(report as never)),
      (input) => parseReport(input),
      (input) => input.length,
    );
  });

  it("takes or refuses kubeconfigs and Secrets of peers, and tells nothing of them", async () => {
    const problemsOf = async (bytes: Buffer): Promise<unknown> => {
      const access = await peerAccess(bytes);
      if (!("server" in access)) return access;
      // What is taken goes there by TLS, with the credentials that were given.
      expect(access.server.protocol).to.equal("https:");
      expect(access.tls.rejectUnauthorized).not.to.equal(false);
      return [];
    };
    expect(await problemsOf(Buffer.from(JSON.stringify(sampleKubeconfig)))).to.deep.equal([]);
    await reads(mutated(sampleKubeconfig), (input) => problemsOf(Buffer.from(JSON.stringify(input))));
    await reads(mangled(Buffer.from(JSON.stringify(sampleKubeconfig))), problemsOf, (input) => input.length);
    const secret = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        name: "east",
        namespace: systemNamespace,
        resourceVersion: "1",
        labels: { [labels.peer]: "east" },
      },
      data: { kubeconfig: Buffer.from(canary).toString("base64") },
    };
    // The API server has checked what stands around the data.
    await reads(mutated(secret.data), (data) => {
      const object = readObject({ ...secret, data }, kinds.Secret);
      return object === undefined ? [] : readPeerSecrets([object], "west");
    });
  });

  it("takes or refuses certificates, keys and bundles, and tells nothing of them", async () => {
    const authority = await createAuthority("fuzz");
    const { certificate, key } = await authority.issue({ commonName: "fuzz", dnsNames: ["fuzz.example"] });
    const secretPart = key.split("\n")[2] ?? "";
    expect(readKeyPair(certificate, key)).not.to.have.property("fault");
    const told = (answer: object): unknown => {
      const said = "fault" in answer ? answer.fault : "";
      expect(String(said)).not.to.contain(secretPart);
      return said;
    };
    const text = (sample: string): fc.Arbitrary<string> =>
      mangled(Buffer.from(sample)).map((bytes) => bytes.toString());
    await reads(fc.tuple(text(certificate), text(key)), ([chain, pem]) => told(readKeyPair(chain, pem)));
    await reads(text(certificate + authority.certificate), (chain) => told(readAuthorities(chain)));
    expect(bundleProblems(authority.certificate)).to.deep.equal([]);
    await reads(text(authority.certificate), (bundle) => bundleProblems(bundle));
  });
});
