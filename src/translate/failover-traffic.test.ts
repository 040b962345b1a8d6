import { once } from "node:events";
import { createServer, request } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { Http2Server } from "node:http2";
import { expect } from "chai";
import { envoyProgram, portOf, startCase, thisHost } from "../../test/translate/run-case.ts";
import type { RunningCase } from "../../test/translate/run-case.ts";
import type { WanBackend, WanLocality } from "../model/desired.ts";
import type { KubeObject } from "../model/kube-object.ts";

const api = { gateway: "gateway.networking.k8s.io/v1", slices: "discovery.k8s.io/v1" };
const meta = (name: string, more: object = {}): KubeObject["metadata"] => ({
  namespace: "shop",
  name,
  generation: 1,
  creationTimestamp: "2026-01-01T00:00:00Z",
  ...more,
});

/** A Gateway of cluster `name`: answers with its name. */
async function startGateway(name: string): Promise<Http2Server> {
  const server = createHttp2Server((_, response) => {
    response.setHeader("x-served-by", name);
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function startPod(name: string): Promise<Server> {
  const server = createServer((_, response) => {
    response.setHeader("x-served-by", name);
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

describe("tiers and affinity in a real Envoy", function () {
  this.timeout(60_000);
  const servers: (Server | Http2Server)[] = [];
  let running: RunningCase | undefined;

  before(async function () {
    if (envoyProgram() === undefined) return this.skip();
    const gateways = await Promise.all(["east", "north", "west"].map(startGateway));
    const pods = await Promise.all(["pod-1", "pod-2", "pod-3"].map(startPod));
    const dead = await startPod("dead");
    const deadPort = portOf(dead);
    dead.close();
    servers.push(...gateways, ...pods);
    const [east = 0, north = 0, west = 0] = gateways.map(portOf);
    const at = (cluster: string, port: number, tier = 0): WanLocality => ({
      cluster,
      tier,
      weight: 1,
      endpoints: [{ address: "127.0.0.1", port }],
    });
    const backend = (name: string, remote: WanLocality[], more: Partial<WanBackend> = {}): WanBackend => ({
      service: { namespace: "shop", name },
      policy: "high",
      remote,
      ...more,
    });
    const all = [at("east", east), at("north", north), at("west", west)];
    const wanBackends = {
      // The tiers leave a gap where a cluster has nothing ready.
      tiered: backend("tiered", [at("east", east, 1), at("west", west, 3)]),
      failed: backend("failed", [at("east", deadPort), at("west", west, 1)]),
      kept: backend("kept", all, { hasAffinity: true }),
      half: backend("half", all, { hasAffinity: true }),
    };
    const rule = (path: string, ...backendRefs: object[]): object => ({
      matches: [{ path: { type: "PathPrefix", value: path } }],
      backendRefs: backendRefs.map((ref) => ({ namespace: "mc-wan", port: 31_111, ...ref })),
    });
    const marked = {
      type: "RequestHeaderModifier",
      requestHeaderModifier: { set: [{ name: "a", value: "b" }] },
    };
    const objects = [
      {
        apiVersion: api.gateway,
        kind: "Gateway",
        metadata: meta("web"),
        spec: { gatewayClassName: "mc-wan", listeners: [{ name: "http", port: 8080, protocol: "HTTP" }] },
      },
      {
        apiVersion: api.gateway,
        kind: "Gateway",
        metadata: meta("ingress"),
        spec: { gatewayClassName: "mc-wan", listeners: [{ name: "high", port: 31_111, protocol: "HTTP" }] },
      },
      {
        apiVersion: "gateway.networking.k8s.io/v1beta1",
        kind: "ReferenceGrant",
        metadata: { ...meta("shop"), namespace: "mc-wan" },
        spec: {
          from: [{ group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: "shop" }],
          to: [{ group: "", kind: "Service" }],
        },
      },
      {
        apiVersion: api.gateway,
        kind: "HTTPRoute",
        metadata: meta("web"),
        spec: {
          parentRefs: [{ name: "web" }],
          rules: [
            rule("/tiered", { name: "tiered" }),
            rule("/failed", { name: "failed" }),
            // A filter of a backendRef makes a weighted cluster of it.
            rule("/shares", { name: "failed", weight: 1, filters: [marked] }, { name: "tiered", weight: 1 }),
            rule("/kept", { name: "kept" }),
            rule("/halves", { name: "kept" }, { name: "half" }),
          ],
        },
      },
      {
        apiVersion: api.gateway,
        kind: "HTTPRoute",
        metadata: meta("ingress"),
        spec: {
          parentRefs: [{ name: "ingress" }],
          rules: [{ backendRefs: [{ name: "pods", port: 80 }] }],
        },
      },
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: meta("pods"),
        spec: { sessionAffinity: "ClientIP", ports: [{ port: 80 }] },
      },
      ...pods.map((pod, index) => ({
        apiVersion: api.slices,
        kind: "EndpointSlice",
        metadata: meta(`pods-${index}`, { labels: { "kubernetes.io/service-name": "pods" } }),
        addressType: "IPv4",
        ports: [{ port: portOf(pod) }],
        endpoints: [{ addresses: [thisHost] }],
      })),
    ] as unknown as KubeObject[];
    const ingress = {
      role: "Ingress",
      service: { namespace: "shop", name: "pods" },
      hostnames: ["pods.shop"],
      containerPorts: { high: 31_111 },
    } as const;
    const file = {
      objects,
      gateways: [
        { gateway: "shop/web", fleet: "shop.web" },
        { gateway: "shop/ingress", fleet: "mc-wan-ingress", pooled: ingress },
      ],
      wanBackends,
    };
    running = await startCase(file, [8080, 31_111]);
  });

  after(async () => {
    await running?.stop();
    for (const server of servers) server.close();
  });

  /** Who answers; `from` is the client's address. */
  async function served(
    path: string,
    { port = 8080, from, headers }: { port?: number; from?: string; headers?: Record<string, string> } = {},
  ): Promise<string> {
    if (running === undefined) throw new Error("there is no Envoy");
    const sent = request({
      host: "127.0.0.1",
      port: running.portOf(port),
      path,
      headers: { host: "pods.shop", ...headers },
      agent: false,
      ...(from === undefined ? {} : { localAddress: from }),
    });
    sent.end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");
    return `${response.statusCode} ${String(response.headers["x-served-by"])}`;
  }
  const several = async (count: number, ask: () => Promise<string>): Promise<Set<string>> => {
    const seen = new Set<string>();
    for (let index = 0; index < count; index++) seen.add(await ask());
    return seen;
  };

  it("sends everything to the first tier that has somebody", async () => {
    expect([...(await several(20, () => served("/tiered")))]).to.deep.equal(["200 east"]);
  });

  it("goes to the next tier when the first one's gateways take no connections", async () => {
    expect([...(await several(20, () => served("/failed")))]).to.deep.equal(["200 west"]);
  });

  it("fails over inside each share of a rule with weights and filters of backendRefs", async () => {
    expect([...(await several(40, () => served("/shares")))].sort()).to.deep.equal(["200 east", "200 west"]);
  });

  it("keeps a client with one cluster, and spreads clients over all", async () => {
    const clusters = new Set<string>();
    for (let client = 1; client <= 30; client++) {
      const seen = await several(4, () => served("/kept", { from: `127.0.0.${client}` }));
      expect(seen.size).to.equal(1);
      for (const one of seen) clusters.add(one);
    }
    expect([...clusters].sort()).to.deep.equal(["200 east", "200 north", "200 west"]);
  });

  it("keeps a client with one share of a rule with weights", async () => {
    for (let client = 1; client <= 10; client++)
      expect((await several(6, () => served("/halves", { from: `127.0.0.${client}` }))).size).to.equal(1);
  });

  it("keeps a client with one Pod by the address that the egress gateway names", async () => {
    const pods = new Set<string>();
    for (let client = 1; client <= 30; client++) {
      const headers = { "x-forwarded-for": `198.18.7.${client}` };
      const seen = await several(4, () => served("/", { port: 31_111, headers }));
      expect(seen.size).to.equal(1);
      for (const one of seen) pods.add(one);
    }
    expect([...pods].sort()).to.deep.equal(["200 pod-1", "200 pod-2", "200 pod-3"]);
  });
});
