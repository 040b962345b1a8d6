/** What may be odd about an object of any kind. */
import type { KubeObject } from "../../src/model/kube-object.ts";
import { route, ruled, service, slice, written } from "./case.ts";
import type { BadInput } from "./case.ts";

const mcWan = "mc-wan.l7mp.io/v1alpha1";
const accepted = /"Accepted","status":"True"/;
const marked = (metadata: object): Pick<BadInput, "objects"> => ({
  objects: [route("odd", {}, metadata)],
});
const policy = (name: string, metadata: object = {}): KubeObject => ({
  apiVersion: mcWan,
  kind: "WANPolicy",
  metadata: { name, ...metadata },
  spec: { tunnel: "t", port: 31199 },
});
const fromJson = (json: string): object => JSON.parse(json) as object;

export const anyObject: readonly BadInput[] = [
  {
    what: "the label __proto__",
    ...marked({ labels: fromJson('{"__proto__": "x"}') }),
    says: /metadata\.labels/,
  },
  {
    what: "the labels constructor and toString",
    ...marked({ labels: { constructor: "x", toString: "y" } }),
    says: accepted,
  },
  {
    what: "the annotations constructor and hasOwnProperty",
    ...marked({ annotations: { constructor: "x", hasOwnProperty: "🙂" } }),
    says: accepted,
  },
  { what: "the name toString", objects: [service("toString")], says: /metadata\.name/ },
  { what: "an emoji for a name", objects: [service("🙂")], says: /metadata\.name/ },
  {
    what: "a Service named constructor",
    at: "HTTPRoute/shop/odd",
    objects: [
      service("constructor"),
      slice("constructor", "x", { endpoints: [{ addresses: ["198.18.1.21"] }] }),
      ruled("odd", { backendRefs: [{ name: "constructor", port: 80 }] }),
    ],
    says: /"ResolvedRefs","status":"True"/,
  },
  { what: "a WANPolicy named constructor", objects: [policy("constructor")], says: accepted },
  {
    what: "a WANPolicy that is meant to be the default, or not",
    objects: [policy("odd", { annotations: { "mc-wan.l7mp.io/default": "TRUE\n" } })],
    says: accepted,
  },
  {
    what: "an export with the policy constructor",
    at: "ServiceExport/shop/odd",
    objects: [
      service("odd"),
      written(["multicluster.x-k8s.io/v1beta1", "ServiceExport"], "odd", {
        metadata: { annotations: { "mc-wan.l7mp.io/wan-policy": "constructor" } },
      }),
    ],
    says: /PolicyNotFound/,
  },
  {
    what: "an export whose policy is a page of text",
    at: "ServiceExport/shop/odd",
    objects: [
      service("odd"),
      written(["multicluster.x-k8s.io/v1beta1", "ServiceExport"], "odd", {
        metadata: { annotations: { "mc-wan.l7mp.io/wan-policy": `../\n${"x".repeat(200_000)}` } },
      }),
    ],
    says: /PolicyNotFound/,
  },
  {
    what: "an annotation of 300 KB",
    ...marked({ annotations: { big: "x".repeat(300_000) } }),
    says: /Too long|annotations/,
  },
  {
    what: "two megabytes",
    objects: [route("odd", {}, { annotations: { big: "x".repeat(2_000_000) } })],
    says: /too large|Too long/i,
  },
  {
    what: "no namespace that is there",
    objects: [route("odd", {}, { namespace: "nowhere" })],
    says: /not found/,
  },
  {
    what: "a finalizer, and its end asked for",
    at: "HTTPRoute/shop/odd",
    objects: [route("odd", {}, { finalizers: ["example.org/never"] })],
    says: accepted,
  },
  {
    what: "null among the rules",
    objects: [route("odd", { rules: [null] })],
    says: /rules\[0\]|"Accepted","status":"True"/,
  },
  {
    what: "a text where a number should be",
    objects: [ruled("odd", { backendRefs: [{ name: "good", port: "80" }] })],
    says: /port/,
  },
  {
    what: "a field that nobody knows",
    objects: [ruled("odd", { __proto: 1, surprise: { deep: [1] } })],
    says: accepted,
  },
];
