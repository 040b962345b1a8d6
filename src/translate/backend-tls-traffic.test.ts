import { once } from "node:events";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { createSecureServer } from "node:http2";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { expect } from "chai";
import { envoyProgram, portOf, startCase, thisHost } from "../../test/translate/run-case.ts";
import type { RunningCase } from "../../test/translate/run-case.ts";
import { createAuthority } from "../lab/certificates.ts";
import type { KubeObject } from "../model/kube-object.ts";

/** What a backend saw of a request that it answered. */
interface Seen {
  readonly version: string;
  readonly servername: string | false | null | undefined;
  /** Subject of the certificate that the gateway showed. */
  readonly shown: string | undefined;
}

/** A Service with one Pod and the policy for it. */
interface Backend {
  readonly name: string;
  readonly port: number;
  readonly validation: object;
  readonly appProtocol?: string;
}

const namespace = "shop";
const name = "backend.example.com";
const trusted = { caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "trusted" }] };
const stranger = { caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "stranger" }] };

function objectsOf({ name, port, validation, appProtocol }: Backend): KubeObject[] {
  const servicePort = { name: "https", port: 443, ...(appProtocol !== undefined && { appProtocol }) };
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace, name },
      spec: { ports: [servicePort] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { namespace, name: `${name}-1`, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "https", port }],
      endpoints: [{ addresses: [thisHost] }],
    },
    {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "BackendTLSPolicy",
      metadata: { namespace, name, uid: name, creationTimestamp: "2026-01-01T00:00:00Z" },
      spec: { targetRefs: [{ group: "", kind: "Service", name, sectionName: "https" }], validation },
    },
  ] as KubeObject[];
}

const routeTo = (names: readonly string[]): KubeObject => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "HTTPRoute",
  metadata: { namespace, name: "all" },
  spec: {
    parentRefs: [{ name: "web" }],
    rules: names.map((name) => ({
      matches: [{ path: { type: "Exact", value: `/${name}` } }],
      backendRefs: [{ name, port: 443 }],
    })),
  },
});

