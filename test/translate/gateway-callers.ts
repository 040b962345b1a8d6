/** Clients of an ingress port with certificates of any making, and the ingress that they call. For tests with real Envoys. */
import { connect as connectHttp2 } from "node:http2";
import type { IncomingHttpHeaders, IncomingHttpStatusHeader } from "node:http2";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { createAuthority } from "../../src/lab/certificates.ts";
import type { CertificateAuthority } from "../../src/lab/certificates.ts";
import { spiffeIdOf } from "../../src/model/identity.ts";
import type { TrustedAuthority } from "../../src/model/identity.ts";
import type { KubeObject } from "../../src/model/kube-object.ts";
import { ingressPool } from "../../src/model/names.ts";
import type { CaseFile } from "../../src/translate/case-file.ts";
import { thisHost } from "./run-case.ts";

/** What trust domains end in. */
export const base = "mc-wan.l7mp.io";
/** What a gateway asks for by SNI, to call `secure/payment`. */
export const serverName = "payment.secure.svc.clusterset.local";
/** Its name in requests. */
export const host = "payment.secure.svc.cluster.local";
/** Of the one policy. */
export const policyPort = 31_111;

/** The SPIFFE id of a gateway of a cluster. */
export const idOf = (cluster: string, gateway: string): string =>
  spiffeIdOf(`${cluster}.${base}`, cluster, gateway);

/** A client of an ingress port. */
export type Client = Pick<
  ConnectionOptions,
  "cert" | "key" | "maxVersion" | "minVersion" | "ALPNProtocols" | "servername"
>;

/** A cluster with its own authority. */
export interface Cluster {
  readonly id: string;
  readonly authority: CertificateAuthority;
}

/** A cluster, with a new authority. */
export async function clusterOf(id: string): Promise<Cluster> {
  return { id, authority: await createAuthority(`authority of ${id}`) };
}

/** What who takes its word knows of it. */
export const trustOf = ({ id, authority }: Cluster): TrustedAuthority => ({
  cluster: id,
  trustDomain: `${id}.${base}`,
  bundle: authority.certificate,
});

/** What an authority signs for some URIs, as a client shows it. */
export async function shown(
  { authority }: Pick<Cluster, "authority">,
  uris: readonly string[],
  endedMsAgo?: number,
): Promise<Client> {
  const pair = await authority.issue({
    commonName: "gateway",
    uris,
    ...(endedMsAgo !== undefined && { endedMsAgo }),
  });
  return { cert: pair.certificate, key: pair.key };
}

/** An answer's status, or why there is none: no connection, or none that carries a request. */
export async function ask(
  port: number,
  client: Client,
  headers: Record<string, string> = {},
): Promise<number | "refused"> {
  const socket = connectTls({
    host: "127.0.0.1",
    port,
    servername: serverName,
    ALPNProtocols: ["h2"],
    rejectUnauthorized: false,
    ...client,
  });
  return await askOver(socket, headers);
}

/** The same over a connection that is open. */
export async function askOver(
  socket: TLSSocket,
  headers: Record<string, string> = {},
): Promise<number | "refused"> {
  return await new Promise((resolve) => {
    const refuse = (): void => {
      session.destroy();
      resolve("refused");
    };
    const session = connectHttp2("https://gateway", { createConnection: () => socket });
    session.on("error", refuse);
    session.on("close", refuse);
    const stream = session.request({ ":path": "/", ":authority": host, ...headers });
    stream.on("error", refuse);
    stream.on("response", (answer: IncomingHttpHeaders & IncomingHttpStatusHeader) => {
      resolve(answer[":status"] ?? "refused");
      session.destroy();
    });
    stream.end();
  });
}

/** Ingress Gateways of services of the namespace `secure`, by name, with the port of their one backend on this host. */
export function ingressCase(
  backends: Readonly<Record<string, number>>,
): Pick<CaseFile, "objects" | "gateways"> {
  const namespace = "secure";
  const objects = Object.entries(backends).flatMap(([name, port]) => [
    { apiVersion: "v1", kind: "Service", metadata: { namespace, name }, spec: { ports: [{ port: 80 }] } },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { namespace, name, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ port }],
      endpoints: [{ addresses: [thisHost] }],
    },
    {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "Gateway",
      metadata: { namespace, name: `${name}-ingress` },
      spec: {
        gatewayClassName: "mc-wan",
        listeners: [{ name: "high", port: policyPort, protocol: "HTTPS", tls: { mode: "Terminate" } }],
      },
    },
    {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "HTTPRoute",
      metadata: { namespace, name: `${name}-ingress` },
      spec: {
        parentRefs: [{ name: `${name}-ingress` }],
        rules: [{ backendRefs: [{ name, port: 80 }] }],
      },
    },
  ]) as KubeObject[];
  const gateways = Object.keys(backends).map((name) => ({
    gateway: `${namespace}/${name}-ingress`,
    fleet: ingressPool,
    pooled: {
      role: "Ingress" as const,
      service: { namespace, name },
      hostnames: [`${name}.${namespace}.svc.cluster.local`],
      containerPorts: { high: policyPort },
    },
  }));
  return { objects, gateways };
}
