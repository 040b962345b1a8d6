import { X509Certificate } from "node:crypto";
import { expect } from "chai";
import { realTiming } from "../drivers/timing/real-timing.ts";
import { certificateMaker } from "../drivers/x509/certificate-maker.ts";
import { KubeClient } from "../drivers/kube/kube-client.ts";
import { homeAccess } from "../drivers/kube/kubeconfig.ts";
import type { GatewayAdvertisement } from "../api/gateway-advertisement.ts";
import { kinds } from "../model/kinds.ts";
import { annotations, authoritySecret, ingressPool, labels, systemNamespace } from "../model/names.ts";
import type { Desired } from "../model/desired.ts";
import type { World } from "../model/world.ts";
import { createReconcile } from "../reconcile/reconcile.ts";
import { create, eventually, startHomeCluster } from "../../test/home-cluster.ts";
import type { HomeCluster } from "../../test/home-cluster.ts";
import { keptLog, keptMetrics } from "../../test/quiet.ts";
import type { KeptLog } from "../../test/quiet.ts";
import { GatewayApiDataPlane } from "./data-planes/gateway-api.ts";
import { Controller } from "./run.ts";
import { controllerSettings } from "../../test/controller-settings.ts";

const hourMs = 3_600_000;
const spreadMs = 300;

/** A clock that a test sets ahead. */
class Clock {
  aheadMs = 0;
  readonly timing = { ...realTiming, today: () => Date.now() + this.aheadMs };
}

