/** The Service of the shared ingress pool in each mode, on a real API server: taken as it is, stable, and advertised. */
import { expect } from "chai";
import { planObject } from "../src/apply/diff.ts";
import type { GatewayAdvertisement } from "../src/api/gateway-advertisement.ts";
import { RefusedError } from "../src/model/errors.ts";
import { objectKey } from "../src/model/desired.ts";
import type { Desired, DesiredObject } from "../src/model/desired.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { ingressPool, labels, systemNamespace } from "../src/model/names.ts";
import type { Settings } from "../src/model/world.ts";
import { createReconcile } from "../src/reconcile/reconcile.ts";
import { worldFrom } from "../src/reconcile/world-from-yaml.ts";
import { create, createNamespace, startHomeCluster } from "./home-cluster.ts";
import type { HomeCluster } from "./home-cluster.ts";
import { startTimeoutMs } from "./kube-api-server.ts";

const key = `${systemNamespace}/${ingressPool}`;
const ref = { namespace: systemNamespace, name: ingressPool };

describe("the ingress Service at a real API server", function () {
  this.timeout(startTimeoutMs);
  let home: HomeCluster;
  const others: KubeObject[] = [];

  before(async () => {
    home = await startHomeCluster();
  });
  after(async () => {
    await home.stop();
  });

  /** What reconcile says with the Service as it stands. */
  function desiredWith(service: KubeObject | undefined, ingress: Settings["ingress"], port: number): Desired {
    const policy = { tunnel: "business", port, mode: "Plain" };
    return createReconcile()(
      worldFrom({
        homeId: "west",
        settings: { ingress },
        listening: { one: [port] },
        home: [
          {
            apiVersion: kinds.WANPolicy.apiVersion,
            kind: "WANPolicy",
            metadata: { name: "high" },
            spec: policy,
          },
          {
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name: "one", namespace: systemNamespace, labels: { [labels.fleet]: ingressPool } },
            status: {
              podIP: "10.244.1.2",
              hostIP: "192.0.2.1",
              conditions: [{ type: "Ready", status: "True" }],
            },
          },
          ...others,
          ...(service === undefined ? [] : [service]),
        ],
      }),
    );
  }

  const wantedService = (desired: Desired): DesiredObject => {
    const found = desired.objects.get(objectKey("Service", key));
    if (found === undefined) throw new Error("no Service is wanted");
    return found;
  };

  /** Applies what reconcile wants; gives where peers would be told to go, and the Service. */
  async function become(
    mode: Settings["ingress"]["mode"],
    port: number,
    addresses: readonly string[] = [],
  ): Promise<{ service: KubeObject | undefined; told: unknown }> {
    const ingress = { mode, addresses };
    const before = desiredWith(await home.client.get(kinds.Service, ref), ingress, port);
    await home.client.apply(kinds.Service, wantedService(before).object);
    const service = await home.client.get(kinds.Service, ref);
    const after = desiredWith(service, ingress, port);
    expect(planObject(wantedService(after), service, undefined).verb, "would be written again").to.equal(
      "None",
    );
    const advertised = after.objects.get(objectKey("GatewayAdvertisement", key));
    return { service, told: (advertised?.object as unknown as GatewayAdvertisement).spec.endpoints };
  }

  it("goes through all modes and back, and leaves no node port behind", async () => {
    expect((await become("PodIP", 31111)).told).to.deep.equal([
      { address: "10.244.1.2", ports: { high: 31111 }, modes: { high: "Plain" } },
    ]);
    const node = await become("NodePort", 31111);
    expect(node.service?.["spec"]).to.deep.include({ type: "NodePort", externalTrafficPolicy: "Local" });
    expect(node.told).to.deep.equal([
      { address: "192.0.2.1", ports: { high: 31111 }, modes: { high: "Plain" } },
    ]);
    expect((await become("NodePort", 9000)).told, "9000 is no node port").to.deep.equal([]);
    expect((await become("LoadBalancer", 9000)).told, "no address yet").to.deep.equal([]);
    await home.client.mergeStatus(kinds.Service, {
      apiVersion: "v1",
      kind: "Service",
      metadata: ref,
      status: { loadBalancer: { ingress: [{ ip: "203.0.113.9", ipMode: "VIP" }] } },
    });
    expect((await become("LoadBalancer", 9000)).told).to.deep.equal([
      { address: "203.0.113.9", ports: { high: 9000 }, modes: { high: "Plain" } },
    ]);
    const fixed = await become("Static", 9000, ["198.51.100.7"]);
    expect(fixed.told).to.deep.equal([
      { address: "198.51.100.7", ports: { high: 9000 }, modes: { high: "Plain" } },
    ]);
    expect(fixed.service?.["spec"]).to.deep.include({ type: "ClusterIP" });
    expect(JSON.stringify(fixed.service?.["spec"])).not.to.contain("nodePort");
    expect(JSON.stringify(fixed.service?.["spec"])).not.to.contain("externalTrafficPolicy");
  });

  it("never asks for a node port that another Service has, which would refuse all the others", async () => {
    await createNamespace(home.client, "shop");
    const taken = await create(home.client, kinds.Service, {
      metadata: { name: "web", namespace: "shop" },
      spec: { type: "NodePort", ports: [{ port: 80, nodePort: 30080 }] },
    });
    const asked = wantedService(desiredWith(undefined, { mode: "NodePort", addresses: [] }, 30080));
    const refusal = await home.client.apply(kinds.Service, asked.object).catch((error: unknown) => error);
    expect(refusal, "the API server takes it").to.be.instanceOf(RefusedError);
    others.push(taken);
    expect((await become("NodePort", 30080)).told).to.deep.equal([]);
  });
});
