/**
 * mc-wan with `--data-plane gateway-api` and a real Envoy Gateway. That program takes long to build, so it is used where it is in the
 * cache: `node scripts/fetch-binaries.ts envoy-gateway` brings it there.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { DataPlaneResult, DataPlaneTask } from "../bench/data-plane-inside.ts";
import { runInPrivateNetwork } from "../bench/private-network.ts";
import { findBinary } from "../src/lab/binaries/binaries.ts";

const limitMs = 600_000;

describe("rules to two clusters, carried by Envoy Gateway", function () {
  this.timeout(limitMs);

  it("go to each by its ready backends, over the policy of the rule, and what no rule allows goes nowhere", async function () {
    const [envoy, envoyGateway] = [findBinary("envoy"), findBinary("envoy-gateway")];
    if (envoy === undefined || envoyGateway === undefined) {
      this.skip();
    }
    const folder = await mkdtemp(join(tmpdir(), "mc-wan-data-plane-"));
    try {
      const requests = 200;
      const result = await runInPrivateNetwork<DataPlaneResult>(
        {
          program: "data-plane-inside.ts",
          // On a loopback device a prefix makes all of its addresses local.
          address: "198.18.0.1/22",
          folder,
          progress: () => undefined,
          signal: AbortSignal.timeout(limitMs - 10_000),
        },
        { folder, envoy, envoyGateway, requests } satisfies DataPlaneTask,
      );
      expect(result.serviceTypes).to.deep.equal(["ClusterIP", "ClusterIP"]);
      expect(result.conditions).to.include.members([
        "ServiceExport Carried=True",
        "McsServiceImport Carried=True",
        "ServiceImport Accepted=True",
        "ServiceImport ResolvedRefs=True",
        "ServiceImport Programmed=True",
      ]);
      expect(result.advertised).to.deep.equal([
        { address: "198.18.1.30", ports: { high: 31111, low: 31112 } },
      ]);
      expect(result.answers).to.deep.equal({ "200": 2 * requests });
      expect(result.denied).to.deep.equal([404, 404, 404]);
      const host = "payment.secure.svc.cluster.local 80";
      const expected = {
        [`east:31111 GET /v1/x ${host}`]: 0.75,
        [`north:31111 GET /v1/x ${host}`]: 0.25,
        [`east:31112 GET /stats ${host}`]: 0.75,
        [`north:31112 GET /stats ${host}`]: 0.25,
      };
      expect(result.seen).to.have.all.keys(Object.keys(expected));
      for (const [what, share] of Object.entries(expected))
        expect((result.seen[what] ?? 0) / requests, what).to.be.closeTo(share, 0.15);
    } finally {
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  });
});
