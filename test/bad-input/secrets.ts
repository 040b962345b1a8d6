/** Secrets and authorities as nobody should write them. What else is wrong with certificates is in a golden of translate. */
import type { KubeObject } from "../../src/model/kube-object.ts";
import { authorityData, siteData } from "../fuzz/certificates.ts";
import { gatewayApi, ruled, secret, service, slice, written } from "./case.ts";
import type { BadInput } from "./case.ts";

const text = (data: string): string => Buffer.from(data, "base64").toString();
const base64 = (data: string): string => Buffer.from(data).toString("base64");
const certificate = text(siteData["tls.crt"] ?? "");
const using: KubeObject = written([gatewayApi, "Gateway"], "odd", {
  spec: {
    gatewayClassName: "mc-wan",
    listeners: [{ name: "https", port: 443, protocol: "HTTPS", tls: { certificateRefs: [{ name: "odd" }] } }],
  },
});
const changed = (data: object): Pick<BadInput, "objects"> => ({
  objects: [secret("odd", { ...siteData, ...data }), using],
});
const unusable = /InvalidCertificateRef/;
const usable = /"ResolvedRefs","status":"True"/;
const withAuthorities = (bundle: string): Pick<BadInput, "objects" | "at"> => ({
  at: "BackendTLSPolicy/shop/odd",
  objects: [
    service("odd"),
    slice("odd", "x", { endpoints: [{ addresses: ["198.18.1.20"] }] }),
    written(["v1", "ConfigMap"], "odd", { data: { "ca.crt": bundle } }),
    written([gatewayApi, "BackendTLSPolicy"], "odd", {
      spec: {
        targetRefs: [{ group: "", kind: "Service", name: "odd" }],
        validation: {
          hostname: "odd.example.org",
          caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "odd" }],
        },
      },
    }),
    ruled("odd", { backendRefs: [{ name: "odd", port: 80 }] }),
  ],
});
const authority = authorityData["ca.crt"] ?? "";
/** As much as an object may hold. */
const full = (part: string): string => part.repeat(Math.floor(1_000_000 / part.length));

export const secrets: readonly BadInput[] = [
  {
    what: "line ends of Windows",
    ...changed({ "tls.crt": base64(certificate.replaceAll("\n", "\r\n")) }),
    says: usable,
  },
  { what: "a byte order mark", ...changed({ "tls.crt": base64(`\uFEFF${certificate}`) }), says: usable },
  {
    what: "no key",
    objects: [secret("odd", { "tls.crt": siteData["tls.crt"] }), using],
    says: /create secrets failed.*InvalidCertificateRef/s,
  },
  { what: "an empty key", ...changed({ "tls.key": "" }), says: unusable },
  { what: "the certificate as key", ...changed({ "tls.key": siteData["tls.crt"] }), says: unusable },
  {
    what: "no base64",
    ...changed({ "tls.crt": "%" }),
    says: /create secrets failed.*InvalidCertificateRef/s,
  },
  {
    what: "a chain of a megabyte",
    ...changed({ "tls.crt": base64(full(certificate).slice(0, 700_000)) }),
    says: /longer than the 100 KiB|can't be read/,
  },
  {
    what: "the same certificate 100 times",
    ...changed({ "tls.crt": base64(certificate.repeat(100)) }),
    says: usable,
  },
  {
    what: "a megabyte that only begins",
    ...changed({ "tls.crt": base64(full("-----BEGIN CERTIFICATE-----").slice(0, 700_000)) }),
    says: unusable,
  },
  {
    what: "authorities of a megabyte",
    ...withAuthorities(full(authority)),
    says: /"Accepted","status":"True"/,
  },
  {
    what: "a key named __proto__ beside the authorities",
    at: "BackendTLSPolicy/shop/odd",
    objects: withAuthorities(authority).objects.map((object) =>
      object.kind === "ConfigMap"
        ? { ...object, data: JSON.parse('{"__proto__": "x", "constructor": "y"}') as object }
        : object,
    ),
    says: /InvalidCACertificateRef/,
  },
];