describe("identities of two clusters at real API servers", function () {
  this.timeout(90_000);
  const clusters = new Map<string, HomeCluster>();
  let running: { controller: Controller; log: KeptLog }[] = [];
  let clock: Clock;

  before(async () => {
    const [east, west] = await Promise.all([startHomeCluster(), startHomeCluster()]);
    clusters.set("east", east).set("west", west);
    for (const [id, peer] of [
      ["east", "west"],
      ["west", "east"],
    ] as const) {
      await create(cluster(id).client, kinds.Secret, {
        metadata: { name: peer, namespace: systemNamespace, labels: { [labels.peer]: peer } },
        stringData: { kubeconfig: peer },
      });
    }
  });
  after(async () => {
    await Promise.all([...clusters.values()].map((each) => each.stop()));
  });
  beforeEach(() => {
    clock = new Clock();
  });
  afterEach(async () => {
    await Promise.all(running.map(({ controller }) => controller.stop()));
    running = [];
  });

  function cluster(id: string): HomeCluster {
    const found = clusters.get(id);
    if (found === undefined) throw new Error(`there is no cluster ${id}`);
    return found;
  }

  async function start(id: string): Promise<Controller> {
    const log = keptLog();
    const home = cluster(id);
    const controller = new Controller({
      reconcile: createReconcile(),
      home: await home.connect(),
      connectPeer: async (kubeconfig) => {
        const { api } = cluster(Buffer.from(kubeconfig.reveal(), "base64").toString());
        return new KubeClient(await homeAccess({ kubeconfig: api.kubeconfigFile, context: api.context }));
      },
      probeGateway: () => Promise.resolve(undefined),
      certificateMaker,
      dataPlane: new GatewayApiDataPlane(),
      log,
      metrics: keptMetrics(),
      timing: clock.timing,
      settings: controllerSettings,
      clusterId: id,
      identity: "one_127.0.0.1",
      leaderElection: false,
      identityTimes: { spreadMs },
    });
    await controller.start();
    running.push({ controller, log });
    return controller;
  }

  const worldOf = (controller: Controller): World | undefined => controller.status.world;
  const desiredOf = (controller: Controller): Desired | undefined => controller.status.desired;
  const ingressOf = (controller: Controller): string | undefined =>
    worldOf(controller)?.identity?.gateways.get(ingressPool)?.certificatePem;

  /** Name and version of every Secret that holds an identity, as the API server has them. */
  async function versions(id: string): Promise<string[]> {
    const { items } = await cluster(id).client.list(kinds.IdentitySecret, {
      namespace: systemNamespace,
      labels: labels.identity,
      signal: AbortSignal.timeout(10_000),
    });
    return (items as { metadata: { name: string; resourceVersion: string } }[])
      .map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`)
      .sort();
  }

  it("issues one authority and a certificate for each fleet, and nothing after a restart", async () => {
    const controller = await start("east");
    await eventually(
      () => worldOf(controller),
      (world) => world?.identity?.gateways.size === 2 && world.controllerIdentity !== undefined,
    );
    const { identity } = worldOf(controller) ?? {};
    const leaf = new X509Certificate(ingressOf(controller) ?? "");
    const root = new X509Certificate(identity?.bundle ?? "");
    expect(leaf.subjectAltName).to.equal("URI:spiffe://east.mc-wan.l7mp.io/cluster/east/gateway/ingress");
    expect(leaf.verify(root.publicKey)).to.equal(true);
    expect(leaf.checkIssued(root)).to.equal(true);
    expect(identity?.trustDomain).to.equal("east.mc-wan.l7mp.io");
    const before = await versions("east");
    expect(before.map((line) => line.split(" ")[0])).to.deep.equal([
      "mc-wan-ca",
      "mc-wan-identity-mc-wan-controller",
      "mc-wan-identity-mc-wan-egress",
      "mc-wan-identity-mc-wan-ingress",
    ]);
    await controller.stop();
    const again = await start("east");
    await eventually(() => worldOf(again)?.identity, Boolean);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await versions("east")).to.deep.equal(before);
  });

  it("renews certificates at half of their life, and no earlier", async () => {
    const controller = await start("east");
    const held = await eventually(() => ingressOf(controller), Boolean);
    clock.aheadMs = 11.5 * hourMs;
    await start("east");
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(ingressOf(controller)).to.equal(held);
    clock.aheadMs = 12.5 * hourMs;
    const later = await start("east");
    await eventually(
      () => ingressOf(later),
      (pem) => pem !== held,
    );
  });

  it("takes the word of peers for their own trust domain, and that of nobody who has left", async () => {
    const [east] = await Promise.all([start("east"), start("west")]);
    const trust = (): string[] =>
      (desiredOf(east)?.trust ?? []).map((each) => `${each.cluster} ${each.trustDomain}`);
    const both = ["east east.mc-wan.l7mp.io", "west west.mc-wan.l7mp.io"];
    await eventually(trust, (found) => found.join() === both.join());
    const secret = await cluster("east").client.get(kinds.Secret, {
      namespace: systemNamespace,
      name: "west",
    });
    await cluster("east").client.delete(
      kinds.Secret,
      { namespace: systemNamespace, name: "west" },
      { uid: secret?.metadata.uid ?? "" },
    );
    await eventually(trust, (found) => found.length === 1);
    await create(cluster("east").client, kinds.Secret, {
      metadata: { name: "west", namespace: systemNamespace, labels: { [labels.peer]: "west" } },
      stringData: { kubeconfig: "west" },
    });
    await eventually(trust, (found) => found.length === 2);
  });

  it("replaces an authority with an overlap, when every peer trusts the next one", async () => {
    const [east, west] = await Promise.all([start("east"), start("west")]);
    const before = await eventually(() => worldOf(east)?.identity?.bundle, Boolean);
    await eventually(
      () => desiredOf(east)?.unaware ?? ["?"],
      (unaware) => unaware.length === 0,
    );
    await cluster("east").api.kubectl.run(cluster("east").api.context, [
      "annotate",
      "secret",
      "-n",
      systemNamespace,
      authoritySecret,
      `${annotations.rotateAuthority}=now`,
    ]);
    // What the peer trusts has to hold the authority of what it is shown, at every moment.
    const wrong: string[] = [];
    const bundles = new Set<string>();
    const look = (): void => {
      const pem = ingressOf(east);
      const trusted = desiredOf(west)?.trust.find(({ cluster: id }) => id === "east")?.bundle ?? "";
      bundles.add(trusted);
      const roots = trusted.match(/-----BEGIN[^]*?END CERTIFICATE-----\n/g) ?? [];
      const leaf = new X509Certificate(pem ?? "");
      if (!roots.some((root) => leaf.verify(new X509Certificate(root).publicKey))) wrong.push(trusted);
    };
    const isDone = (): boolean => {
      look();
      const bundle = worldOf(east)?.identity?.bundle ?? "";
      return bundle !== before && bundle.match(/BEGIN/g)?.length === 1;
    };
    await eventually(isDone, Boolean, 30_000);
    expect(wrong).to.deep.equal([]);
    expect(bundles.size).to.be.greaterThan(1);
    const authority = await cluster("east").client.get(kinds.Secret, {
      namespace: systemNamespace,
      name: authoritySecret,
    });
    expect(authority?.metadata.annotations).not.to.have.property(annotations.rotateAuthority);
    expect(Object.keys(authority?.["data"] ?? {})).to.deep.equal(["current.crt", "current.key"]);
  });

  it("tells no peer and no log anything of a key", async () => {
    const controller = await start("east");
    await eventually(() => worldOf(controller)?.identity, Boolean);
    const canaries = await Promise.all(
      (await versions("east")).map(async (line) => {
        const [name = ""] = line.split(" ");
        const secret = await cluster("east").client.get(kinds.Secret, { namespace: systemNamespace, name });
        const data = Object.entries((secret?.["data"] ?? {}) as Record<string, string>);
        return data.filter(([key]) => key.endsWith(".key")).map(([, value]) => value);
      }),
    );
    const keys = canaries.flat().flatMap((base64) => {
      const pem = Buffer.from(base64, "base64").toString();
      return [base64.slice(60, 120), pem.split("\n")[1]?.slice(0, 60) ?? ""];
    });
    expect(keys).to.have.length.greaterThan(6);
    const advertised = [...(worldOf(controller)?.home.GatewayAdvertisement.values() ?? [])];
    const told = JSON.stringify([
      running.map(({ log }) => log.lines),
      advertised satisfies GatewayAdvertisement[],
      desiredOf(controller)?.trust,
      desiredOf(controller)?.identities,
      [...(worldOf(controller)?.home.IdentitySecret.values() ?? [])],
      [...(worldOf(controller)?.identity?.gateways.values() ?? [])],
    ]);
    for (const key of keys) expect(told.includes(key)).to.equal(false);
  });
});
