/** What reconcile wants, an API server takes, however many ports a service has and however exporters' ports meet. */
import { expect } from "chai";
import type { Desired } from "../src/model/desired.ts";
import { objectKey } from "../src/model/desired.ts";
import { kinds } from "../src/model/kinds.ts";
import type { ObjectTypes } from "../src/model/kinds.ts";
import type { Condition, KubeObject } from "../src/model/kube-object.ts";
import { createReconcile } from "../src/reconcile/reconcile.ts";
import { worldFrom } from "../src/reconcile/world-from-yaml.ts";
import { createNamespace, startHomeCluster } from "./home-cluster.ts";
import type { HomeCluster } from "./home-cluster.ts";

const policy = {
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "WANPolicy",
  metadata: {
    name: "high",
    generation: 1,
    creationTimestamp: "2026-01-01T00:00:00Z",
    annotations: { "mc-wan.l7mp.io/default": "true" },
  },
  spec: { tunnel: "business", port: 31111 },
} as unknown as KubeObject;

interface Port {
  readonly name?: string;
  readonly port: number;
  readonly protocol?: string;
}

const objectsFor = (namespace: string): KubeObject[] => [
  policy,
  { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "egress-1",
      namespace: "mc-wan-system",
      labels: { "mc-wan.l7mp.io/fleet": "mc-wan-egress" },
    },
    status: { podIP: "198.18.1.3", conditions: [{ type: "Ready", status: "True" }] },
  },
];

function exported(namespace: string, ports: readonly Port[]): KubeObject[] {
  const metadata = { name: "wide", namespace };
  return [
    {
      apiVersion: "multicluster.x-k8s.io/v1beta1",
      kind: "ServiceExport",
      metadata: { ...metadata, creationTimestamp: "2026-01-01T00:00:00Z", generation: 1 },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: { type: "ClusterIP", clusterIP: "10.96.0.9", ports },
    },
  ];
}

const advertised = (namespace: string, exportTime: string, ports: readonly Port[]): KubeObject => ({
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "ServiceAdvertisement",
  metadata: { name: "wide", namespace },
  spec: {
    formatVersion: 1,
    type: "ClusterSetIP",
    exportTime,
    ports: ports.map((port) => ({ protocol: "TCP", ...port })),
    ipFamilies: ["IPv4"],
    wanPolicy: "high",
    pool: "mc-wan-ingress",
    readyBackends: [{ zone: "", count: 1 }],
  },
});

const numbered = (count: number): Port[] =>
  Array.from({ length: count }, (_, index) => ({
    name: `http-${index}`,
    port: 8000 + index,
    protocol: "TCP",
  }));

describe("objects that reconcile wants, at a real API server", function () {
  this.timeout(120_000);
  let home: HomeCluster;
  before(async () => {
    home = await startHomeCluster();
    for (const name of ["ports-65", "ports-130", "ports-meet"]) await createNamespace(home.client, name);
  });
  after(async () => {
    await home.stop();
  });

  /** What the API server refuses, in its words. */
  async function refusals({ objects }: Desired): Promise<string[]> {
    const said: string[] = [];
    for (const { kind, object } of objects.values()) {
      await home.client.apply(kinds[kind], object).catch((error: unknown) => {
        said.push(`${kind} ${object.metadata.name}: ${String(error)}`);
      });
    }
    return said;
  }

  const conditionOf = (desired: Desired, key: string, type: string): Condition | undefined => {
    const status = desired.statuses.get(key);
    return status?.form === "Conditions" ? status.conditions.find((one) => one.type === type) : undefined;
  };
  const find = <K extends "Service" | "Gateway" | "ServiceAdvertisement">(
    desired: Desired,
    kind: K,
    key: string,
  ): ObjectTypes[K] | undefined =>
    desired.objects.get(objectKey(kind, key))?.object as ObjectTypes[K] | undefined;

  it("are taken for a service with 65 ports: 64 are carried, and the 65th is told", async () => {
    const home = [...objectsFor("ports-65"), ...exported("ports-65", numbered(65))];
    const desired = createReconcile()(worldFrom({ homeId: "west", home }));
    expect(await refusals(desired)).to.deep.equal([]);
    expect(find(desired, "Gateway", "ports-65/wide-clusterset")?.spec.listeners).to.have.length(64);
    expect(find(desired, "Service", "ports-65/wide-clusterset")?.spec?.ports).to.have.length(65);
    const told = conditionOf(desired, "ServiceExport/ports-65/wide", "PortsSupported");
    expect(told).to.include({ status: "False", reason: "TooManyPorts" });
    expect(told?.message).to.equal(
      "At most 64 HTTP and TCP ports can be carried, those with the lowest numbers. Left out: 8064/TCP. Split the Service into several.",
    );
  });

  it("are taken for a service with 130 ports: 128 are exported, and the others told", async () => {
    const home = [...objectsFor("ports-130"), ...exported("ports-130", numbered(130))];
    const desired = createReconcile()(worldFrom({ homeId: "west", home }));
    expect(await refusals(desired)).to.deep.equal([]);
    expect(find(desired, "ServiceAdvertisement", "ports-130/wide")?.spec.ports).to.have.length(128);
    const told = conditionOf(desired, "ServiceExport/ports-130/wide", "PortsSupported");
    expect(told?.message)
      .to.contain("At most 128 ports can be exported")
      .and.to.contain("Left out: 8128/TCP, 8129/TCP.");
    const routed = [...desired.httpRoutes].filter(([key]) => key.startsWith("ports-130/wide-ingress"));
    expect(routed.flatMap(([, route]) => route.spec.rules ?? [])).to.have.length(128);
  });

  it("are taken where unnamed ports, and equal names and numbers, of several exporters meet; all of them are told", async () => {
    const desired = createReconcile()(
      worldFrom({
        homeId: "west",
        home: [...objectsFor("ports-meet"), ...exported("ports-meet", [{ port: 8080 }])],
        peers: [
          {
            id: "b",
            objects: [
              advertised("ports-meet", "2026-01-02T00:00:00Z", [
                { name: "port-8080", port: 9999 },
                { name: "http", port: 9090 },
              ]),
            ],
          },
          {
            id: "c",
            objects: [
              advertised("ports-meet", "2026-01-03T00:00:00Z", [
                { name: "http", port: 9091 },
                { name: "web", port: 8080 },
              ]),
            ],
          },
        ],
      }),
    );
    expect(await refusals(desired)).to.deep.equal([]);
    const ports = find(desired, "Service", "ports-meet/wide-clusterset")?.spec?.ports ?? [];
    expect(ports.map(({ name, port }) => `${name ?? ""} ${port}`)).to.deep.equal([
      "port-8080-2 8080",
      "http 9090",
      "port-8080 9999",
    ]);
    expect(conditionOf(desired, "ServiceExport/ports-meet/wide", "Conflict")).to.include({
      status: "True",
      reason: "PortConflict",
      message:
        'Conflicting ports. The import has those of all exports; where they clash, those of the oldest, in "west". 3/3 clusters disagree. Give every port the same name, number and protocol in all of them, or export the services under different names.',
    });
  });
});
