import { once } from "node:events";
import { createServer, request } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server } from "node:http";
import { expect } from "chai";
import { egressCase, egressPort } from "../../test/translate/egress-case.ts";
import {
  ask,
  clusterOf,
  idOf,
  ingressCase,
  policyPort,
  shown,
  trustOf,
} from "../../test/translate/gateway-callers.ts";
import type { Cluster } from "../../test/translate/gateway-callers.ts";
import { envoyProgram, portOf, startCase } from "../../test/translate/run-case.ts";
import type { RunningCase } from "../../test/translate/run-case.ts";
import type { AccessRule } from "../api/access-policy.ts";
import type { VouchedClients } from "../model/desired.ts";
import { clientHeader, egressPool, ingressPool } from "../model/names.ts";

/** Where clients call from, as Pods of the east: the last two are nobody's that is known. */
const at = {
  web: "127.0.0.2",
  webToo: "127.0.0.3",
  batch: "127.0.0.4",
  audit: "127.0.0.5",
  unknown: "127.0.0.6",
};
const clients: VouchedClients = {
  "audit/reader": [at.audit],
  "shop/batch": [at.batch],
  "shop/web": [at.web, at.webToo],
};

describe("From whom requests come, by real Envoys of two clusters", function () {
  this.timeout(120_000);
  const running: RunningCase[] = [];
  const reached: IncomingHttpHeaders[] = [];
  let server: Server;
  let home: Cluster;
  let east: Cluster;
  let west: Cluster;

  before(async function () {
    if (envoyProgram() === undefined) return this.skip();
    [home, east, west] = (await Promise.all(["home", "east", "west"].map(clusterOf))) as [
      Cluster,
      Cluster,
      Cluster,
    ];
    server = createServer(({ headers }, response) => {
      reached.push(headers);
      response.end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  beforeEach(() => {
    reached.length = 0;
  });
  after(async () => {
    await Promise.all(running.map(({ stop }) => stop()));
    server.close();
  });

  /** An ingress of home whose service has rules; its port. */
  async function ingress(rules: readonly AccessRule[]): Promise<number> {
    const { objects, gateways } = ingressCase({ payment: portOf(server) });
    const pair = await home.authority.issue({ commonName: "gateway", uris: [idOf("home", "ingress")] });
    const limited = gateways.map(({ pooled, ...gateway }) => ({
      ...gateway,
      ...(pooled && { pooled: { ...pooled, access: { rules } } }),
    }));
    const identities = { [ingressPool]: pair };
    const trust = [home, east, west].map(trustOf);
    const started = await startCase({ objects, gateways: limited, identities, trust }, [policyPort]);
    running.push(started);
    return started.portOf(policyPort);
  }

  /** An egress of the east that knows clients, before an ingress; its port. */
  async function egress(to: number, known: VouchedClients): Promise<number> {
    const pair = await east.authority.issue({ commonName: "gateway", uris: [idOf("east", "egress")] });
    const identities = { [egressPool]: pair };
    const trust = [home, east].map(trustOf);
    const file = { ...egressCase(to, ["home"]), clients: { "secure/payment": known }, identities, trust };
    const started = await startCase(file, [egressPort]);
    running.push(started);
    return started.portOf(egressPort);
  }

  /** What a client at an address gets of an egress. */
  async function call(
    port: number,
    localAddress: string,
    headers: Record<string, string | string[]> = {},
  ): Promise<number> {
    const asked = request({
      host: "127.0.0.1",
      port,
      localAddress,
      headers: { host: "payment", ...headers },
    }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    response.resume();
    return response.statusCode ?? 0;
  }

  const callers = async (port: number): Promise<Record<string, number>> => {
    const answers: Record<string, number> = {};
    for (const [name, address] of Object.entries(at)) answers[name] = await call(port, address);
    return answers;
  };

  it("lets in the Pods of the service account that a rule names, and no others", async () => {
    const port = await egress(
      await ingress([{ from: [{ cluster: "east", namespace: "shop", serviceAccount: "web" }] }]),
      clients,
    );
    expect(await callers(port)).to.deep.equal({
      web: 200,
      webToo: 200,
      batch: 403,
      audit: 403,
      unknown: 403,
    });
    expect(reached).to.have.length(2);
  });

  it("lets in all Pods of a namespace, of any cluster, and none that can't be told", async () => {
    const port = await egress(await ingress([{ from: [{ namespace: "shop" }] }]), clients);
    expect(await callers(port)).to.deep.equal({
      web: 200,
      webToo: 200,
      batch: 200,
      audit: 403,
      unknown: 403,
    });
  });

  it("lets in who can't be told where only the cluster is asked for, and what others may call besides", async () => {
    const rules = [
      { from: [{ cluster: "east" }], to: [{ path: { value: "/open" } }] },
      { from: [{ cluster: "east", namespace: "audit", serviceAccount: "reader" }] },
    ];
    const inner = await ingress(rules);
    const port = await egress(inner, clients);
    expect(await callers(port)).to.deep.equal({
      web: 403,
      webToo: 403,
      batch: 403,
      audit: 200,
      unknown: 403,
    });
    const open = await egress(await ingress([{ from: [{ cluster: "east" }] }]), clients);
    expect(await call(open, at.unknown)).to.equal(200);
  });

  it("believes no header of a client, however it is written, and tells a backend nothing", async () => {
    const port = await egress(
      await ingress([{ from: [{ cluster: "east", namespace: "shop", serviceAccount: "web" }] }]),
      clients,
    );
    for (const forged of [
      { [clientHeader]: "shop/web" },
      { "X-MC-WAN-Client": "shop/web" },
      { [clientHeader]: ["shop/web", "shop/web"] },
      { "x-forwarded-for": at.web, "x-real-ip": at.web, "x-envoy-external-address": at.web },
      { forwarded: `for=${at.web}` },
    ]) {
      expect(await call(port, at.unknown, forged), JSON.stringify(forged)).to.equal(403);
      expect(await call(port, at.batch, forged), JSON.stringify(forged)).to.equal(403);
    }
    expect(reached).to.deep.equal([]);
    expect(await call(port, at.web, { [clientHeader]: "audit/reader" })).to.equal(200);
    expect(reached.map((headers) => headers[clientHeader])).to.deep.equal([undefined]);
  });

  it("knows nobody any more of whom nobody asks", async () => {
    const port = await egress(await ingress([{ from: [{ namespace: "shop" }] }]), {});
    expect(await call(port, at.web)).to.equal(403);
  });

  it("takes a cluster's word for its own clients only, and only that of its egress gateways", async () => {
    const port = await ingress([{ from: [{ cluster: "east", namespace: "shop", serviceAccount: "web" }] }]);
    const says = { [clientHeader]: "shop/web" };
    const as = async (cluster: Cluster, gateway: string): Promise<number | "refused"> =>
      await ask(port, await shown(cluster, [idOf(cluster.id, gateway)]), says);
    expect(await as(east, "egress")).to.equal(200);
    expect(await as(west, "egress")).to.equal(403);
    expect(await as(east, "shop/web")).to.equal(403);
    expect(await as(east, "ingress")).to.equal(403);
    const caller = await shown(east, [idOf("east", "egress")]);
    for (const name of ["shop/webs", "shop", "shop/", "/web", "Shop/Web", "shop/web,audit/reader"])
      expect(await ask(port, caller, { [clientHeader]: name }), name).to.equal(403);
  });

  it("lets nobody in by an account without a namespace", async () => {
    const port = await ingress([{ from: [{ cluster: "east", serviceAccount: "web" }] }]);
    const caller = await shown(east, [idOf("east", "egress")]);
    expect(await ask(port, caller, { [clientHeader]: "shop/web" })).to.equal(403);
  });
});
