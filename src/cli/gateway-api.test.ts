import { expect } from "chai";
import { realTiming } from "../drivers/timing/real-timing.ts";
import { certificateMaker } from "../drivers/x509/certificate-maker.ts";
import { kinds } from "../model/kinds.ts";
import type { KindName, ObjectTypes } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { gatewayClassName, labels, systemNamespace } from "../model/names.ts";
import { createReconcile } from "../reconcile/reconcile.ts";
import { create, createNamespace, eventually, startHomeCluster } from "../../test/home-cluster.ts";
import type { HomeCluster } from "../../test/home-cluster.ts";
import { keptLog, keptMetrics } from "../../test/quiet.ts";
import { startTimeoutMs } from "../../test/kube-api-server.ts";
import { dataPlaneNamed } from "./data-planes/registry.ts";
import { Controller } from "./run.ts";
import { controllerSettings } from "../../test/controller-settings.ts";

const high = { metadata: { name: "high" }, spec: { tunnel: "business", port: 31111, mode: "Plain" } };
const istio = {
  metadata: { name: "istio" },
  spec: { controllerName: "istio.io/gateway-controller" },
};
const waitMs = 30_000;

describe("a Controller whose traffic another implementation carries, at a real API server", function () {
  this.timeout(startTimeoutMs);
  let home: HomeCluster;
  let controller: Controller;
  const log = keptLog();

  before(async () => {
    home = await startHomeCluster();
    const driver = dataPlaneNamed("gateway-api");
    const metrics = keptMetrics();
    controller = new Controller({
      reconcile: createReconcile(),
      home: await home.connect(),
      connectPeer: () => Promise.resolve([]),
      probeGateway: () => Promise.resolve(undefined),
      certificateMaker,
      dataPlane: await driver.create({
        stage: (stage) => ({ stage, timing: realTiming, log, metrics }),
        xdsPort: 0,
        tokenKeys: () => Promise.reject(new Error("nobody is served")),
        token: () => Promise.resolve(""),
      }),
      log,
      metrics,
      timing: realTiming,
      settings: {
        ...controllerSettings,
        dataPlane: driver.settings({ gatewayClass: "istio", ingressMode: "PodIP" }),
      },
      clusterId: "west",
      identity: "one_127.0.0.1",
      leaderElection: false,
    });
    await createNamespace(home.client, "secure");
    await create(home.client, kinds.WANPolicy, high);
    await create(home.client, kinds.Service, {
      metadata: { name: "payment", namespace: "secure" },
      spec: { ports: [{ name: "http", port: 8080 }] },
    });
    await create(home.client, kinds.ServiceExport, {
      metadata: {
        name: "payment",
        namespace: "secure",
        annotations: { "mc-wan.l7mp.io/wan-policy": "high", "mc-wan.l7mp.io/path": "Gateway" },
      },
    });
    await controller.start();
  });
  after(async () => {
    await controller.stop();
    await home.stop();
  });

  async function get<K extends KindName>(kind: K, namespace: string, name: string): Promise<ObjectTypes[K]> {
    return (await home.client.get(kinds[kind], { namespace, name })) as unknown as ObjectTypes[K];
  }

  async function carried(): Promise<string> {
    const found = await get("ServiceExport", "secure", "payment");
    const said = (found.status?.conditions ?? []).find(({ type }) => type === "Carried");
    return `${said?.status ?? ""} ${said?.reason ?? ""}`;
  }

  it("writes no Gateway while the GatewayClass is not there, and says so at the export", async () => {
    await eventually(carried, (said) => said === "False NoGatewayClass", waitMs);
    expect(await get("Gateway", "secure", "payment-ingress")).to.equal(undefined);
    expect((await get("ServiceAdvertisement", "secure", "payment")).spec.pool).to.equal("secure.payment");
  });

  it("writes the Gateways and routes of the class that it was told, and no word into their status", async () => {
    await create(home.client, kinds.GatewayClass, istio);
    for (const name of ["payment-ingress", "payment-clusterset"]) {
      const gateway = await eventually(
        () => get("Gateway", "secure", name),
        (seen) => (seen as unknown) !== undefined,
        waitMs,
      );
      expect(gateway.spec.gatewayClassName).to.equal("istio");
      expect(gateway.metadata.annotations).to.deep.equal({ "networking.istio.io/service-type": "ClusterIP" });
      const writers = (gateway.metadata as { managedFields?: { subresource?: string }[] }).managedFields;
      expect(writers?.filter(({ subresource }) => subresource === "status")).to.deep.equal([]);
    }
    expect(await get("HTTPRoute", "secure", "payment-ingress")).not.to.equal(undefined);
    await eventually(carried, (said) => said === "False AddressNotAssigned", waitMs);
  });

  it("advertises what stands behind the Service that was made for the Gateway, once its listener is programmed", async () => {
    const gateway = await get("Gateway", "secure", "payment-ingress");
    const { uid = "", generation } = gateway.metadata;
    // What Istio writes for such a Gateway.
    await create(home.client, kinds.Service, {
      metadata: {
        name: "payment-ingress-istio",
        namespace: "secure",
        labels: { "gateway.networking.k8s.io/gateway-name": "payment-ingress" },
        ownerReferences: [{ apiVersion: gateway.apiVersion, kind: "Gateway", name: "payment-ingress", uid }],
      },
      spec: { ports: [{ name: "high", port: 31111 }] },
    });
    await create(home.client, kinds.EndpointSlice, {
      metadata: {
        name: "payment-ingress-istio-a",
        namespace: "secure",
        labels: { [labels.kubeServiceName]: "payment-ingress-istio" },
      },
      addressType: "IPv4",
      ports: [{ name: "high", port: 31111 }],
      endpoints: [
        { addresses: ["198.18.1.20"], conditions: { ready: true } },
        { addresses: ["198.18.1.21"], conditions: { ready: false } },
      ],
    });
    await eventually(carried, (said) => said === "False Pending", waitMs);
    const programmed = {
      type: "Programmed",
      status: "True",
      reason: "Programmed",
      message: "",
      observedGeneration: generation,
      lastTransitionTime: "2026-01-01T00:00:00Z",
    };
    await home.client.mergeStatus(kinds.Gateway, {
      ...(gateway as unknown as KubeObject),
      status: {
        listeners: [{ name: "high", attachedRoutes: 1, supportedKinds: [], conditions: [programmed] }],
      },
    });
    await eventually(carried, (said) => said === "True Carried", waitMs);
    const { spec } = await get("GatewayAdvertisement", systemNamespace, "secure.payment");
    expect(spec.endpoints).to.deep.equal([{ address: "198.18.1.20", ports: { high: 31111 } }]);
  });

  it("has written nothing of Envoy: no Deployment, account, disruption budget, Service or GatewayClass", async () => {
    await eventually(
      () => controller.status.waitingWrites,
      (waiting) => waiting === 0,
      waitMs,
    );
    for (const kind of ["Deployment", "ServiceAccount", "PodDisruptionBudget"] as const) {
      const page = await home.client.list(kinds[kind], {
        labels: `${labels.managedBy}=${labels.managedByValue}`,
        signal: AbortSignal.timeout(waitMs),
      });
      expect(page.items, kind).to.deep.equal([]);
    }
    const services = await home.client.list(kinds.Service, {
      labels: labels.fleet,
      signal: AbortSignal.timeout(waitMs),
    });
    expect(services.items).to.deep.equal([]);
    expect(await get("GatewayClass", "", gatewayClassName)).to.equal(undefined);
    expect(log.lines.filter(({ text }) => text.startsWith("error"))).to.deep.equal([]);
  });
});
