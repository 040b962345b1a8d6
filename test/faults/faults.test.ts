import { expect } from "chai";
import { kinds } from "../../src/model/kinds.ts";
import type { ObjectTypes } from "../../src/model/kinds.ts";
import { systemNamespace } from "../../src/model/names.ts";
import { create, eventually } from "../home-cluster.ts";
import { losesNothing, plain, resourcesOf } from "./invariants.ts";
import { advertisement, startRig } from "./rig.ts";
import type { Rig, Running } from "./rig.ts";

describe("a controller at API servers with faults", function () {
  this.timeout(600_000);
  let rig: Rig;
  let isUp = false;
  let ended: (() => void)[] = [];

  before(async () => {
    rig = await startRig();
    isUp = true;
  });
  after(async () => {
    if (isUp) await rig.stop();
  });
  afterEach(async () => {
    for (const end of ended) end();
    ended = [];
    for (const relay of [rig.toHome, rig.toPeer]) {
      relay.open();
      relay.faults = {};
    }
    await rig.stopControllers();
  });

  const serves = (running: Running, name: string): boolean =>
    [...resourcesOf(running.configs.at(-1))].some((resource) => resource.includes(name));

  it("makes the same objects when it is killed before any of its writes (T1)", async () => {
    await rig.fill("whole");
    const first = await rig.start();
    await first.settled();
    await first.stop();
    const expected = await rig.ours("whole");
    expect(expected.size).to.be.above(15);
    let writes = 0;
    for (let k = 1; k <= writes || writes === 0; k += 1) {
      const namespace = `crash-${String(k).padStart(2, "0")}`;
      await rig.fill(namespace);
      let count = 0;
      rig.toHome.faults.answer = ({ isWrite }) => {
        if (!isWrite) return undefined;
        count += 1;
        if (count === k) rig.toHome.cut();
        return undefined;
      };
      const killed = await rig.start();
      // Served: a write comes, or none of this number does.
      await eventually(() => count >= k || killed.controller.status.isServing, Boolean, 30_000);
      if (count < k) await Promise.race([killed.settled(), eventually(() => count >= k, Boolean, 60_000)]);
      await rig.crash(killed);
      delete rig.toHome.faults.answer;
      const second = await rig.start();
      await second.settled();
      await second.stop();
      const seen = await rig.ours(namespace);
      const [now, wanted] = [comparable(seen, namespace), comparable(expected, "whole")];
      expect(
        now.filter((line) => !wanted.includes(line)),
        `killed before write ${k}`,
      ).to.deep.equal([]);
      expect(comparable(seen, namespace), `killed before write ${k}`).to.deep.equal(
        comparable(expected, "whole"),
      );
      if (count < k) break;
      writes = k + 1;
    }
    process.stderr.write(`      killed before each of ${writes - 1} writes\n`);
    expect(writes).to.be.above(10);
    const last = await rig.start();
    await rig.isAsFresh(last);
  });

  it("undoes nothing for a list or a watch out of the past, of home or of a peer (T2)", async () => {
    await rig.fill("past");
    const running = await rig.start();
    await running.settled();
    const old = new Map<string, string>();
    for (const relay of [rig.toHome, rig.toPeer]) {
      relay.faults.list = ({ url }, body) => {
        old.set(url.split("?")[0] ?? "", body);
        return body;
      };
    }
    // Whoever lists now sees a state in which what follows is not there.
    for (const relay of [rig.toHome, rig.toPeer]) relay.faults.line = () => ["not json\n"];
    await create(rig.peer.client, kinds.ServiceAdvertisement, advertisement("past", "younger"));
    await create(rig.home.client, kinds.Service, {
      metadata: { name: "nudge", namespace: "past" },
      spec: { ports: [{ port: 1 }] },
    });
    await eventually(() => serves(running, "younger"), Boolean, 30_000);
    for (const relay of [rig.toHome, rig.toPeer]) {
      delete relay.faults.line;
    }
    await create(rig.peer.client, kinds.ServiceAdvertisement, advertisement("past", "youngest"));
    await eventually(() => serves(running, "youngest"), Boolean, 30_000);
    await running.settled();
    const from = running.configs.length - 1;
    const deletes = rig.toHome.seen.filter(({ method }) => method === "DELETE").length;
    for (const relay of [rig.toHome, rig.toPeer])
      relay.faults.list = ({ url }, body) => old.get(url.split("?")[0] ?? "") ?? body;
    let isBroken = true;
    for (const relay of [rig.toHome, rig.toPeer])
      relay.faults.line = (_request, line) => (isBroken ? ["not json\n"] : [`${line}\n`]);
    await create(rig.peer.client, kinds.ServiceAdvertisement, advertisement("past", "later"));
    // The fourth old list in a row would be believed: the pauses before it are 1.5 s at least.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    isBroken = false;
    for (const relay of [rig.toHome, rig.toPeer]) delete relay.faults.list;
    await eventually(() => serves(running, "later"), Boolean, 60_000);
    losesNothing(running.configs.slice(from));
    expect(rig.toHome.seen.filter(({ method }) => method === "DELETE").length, "deletions").to.equal(deletes);
    await rig.isAsFresh(running);
  });

  it("reads lines that come in pieces, lists anew where one is cut off or is no JSON, and skips none (T6)", async () => {
    await rig.fill("lines");
    const running = await rig.start();
    await running.settled();
    const from = running.configs.length - 1;
    let turn = 0;
    for (const relay of [rig.toHome, rig.toPeer]) {
      relay.faults.line = (_request, line) => {
        turn += 1;
        if (turn % 3 === 0) return [`${line.slice(0, line.length >> 1)}\n`];
        return [...(`${line}\n`.match(/[^]{1,64}/gu) ?? [])];
      };
    }
    for (let index = 0; index < 12; index += 1)
      await create(rig.peer.client, kinds.ServiceAdvertisement, advertisement("lines", `many-${index}`));
    await eventually(() => serves(running, "many-11") && serves(running, "many-0"), Boolean, 60_000);
    for (const relay of [rig.toHome, rig.toPeer]) delete relay.faults.line;
    await running.settled();
    losesNothing(running.configs.slice(from));
    await rig.isAsFresh(running);
  });

  it("settles though every fifth request fails with 409, 429, 500 or 503, without a storm (T7)", async () => {
    const running = await rig.start();
    await running.settled();
    const from = running.configs.length - 1;
    let seed = 7;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    rig.toHome.faults.answer = ({ isWrite, isWatch }) => {
      if (random() > 0.2) return undefined;
      const status = isWrite ? [409, 429, 500, 503][Math.floor(random() * 4)] : isWatch ? 503 : 500;
      return { status: status ?? 500, headers: status === 429 ? { "retry-after": "1" } : {} };
    };
    const before = rig.toHome.seen.filter(({ isWrite }) => isWrite).length;
    await rig.fill("rate");
    await eventually(
      () => serves(running, "own") && running.controller.status.waitingWrites === 0,
      Boolean,
      60_000,
    );
    await eventually(
      async () => (await rig.ours("rate")).size,
      (size) => size > 15,
      60_000,
    );
    await running.settled();
    const writes = rig.toHome.seen.filter(({ isWrite }) => isWrite).length - before;
    process.stderr.write(`      ${writes} writes\n`);
    expect(writes, "writes, failed ones included").to.be.below(200);
    delete rig.toHome.faults.answer;
    losesNothing(running.configs.slice(from), "rate");
    await rig.isAsFresh(running);
  });

  it("lists each kind once after 410, as a status or as an event, and takes nothing from Envoys (T4)", async () => {
    const running = await rig.start();
    await running.settled();
    const from = running.configs.length;
    const watched = new Set<string>();
    rig.toHome.faults.answer = ({ url, isWatch }) => {
      const path = url.split("?")[0] ?? "";
      if (!isWatch || watched.has(path)) return undefined;
      watched.add(path);
      return { status: 410, body: JSON.stringify({ kind: "Status", code: 410, reason: "Expired" }) };
    };
    const before = rig.toHome.seen.length;
    rig.toHome.endWatches();
    await eventually(() => watched.size >= 15, Boolean, 60_000);
    await running.settled();
    const lists = rig.toHome.seen
      .slice(before)
      .filter(({ isWatch, isWrite }) => !isWatch && !isWrite)
      .map(({ url }) => url.split("?")[0] ?? "");
    const twice = lists.filter((path, index) => lists.indexOf(path) !== index);
    expect(twice, "kinds that were listed twice").to.deep.equal([]);
    expect(running.configs.length, "configurations").to.equal(from);
    await running.stop();
  });

  it("is served without a peer that is down before it starts, says which, and takes it up when it comes (T8)", async () => {
    rig.toPeer.cut();
    const startedMs = performance.now();
    const running = await rig.start();
    await eventually(() => running.controller.status.isServing, Boolean, 30_000);
    process.stderr.write(`      served after ${(performance.now() - startedMs).toFixed(0)} ms\n`);
    expect(serves(running, "own")).to.equal(true);
    expect(running.controller.status.world?.peers.map(({ id }) => id)).to.deep.equal(["east"]);
    rig.toPeer.open();
    await eventually(() => running.controller.status.world?.peers[0]?.state === "Synced", Boolean, 60_000);
    await rig.isAsFresh(running);
  });

  it("publishes nothing while a kind was not listed yet, and deletes nothing for that (T15)", async () => {
    rig.toHome.faults.delayMs = ({ url, isWatch }) =>
      !isWatch && url.includes("/serviceexports") ? 4_000 : 0;
    const running = await rig.start();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(running.configs).to.deep.equal([]);
    await running.settled();
    expect(running.metrics.total("mcwan_writes_total")).to.equal(0);
    losesNothing(running.configs);
    await running.stop();
  });

  it("keeps a peer's endpoints through cuts, tells of them once, and ends as if nothing had been (T10)", async () => {
    const running = await rig.start();
    await running.settled();
    const from = running.configs.length - 1;
    const changes: string[] = [];
    const deletes = rig.toHome.seen.filter(({ method }) => method === "DELETE").length;
    for (const awayMs of [200, 8_000]) {
      rig.toPeer.cut();
      await new Promise((resolve) => setTimeout(resolve, awayMs));
      changes.push(running.controller.status.world?.peers[0]?.state ?? "");
      rig.toPeer.open();
      await eventually(() => running.controller.status.world?.peers[0]?.state === "Synced", Boolean, 60_000);
    }
    expect(changes).to.deep.equal(["Synced", "Stale"]);
    await running.settled();
    losesNothing(running.configs.slice(from));
    for (const config of running.configs.slice(from))
      expect(plain(config)).to.deep.equal(plain(running.configs[from]));
    expect(rig.toHome.seen.filter(({ method }) => method === "DELETE").length).to.equal(deletes);
    await rig.isAsFresh(running);
  });

  it("serves a peer's changes while home's API server is away (T12)", async () => {
    const running = await rig.start();
    await running.settled();
    rig.toHome.cut();
    await create(rig.peer.client, kinds.ServiceAdvertisement, advertisement("past", "meanwhile"));
    await new Promise((resolve) => setTimeout(resolve, 500));
    const stood = running.controller.status.world?.peers[0]?.objects.ServiceAdvertisement;
    await eventually(
      () =>
        stood?.has("past/meanwhile") ??
        running.controller.status.world?.peers[0]?.objects.ServiceAdvertisement.has("past/meanwhile"),
      Boolean,
      30_000,
    );
    const name = "mc-wan-ingress";
    const pool = (await rig.peer.client.get(kinds.GatewayAdvertisement, {
      namespace: systemNamespace,
      name,
    })) as ObjectTypes["GatewayAdvertisement"];
    await rig.peer.client.replace(kinds.GatewayAdvertisement, {
      ...pool,
      spec: { ...pool.spec, endpoints: [{ address: "198.18.2.3", ports: { high: 31111, low: 31112 } }] },
    });
    await eventually(
      () =>
        JSON.stringify([
          ...(running.configs.at(-1)?.fleets.get("mc-wan-egress")?.endpoints.values() ?? []),
        ]).includes("198.18.2.3"),
      Boolean,
      30_000,
    );
    rig.toHome.open();
    await running.settled();
    await rig.isAsFresh(running);
  });

  it("takes no object of somebody else's for its own, and leaves it as it was (T32)", async () => {
    const foreign = await create(rig.home.client, kinds.Service, {
      metadata: { name: "theirs-clusterset", namespace: "default" },
      spec: { ports: [{ port: 7 }] },
    });
    await create(rig.peer.client, kinds.ServiceAdvertisement, advertisement("default", "theirs"));
    const running = await rig.start();
    await running.settled();
    const seen = await rig.home.client.get(kinds.Service, {
      namespace: "default",
      name: "theirs-clusterset",
    });
    expect(seen?.metadata.resourceVersion).to.equal(foreign.metadata.resourceVersion);
    await rig.isAsFresh(running);
  });

  it("starts with what a peer last said though it is away, and forgets it as soon as the peer is heard", async () => {
    await rig.fill("kept");
    await create(rig.peer.client, kinds.ServiceAdvertisement, advertisement("kept", "gone-meanwhile"));
    const first = await rig.start({ peerCopyPauseMs: 100 });
    await first.settled();
    const copy = { namespace: systemNamespace, name: "mc-wan-peer-copy-east" };
    const hashOf = async (): Promise<string | undefined> =>
      (await rig.home.client.get(kinds.Secret, copy))?.metadata.annotations?.["mc-wan.l7mp.io/content-hash"];
    await eventually(hashOf, (hash) => hash !== undefined, 30_000);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const hash = await hashOf();
    const before = plain(first.configs.at(-1));
    await rig.crash(first);

    rig.toPeer.cut();
    const second = await rig.start({ peerCopyPauseMs: 100, observe: { peerGraceMs: 30_000 } });
    await second.settled();
    expect(second.controller.status.world?.peers.map(({ state }) => state)).to.deep.equal(["Stale"]);
    expect(plain(second.configs.at(-1)), "what Envoys get").to.deep.equal(before);
    expect(second.metrics.total("mcwan_writes_total", { verb: "delete" }), "deletions").to.equal(0);
    expect(await hashOf(), "nothing new was heard").to.equal(hash);

    const ref = { namespace: "kept", name: "gone-meanwhile" };
    const found = await rig.peer.client.get(kinds.ServiceAdvertisement, ref);
    await rig.peer.client.delete(kinds.ServiceAdvertisement, ref, { uid: found?.metadata.uid ?? "" });
    expect(serves(second, "gone-meanwhile")).to.equal(true);
    rig.toPeer.open();
    await eventually(() => !serves(second, "gone-meanwhile"), Boolean, 60_000);
    await eventually(hashOf, (now) => now !== hash, 30_000);
    await rig.isAsFresh(second);
  });

  it("gives a cluster that is not heard no requests where its import says so, after the time that it says (Drain)", async () => {
    await rig.fill("drained");
    await rig.fill("keeping");
    const import_ = { namespace: "drained", name: "theirs" };
    const standing = await rig.home.client.get(kinds.ServiceImport, import_);
    await rig.home.client.replace(kinds.ServiceImport, {
      ...standing,
      spec: { ...(standing?.["spec"] as object), onPartition: "Drain", staleAfter: "8s" },
    } as never);
    const running = await rig.start();
    await running.settled();
    const hasGateways = (namespace: string): boolean =>
      JSON.stringify(plain(running.configs.at(-1))).includes(
        `"clusterName":"wan/theirs-${namespace}-low","endpoints":[{`,
      );
    expect([hasGateways("drained"), hasGateways("keeping")]).to.deep.equal([true, true]);
    const cutMs = performance.now();
    rig.toPeer.cut();
    await eventually(() => running.controller.status.world?.peers[0]?.state === "Stale", Boolean, 30_000);
    expect(hasGateways("drained"), "before its time").to.equal(performance.now() - cutMs < 8_000);
    await eventually(() => !hasGateways("drained"), Boolean, 30_000);
    expect(performance.now() - cutMs).to.be.above(7_500);
    expect(hasGateways("keeping"), "one that keeps").to.equal(true);
    rig.toPeer.open();
    await eventually(() => hasGateways("drained"), Boolean, 60_000);
    await rig.isAsFresh(running);
  });

  it("forgets what was unexported, and has no way to it any more", async () => {
    const running = await rig.start();
    await running.settled();
    expect(serves(running, "past/younger") || serves(running, "younger")).to.equal(true);
    const found = await rig.peer.client.get(kinds.ServiceAdvertisement, {
      namespace: "past",
      name: "younger",
    });
    await rig.peer.client.delete(
      kinds.ServiceAdvertisement,
      { namespace: "past", name: "younger" },
      { uid: found?.metadata.uid ?? "" },
    );
    await eventually(() => !serves(running, "younger"), Boolean, 30_000);
    await rig.isAsFresh(running);
  });
});

/** The same whatever the namespace is called: names have hashes of it, and so have ports of the egress gateway. */
function comparable(objects: ReadonlyMap<string, unknown>, namespace: string): readonly string[] {
  return [...objects]
    .map(([key, value]) =>
      `${key} ${JSON.stringify(value)}`
        .replaceAll(namespace, "<namespace>")
        .replace(/"exportTime":"[^"]*"/, "")
        .replace(/-[0-9a-f]{8}\b/g, "-<hash>")
        .replace(/\b2\d{4}\b/g, "<port>"),
    )
    .sort();
}
