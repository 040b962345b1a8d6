import { once } from "node:events";
import { createServer, request } from "node:http";
import type { IncomingMessage } from "node:http";
import type { Server } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect } from "chai";
import { envoyProgram, portOf, startCase } from "../../test/translate/run-case.ts";
import type { RunningCase } from "../../test/translate/run-case.ts";
import { egressPool, ingressPool } from "../model/names.ts";
import {
  ask,
  askOver,
  base,
  clusterOf,
  host,
  idOf,
  ingressCase,
  policyPort,
  serverName,
  shown,
  trustOf,
} from "../../test/translate/gateway-callers.ts";
import type { Client, Cluster } from "../../test/translate/gateway-callers.ts";
import { egressCase, egressPort } from "../../test/translate/egress-case.ts";
import type { CaseFile } from "./case-file.ts";

describe("Mutual TLS between gateways, by real Envoys", function () {
  this.timeout(120_000);
  const servers: Server[] = [];
  const running: RunningCase[] = [];
  /** Requests that reached a backend. */
  const reached: { readonly backend: string; readonly headers: IncomingMessage["headers"] }[] = [];
  let home: Cluster;
  let east: Cluster;
  let stranger: Cluster;
  let port = 0;
  let backends: Record<string, number>;

  async function backend(name: string): Promise<number> {
    const server = createServer(({ headers }, response) => {
      reached.push({ backend: name, headers });
      response.end("{}");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    servers.push(server);
    return portOf(server);
  }

  async function start(file: CaseFile, bound: number): Promise<number> {
    const started = await startCase(file, [bound]);
    running.push(started);
    return started.portOf(bound);
  }

  /** An ingress of the home cluster, which trusts clusters. */
  async function ingress(of: Cluster, trusted: readonly Cluster[], gateway = "ingress"): Promise<number> {
    const pair = await of.authority.issue({ commonName: "gateway", uris: [idOf(of.id, gateway)] });
    const identities = { [ingressPool]: pair };
    return await start({ ...ingressCase(backends), identities, trust: trusted.map(trustOf) }, policyPort);
  }

  /** What an egress of the east gets that looks for the service at a port, where it should be exporters'. */
  async function importing(
    at: number,
    exporters: readonly string[],
    trusted: readonly Cluster[],
  ): Promise<number> {
    const pair = await east.authority.issue({ commonName: "gateway", uris: [idOf("east", "egress")] });
    const own = await start(
      { ...egressCase(at, exporters), identities: { [egressPool]: pair }, trust: trusted.map(trustOf) },
      egressPort,
    );
    const asked = request({ host: "127.0.0.1", port: own, headers: { host: "payment" } }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    response.resume();
    return response.statusCode ?? 0;
  }

  before(async function () {
    if (envoyProgram() === undefined) return this.skip();
    [home, east, stranger] = await Promise.all([clusterOf("home"), clusterOf("east"), clusterOf("stranger")]);
    backends = { payment: await backend("payment"), ledger: await backend("ledger") };
    port = await ingress(home, [home, east]);
  });
  beforeEach(() => {
    reached.length = 0;
  });
  after(async () => {
    await Promise.all(running.map(({ stop }) => stop()));
    for (const server of servers) server.close();
  });

  for (const gateway of ["egress", "shop/web", "ingress-nginx/web"]) {
    it(`lets in gateway ${gateway} of a cluster of the set`, async () => {
      expect(await ask(port, await shown(east, [idOf("east", gateway)]))).to.equal(200);
      expect(reached.map(({ backend }) => backend)).to.deep.equal(["payment"]);
      expect(Object.keys(reached[0]?.headers ?? {})).not.to.include("x-mc-wan-server-name");
    });
  }

  const attacks: readonly {
    readonly what: string;
    readonly client: () => Promise<Client> | Client;
    readonly headers?: Record<string, string>;
    readonly answer: number | "refused";
  }[] = [
    { what: "no certificate", client: () => ({}), answer: "refused" },
    { what: "a stranger's", client: () => shown(stranger, [idOf("stranger", "egress")]), answer: "refused" },
    {
      what: "a stranger's that says it is a cluster's of the set",
      client: () => shown(stranger, [idOf("east", "egress")]),
      answer: "refused",
    },
    {
      what: "one that has ended",
      client: () => shown(east, [idOf("east", "egress")], 1_000),
      answer: "refused",
    },
    {
      what: "one that a cluster of the set signed for another",
      client: () => shown(east, [idOf("home", "egress")]),
      answer: "refused",
    },
    {
      what: "one that a cluster of the set signed for itself and another",
      client: () => shown(east, [idOf("east", "egress"), idOf("home", "egress")]),
      answer: 403,
    },
    {
      what: "one with the path of another cluster",
      client: () => shown(east, [`spiffe://east.${base}/cluster/home/gateway/egress`]),
      answer: 403,
    },
    { what: "an ingress's", client: () => shown(east, [idOf("east", "ingress")]), answer: 403 },
    {
      what: "one with no id",
      client: () => shown(east, []),
      answer: "refused",
    },
    {
      what: "TLS 1.2",
      client: async () => ({
        ...(await shown(east, [idOf("east", "egress")])),
        maxVersion: "TLSv1.2" as const,
      }),
      answer: "refused",
    },
    {
      what: "a name that is no service's",
      client: async () => ({ ...(await shown(east, [idOf("east", "egress")])), servername: "example.com" }),
      answer: "refused",
    },
    {
      what: "no name",
      client: async () => ({ ...(await shown(east, [idOf("east", "egress")])), servername: "" }),
      answer: "refused",
    },
    {
      what: "the name of another service than its request's",
      client: async () => ({
        ...(await shown(east, [idOf("east", "egress")])),
        servername: "ledger.secure.svc.clusterset.local",
      }),
      answer: 421,
    },
    {
      what: "that, and says otherwise in a header",
      client: async () => ({
        ...(await shown(east, [idOf("east", "egress")])),
        servername: "ledger.secure.svc.clusterset.local",
      }),
      headers: { "x-mc-wan-server-name": serverName },
      answer: 421,
    },
    {
      what: "a service that isn't exported",
      client: () => shown(east, [idOf("east", "egress")]),
      headers: { ":authority": "kubernetes.default.svc.cluster.local" },
      answer: 404,
    },
  ];
  for (const { what, client, headers, answer } of attacks) {
    it(`lets nobody in who comes with: ${what}`, async () => {
      expect(await ask(port, await client(), headers)).to.equal(answer);
      expect(reached).to.deep.equal([]);
    });
  }

  it("speaks no plain text", async () => {
    const asked = request({ host: "127.0.0.1", port, headers: { host } }).end();
    const ended = await once(asked, "response").then(
      () => "answered",
      () => "refused",
    );
    expect(ended).to.equal("refused");
    expect(reached).to.deep.equal([]);
  });

  it("resumes no session: trust is looked at again on every connection", async () => {
    const client = await shown(east, [idOf("east", "egress")]);
    const tickets: Buffer[] = [];
    const socket = connectTls({
      host: "127.0.0.1",
      port,
      servername: serverName,
      ALPNProtocols: ["h2"],
      rejectUnauthorized: false,
      ...client,
    });
    socket.on("session", (ticket: Buffer) => tickets.push(ticket));
    expect(await askOver(socket)).to.equal(200);
    expect(tickets).to.deep.equal([]);
  });

  it("carries requests from an egress to the ingress of a cluster that exports the service", async () => {
    expect(await importing(port, ["home"], [home, east])).to.equal(200);
    expect(reached.map(({ headers }) => headers.host)).to.deep.equal([host]);
  });

  const impostors: readonly { readonly what: string; readonly start: () => Promise<number> }[] = [
    { what: "an egress of that cluster", start: () => ingress(home, [home, east], "egress") },
    { what: "an ingress of another cluster of the set", start: () => ingress(east, [home, east]) },
    { what: "a stranger", start: () => ingress(stranger, [home, east, stranger]) },
    {
      what: "another cluster of the set in that one's name",
      start: () => ingress({ id: "home", authority: east.authority }, [home, east]),
    },
  ];
  for (const { what, start: impostor } of impostors) {
    it(`an egress sends nothing to ${what}`, async () => {
      expect(await importing(await impostor(), ["home"], [home, east])).to.equal(503);
      expect(reached).to.deep.equal([]);
    });
  }

  it("an egress sends nothing where the exporter has said nothing of its authority", async () => {
    expect(await importing(port, ["home"], [east])).to.equal(503);
    expect(reached).to.deep.equal([]);
  });
});
