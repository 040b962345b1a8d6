/** ServiceExports and WANPolicies as nobody should write them. What CRDs refuse of policies is in `src/api/crds.test.ts`. */
import type { KubeObject } from "../../src/model/kube-object.ts";
import { policy, slice, written } from "./case.ts";
import type { BadInput } from "./case.ts";

const at = "ServiceExport/shop/odd";
const exported = (annotations: object = {}): KubeObject =>
  written(["multicluster.x-k8s.io/v1beta1", "ServiceExport"], "odd", { metadata: { annotations } });
const service = (spec: object): KubeObject => written(["v1", "Service"], "odd", { spec });
const good = service({ ports: [{ name: "http", port: 80 }] });
const backed = slice("odd", "x", { endpoints: [{ addresses: ["198.18.1.20"] }] });
/** Told at the export. */
const of = (what: string, spec: object, says: RegExp): BadInput => ({
  what,
  at,
  objects: [service(spec), backed, exported()],
  says,
});
const named = (what: string, value: string): BadInput => ({
  what: `an export whose policy is ${what}`,
  at,
  objects: [good, backed, exported({ "mc-wan.l7mp.io/wan-policy": value })],
  says: /PolicyNotFound/,
});
const told = /"(Valid|Ready|SupportedPorts)","status":"False"/;

export const exports: readonly BadInput[] = [
  {
    what: "an export of no Service",
    at,
    objects: [exported()],
    says: /"Valid","status":"False","reason":"NoService"/,
  },
  of(
    "an export of an ExternalName",
    { type: "ExternalName", externalName: "metadata.example.org" },
    /"Valid","status":"False","reason":"InvalidServiceType"/,
  ),
  of(
    "an export of a headless Service",
    { clusterIP: "None", ports: [{ name: "http", port: 80 }] },
    /"Valid","status":"True"/,
  ),
  of("an export of a headless Service without ports", { clusterIP: "None" }, told),
  of("an export of a node port", { type: "NodePort", ports: [{ port: 80 }] }, /"Valid","status":"True"/),
  of("an export of UDP", { ports: [{ port: 53, protocol: "UDP" }] }, /UnsupportedProtocol/),
  of("an export of SCTP", { ports: [{ port: 53, protocol: "SCTP" }] }, /UnsupportedProtocol/),
  of("two ports without a name", { ports: [{ port: 80 }, { port: 81 }] }, /create services failed.*name/s),
  named("empty", ""),
  named("of two lines", "high\nlow"),
  named("a path", "../high"),
  named("high in another script", "hіgh"),
  {
    what: "the port of another policy",
    at: "WANPolicy/odd",
    objects: [policy("odd", 31111)],
    says: /"Accepted","status":"False","reason":"PortConflict"/,
  },
  {
    what: "a latency without end",
    objects: [{ ...policy("odd", 31199), spec: { tunnel: "t", port: 31199, sla: { latencyMs: "1e309" } } }],
    says: /latencyMs/,
  },
  {
    what: "a tunnel in another script",
    objects: [{ ...policy("odd", 31199), spec: { tunnel: "bizness\u0131", port: 31199 } }],
    says: /spec\.tunnel/,
  },
];