describe("TLS to backends through a real Envoy", function () {
  this.timeout(60_000);
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  /** The first byte of each connection to the backend that speaks no TLS. */
  const plain: (number | undefined)[] = [];
  const answered: string[] = [];
  let running: RunningCase | undefined;

  async function start(server: Server): Promise<number> {
    server.on("connection", (socket: Socket) => sockets.add(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    servers.push(server);
    return portOf(server);
  }

  before(async function () {
    if (envoyProgram() === undefined) return this.skip();
    const [authority, other] = await Promise.all([createAuthority("trusted"), createAuthority("stranger")]);
    const backend = await authority.issue({ commonName: "pod", dnsNames: [name, "*.wild.example.com"] });
    const own = await authority.issue({ commonName: "gateway" });
    const certified = { cert: backend.certificate, key: backend.key, ca: authority.certificate };
    const latest = { ...certified, minVersion: "TLSv1.3" } as const;
    const port13 = await start(createHttpsServer(latest, (_request, response) => response.end("{}")));
    const tls = createSecureServer(
      {
        ...certified,
        requestCert: true,
        allowHTTP1: true,
      },
      ({ socket, httpVersion, url }: Http2ServerRequest, response: Http2ServerResponse) => {
        answered.push(url);
        const connection = socket as TLSSocket;
        const { servername } = connection;
        const shown = connection.getPeerX509Certificate()?.subject;
        const seen: Seen = { version: httpVersion, servername, shown };
        response.end(JSON.stringify(seen));
      },
    );
    const port = await start(tls);
    const plainPort = await start(
      createServer((socket) => {
        socket.once("data", (chunk) => {
          plain.push(chunk[0]);
          socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        });
        socket.on("error", () => undefined);
      }),
    );
    const backends: Backend[] = [
      { name: "right", port, validation: { ...trusted, hostname: name } },
      { name: "tls-1.3", port: port13, validation: { ...trusted, hostname: name } },
      { name: "wildcard", port, validation: { ...trusted, hostname: "any.wild.example.com" } },
      { name: "http2", port, validation: { ...trusted, hostname: name }, appProtocol: "kubernetes.io/h2c" },
      {
        name: "right-san",
        port,
        validation: {
          ...trusted,
          hostname: "asked.example.com",
          subjectAltNames: [
            { type: "Hostname", hostname: "absent.example.com" },
            { type: "Hostname", hostname: name },
          ],
        },
      },
      { name: "wrong-authority", port, validation: { ...stranger, hostname: name } },
      { name: "wrong-name", port, validation: { ...trusted, hostname: "other.example.com" } },
      {
        name: "wrong-san",
        port,
        validation: {
          ...trusted,
          hostname: name,
          subjectAltNames: [{ type: "Hostname", hostname: "absent.example.com" }],
        },
      },
      { name: "no-authority", port, validation: { hostname: name, wellKnownCACertificates: "System" } },
      { name: "plain", port: plainPort, validation: { ...trusted, hostname: name } },
    ];
    const bundle = (called: string, certificate: string): KubeObject => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { namespace, name: called },
      data: { "ca.crt": certificate },
    });
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    const gateway = {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "Gateway",
      metadata: { namespace, name: "web" },
      spec: {
        gatewayClassName: "mc-wan",
        tls: { backend: { clientCertificateRef: { group: "", kind: "Secret", name: "own" } } },
        listeners: [{ name: "http", port: 8080, protocol: "HTTP" }],
      },
    } as KubeObject;
    const secret = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { namespace, name: "own" },
      type: "kubernetes.io/tls",
      data: { "tls.crt": base64(own.certificate), "tls.key": base64(own.key) },
    } as KubeObject;
    const objects = [
      { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
      bundle("trusted", authority.certificate),
      bundle("stranger", other.certificate),
      secret,
      gateway,
      routeTo(backends.map(({ name }) => name)),
      ...backends.flatMap(objectsOf),
    ];
    running = await startCase({ objects, gateways: [{ gateway: "shop/web", fleet: "shop.web" }] }, [8080]);
  });

  after(async () => {
    await running?.stop();
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
  });

  async function ask(backend: string): Promise<{ status: number | undefined; seen: Seen | undefined }> {
    const sent = request({
      host: "127.0.0.1",
      port: running?.portOf(8080),
      path: `/${backend}`,
      agent: false,
    });
    sent.end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    let body = "";
    for await (const chunk of response) body += String(chunk);
    return {
      status: response.statusCode,
      seen: body.startsWith("{") ? (JSON.parse(body) as Seen) : undefined,
    };
  }

  it("asks for the policy's hostname, takes a certificate for it, and shows the Gateway's own", async () => {
    const seen = { version: "1.1", servername: name, shown: "CN=gateway" };
    expect(await ask("right")).to.deep.equal({ status: 200, seen });
  });

  it("takes a certificate whose wildcard covers the hostname", async () => {
    const { status, seen } = await ask("wildcard");
    expect([status, seen?.servername]).to.deep.equal([200, "any.wild.example.com"]);
  });

  it("speaks HTTP/2 where the port says so", async () => {
    const { status, seen } = await ask("http2");
    expect([status, seen?.version]).to.deep.equal([200, "2.0"]);
  });

  it("speaks TLS 1.3, which may be all that a backend takes", async () => {
    expect((await ask("tls-1.3")).status).to.equal(200);
  });

  it("takes a certificate with one of the subjectAltNames, whatever the hostname that it asks for", async () => {
    const { status, seen } = await ask("right-san");
    expect([status, seen?.servername]).to.deep.equal([200, "asked.example.com"]);
  });

  for (const backend of ["wrong-authority", "wrong-name", "wrong-san"]) {
    it(`sends nothing to a backend with a ${backend.replace("-", " ")}`, async () => {
      // Again and again, so that an endpoint that was ejected for it is no way around.
      for (let index = 0; index < 8; index++) expect((await ask(backend)).status).to.equal(503);
      expect(answered).not.to.include(`/${backend}`);
    });
  }

  it("answers 500 where the policy can't be carried out", async () => {
    expect((await ask("no-authority")).status).to.equal(500);
    expect(answered).not.to.include("/no-authority");
  });

  it("never sends plain text to a backend that speaks no TLS", async () => {
    expect((await ask("plain")).status).to.equal(503);
    expect([...new Set(plain)]).to.deep.equal([handshake]);
  });
});

/** The first byte of a TLS connection. */
const handshake = 0x16;
