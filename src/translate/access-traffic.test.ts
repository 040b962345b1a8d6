import { once } from "node:events";
import { createServer } from "node:http";
import type { Server } from "node:http";
import { expect } from "chai";
import {
  ask,
  clusterOf,
  idOf,
  ingressCase,
  policyPort,
  shown,
  trustOf,
} from "../../test/translate/gateway-callers.ts";
import type { Client, Cluster } from "../../test/translate/gateway-callers.ts";
import { envoyProgram, portOf, startCase } from "../../test/translate/run-case.ts";
import type { RunningCase } from "../../test/translate/run-case.ts";
import { ingressPool } from "../model/names.ts";
import type { ServiceAccess } from "../model/desired.ts";

describe("What callers may call of a service, by a real Envoy", function () {
  this.timeout(120_000);
  const running: RunningCase[] = [];
  let server: Server;
  let home: Cluster;
  let east: Cluster;
  let west: Cluster;
  let reached = 0;

  before(async function () {
    if (envoyProgram() === undefined) return this.skip();
    [home, east, west] = (await Promise.all(["home", "east", "west"].map(clusterOf))) as [
      Cluster,
      Cluster,
      Cluster,
    ];
    server = createServer((_request, response) => {
      reached += 1;
      response.end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(async () => {
    await Promise.all(running.map(({ stop }) => stop()));
    server.close();
  });

  /** An ingress whose service `payment` has rules; its port. */
  async function ingress(access: ServiceAccess, trusted = [home, east, west]): Promise<number> {
    const { objects, gateways } = ingressCase({ payment: portOf(server) });
    const pair = await home.authority.issue({ commonName: "gateway", uris: [idOf("home", "ingress")] });
    const limited = gateways.map(({ pooled, ...gateway }) => ({
      ...gateway,
      ...(pooled && { pooled: { ...pooled, access } }),
    }));
    const started = await startCase(
      { objects, gateways: limited, identities: { [ingressPool]: pair }, trust: trusted.map(trustOf) },
      [policyPort],
    );
    running.push(started);
    return started.portOf(policyPort);
  }
  const gatewayOf = async (cluster: Cluster): Promise<Client> =>
    await shown(cluster, [idOf(cluster.id, "egress")]);

  it("lets nobody through where there is no rule, and everybody of the set where there is one that says nothing", async () => {
    const [closed, open] = [await ingress({ rules: [] }), await ingress({ rules: [{}] })];
    reached = 0;
    expect(await ask(closed, await gatewayOf(east))).to.equal(403);
    expect(reached).to.equal(0);
    expect(await ask(open, await gatewayOf(east))).to.equal(200);
    expect(await ask(open, await gatewayOf(west))).to.equal(200);
  });

  it("lets only the clusters in that the export is limited to, whatever the rules say", async () => {
    const port = await ingress({ clusters: ["east"], rules: [{}] });
    expect(await ask(port, await gatewayOf(east))).to.equal(200);
    expect(await ask(port, await gatewayOf(west))).to.equal(403);
    const nobody = await ingress({ clusters: [] });
    expect(await ask(nobody, await gatewayOf(east))).to.equal(403);
  });

  it("lets a cluster's requests through by method, and by whole elements of the path", async () => {
    const port = await ingress({
      rules: [
        {
          from: [{ cluster: "east" }],
          to: [
            { methods: ["GET"], path: { value: "/payment/" } },
            { path: { type: "Exact", value: "/health" } },
          ],
        },
      ],
    });
    const caller = await gatewayOf(east);
    const answers: Record<string, number | "refused"> = {};
    for (const [method, path] of [
      ["GET", "/payment"],
      ["GET", "/payment/1?x=/stats"],
      ["POST", "/payment/1"],
      ["GET", "/payments"],
      ["GET", "/other/../payment/1"],
      ["GET", "/payment/%2e%2e/stats"],
      ["GET", "/payment/..%2fstats"],
      ["GET", "//payment//1"],
      ["POST", "/health"],
      ["GET", "/health/x"],
    ] as const) {
      answers[`${method} ${path}`] = await ask(port, caller, { ":method": method, ":path": path });
    }
    expect(answers).to.deep.equal({
      "GET /payment": 200,
      "GET /payment/1?x=/stats": 200,
      "POST /payment/1": 403,
      "GET /payments": 403,
      "GET /other/../payment/1": 200,
      "GET /payment/%2e%2e/stats": 403,
      "GET /payment/..%2fstats": 403,
      "GET //payment//1": 200,
      "POST /health": 200,
      "GET /health/x": 403,
    });
    expect(await ask(port, await gatewayOf(west), { ":path": "/payment" })).to.equal(403);
  });

  it("lets nobody of a cluster through that is not trusted any more", async () => {
    const port = await ingress({ rules: [{ from: [{ cluster: "west" }] }] }, [home, east]);
    expect(await ask(port, await gatewayOf(west))).to.equal("refused");
    expect(await ask(port, await gatewayOf(east))).to.equal(403);
  });
});
