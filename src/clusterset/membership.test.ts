import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { peerAccess } from "../drivers/kube/kubeconfig.ts";
import { KubeClient } from "../drivers/kube/kube-client.ts";
import { RefusedError, UsageError } from "../model/errors.ts";
import { kubeconfig } from "../lab/kubeconfig.ts";
import { kinds } from "../model/kinds.ts";
import type { KindName } from "../model/kinds.ts";
import { labels, systemNamespace } from "../model/names.ts";
import { peerKinds } from "../model/world.ts";
import { apiRequest } from "../../test/api-request.ts";
import { startKubeApiServer, startTimeoutMs } from "../../test/kube-api-server.ts";
import type { KubeApiServer } from "../../test/kube-api-server.ts";
import { join, noToken } from "./join.ts";
import type { JoinOptions, Step } from "./join.ts";
import { leave } from "./leave.ts";
import type { Member } from "./member.ts";
import { accountName, clusterRoleBinding, peerSecretName, tokenName } from "./member-objects.ts";
import { openMembers } from "./open-members.ts";
import type { MemberChoice, OpenMembers } from "./open-members.ts";

const root = path(import.meta.dirname, "../..");

/** Two real API servers with mc-wan's manifests; the token controller of Kubernetes is played by {@link fillTokens}. */
describe("clusters that join and leave", function () {
  this.timeout(startTimeoutMs);
  const ids = ["east", "west"];
  let servers: KubeApiServer[] = [];
  let folder = "";
  let open: OpenMembers | undefined;
  let members: readonly Member[] = [];
  const readers: KubeClient[] = [];
  let stopFilling: () => Promise<void> = () => Promise.resolve();

  const serverOf = (id: string): KubeApiServer => {
    const server = servers[ids.indexOf(id)];
    if (server === undefined) throw new Error(`no server ${id}`);
    return server;
  };
  const memberOf = (id: string): Member => {
    const member = members.find((each) => each.id === id);
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  };

  const urls = (): Record<string, string> => Object.fromEntries(ids.map((id) => [id, serverOf(id).url]));

  before(async () => {
    servers = await Promise.all(ids.map(() => startKubeApiServer()));
    await Promise.all(ids.map((id) => install(serverOf(id), id)));
    folder = await mkdtemp(path(tmpdir(), "mc-wan-membership-"));
    const file = path(folder, "kubeconfig");
    await writeFile(
      file,
      kubeconfig(ids.map((id) => ({ ...serverOf(id), context: id, server: serverOf(id).url }))),
    );
    open = await openMembers({ contexts: ids, kubeconfig: file, servers: urls() });
    members = open.members;
    stopFilling = fillTokens(servers);
  });
  after(async () => {
    await stopFilling();
    await Promise.all([open?.close(), ...readers.map((reader) => reader.close())]);
    await Promise.all(servers.map((server) => server.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  const joined = async (options: Partial<JoinOptions> = {}): Promise<Step[]> => {
    const steps: Step[] = [];
    await join(members, {
      isDryRun: false,
      rotate: false,
      replace: false,
      step: (step) => steps.push(step),
      signal: AbortSignal.timeout(20_000),
      ...options,
    });
    return steps;
  };
  const verbs = (steps: readonly Step[]): Set<string> => new Set(steps.map(({ verb }) => verb));
  /** Reads east as west does, with what stands in west's Secret. */
  const readerOfEast = async (): Promise<KubeClient> => {
    const secret = await memberOf("west").api.get(kinds.Secret, {
      namespace: systemNamespace,
      name: peerSecretName("east"),
    });
    const { kubeconfig = "" } = (secret?.["data"] ?? {}) as { kubeconfig?: string };
    const access = await peerAccess(Buffer.from(kubeconfig, "base64"));
    if (!("server" in access)) throw new Error(JSON.stringify(access));
    const client = new KubeClient(access);
    readers.push(client);
    return client;
  };
  const list = async (client: KubeClient, kind: KindName): Promise<number | undefined> => {
    try {
      await client.list(kinds[kind], { signal: AbortSignal.timeout(10_000) });
      return 200;
    } catch (error) {
      if (error instanceof RefusedError) return error.status;
      throw error;
    }
  };

  it("know themselves by their ClusterProperty", () => {
    expect(members.map(({ id }) => id)).to.deep.equal(ids);
  });

  it("are told apart before anything is written", async () => {
    const file = path(folder, "kubeconfig");
    const opened = async (choice: Partial<MemberChoice>): Promise<string> => {
      const all = { contexts: ids, kubeconfig: file, servers: urls(), ...choice };
      return await openMembers(all).then(
        async (found) => {
          await found.close();
          return "opened";
        },
        (error: unknown) => (error instanceof UsageError ? error.message : `no UsageError: ${String(error)}`),
      );
    };
    expect(await opened({ contexts: ["east"] })).to.contain("name two contexts or more");
    expect(await opened({ contexts: ["east", "east"] })).to.contain("named twice");
    expect(await opened({ contexts: ["east", "north"] })).to.contain("context north");
    expect(await opened({ ids: { west: "east" } })).to.contain("both have the id east");
    expect(await opened({ servers: {} })).to.match(/give --server (east|west)=https:/);
  });

  it("would get four objects for each that reads them, and a dry run writes none", async () => {
    const steps = await joined({ isDryRun: true });
    expect(steps).to.have.length(8);
    expect(verbs(steps)).to.deep.equal(new Set(["create"]));
    for (const { api } of members)
      expect(await api.get(clusterRoleBinding, { name: accountName("east") })).to.equal(undefined);
    const secret = steps.find(({ object }) => object.metadata.name === peerSecretName("east"))?.object;
    const { kubeconfig = "" } = secret?.["data"] as { kubeconfig?: string };
    expect(Buffer.from(kubeconfig, "base64").toString()).to.contain(noToken);
  });

  it("let each other read policies and advertisements and nothing else, with credentials that the controller takes", async () => {
    expect(verbs(await joined())).to.deep.equal(new Set(["create"]));
    const client = await readerOfEast();
    for (const kind of peerKinds) expect(await list(client, kind), kind).to.equal(200);
    const others = (Object.keys(kinds) as KindName[]).filter(
      (kind) => !(peerKinds as readonly KindName[]).includes(kind),
    );
    for (const kind of others) expect(await list(client, kind), kind).to.equal(403);
    const policy = {
      apiVersion: kinds.WANPolicy.apiVersion,
      kind: "WANPolicy",
      metadata: { name: "of-a-peer" },
      spec: { tunnel: "t", port: 31_111 },
    };
    const written = await client.create(kinds.WANPolicy, policy).catch((error: unknown) => error);
    expect(written).to.be.instanceOf(RefusedError);
  });

  it("change nothing when they join again", async () => {
    expect(verbs(await joined())).to.deep.equal(new Set(["keep"]));
  });

  it("refuse the old token once it is rotated, and take the new one", async () => {
    const old = await readerOfEast();
    await joined({ rotate: true });
    expect(await list(await readerOfEast(), "WANPolicy")).to.equal(200);
    // An API server remembers for 10 s whom it has seen.
    const deadline = performance.now() + 30_000;
    while ((await list(old, "WANPolicy")) === 200 && performance.now() < deadline) await sleep(500);
    expect(await list(old, "WANPolicy")).to.equal(401);
  });

  it("refuse a second Secret for one peer, and say how to go on", async () => {
    const { api } = memberOf("west");
    const object = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "by-hand", namespace: systemNamespace, labels: { [labels.peer]: "east" } },
    };
    const { metadata } = await api.apply(kinds.Secret, object);
    const error = await joined().catch((caught: unknown) => caught);
    await api.delete(kinds.Secret, metadata, { uid: metadata.uid ?? "" });
    expect(error).to.be.instanceOf(UsageError);
    expect(String(error)).to.contain("delete secret -n mc-wan-system by-hand");
  });

  it("refuse to lead a known peer elsewhere, unless that is asked for", async () => {
    const moved = members.map((member) =>
      member.id === "east"
        ? { ...member, endpoint: { ...member.endpoint, server: "https://198.18.0.9:6443" } }
        : member,
    );
    const options = {
      isDryRun: true,
      rotate: false,
      step: () => undefined,
      signal: AbortSignal.timeout(20_000),
    };
    const error = await join(moved, { ...options, replace: false }).catch((caught: unknown) => caught);
    expect(error).to.be.instanceOf(UsageError);
    expect(String(error)).to.contain("west: peer east is at https://127.0.0.1:").and.contain("--replace");
    await join(moved, { ...options, replace: true });
  });

  it("say what is left of the others when they leave, and leave nothing", async () => {
    const slice = {
      apiVersion: kinds.EndpointSlice.apiVersion,
      kind: "EndpointSlice",
      metadata: { name: "payment-east", namespace: "default", labels: { [labels.mcsSourceCluster]: "east" } },
      addressType: "IPv4",
      endpoints: [],
    };
    const { metadata } = await memberOf("west").api.apply(kinds.EndpointSlice, slice);
    const steps: Step[] = [];
    const leaving = (waitMs: number): ReturnType<typeof leave> =>
      leave(members, {
        isDryRun: false,
        waitMs,
        step: (step) => steps.push(step),
        signal: AbortSignal.timeout(20_000),
      });
    const left = await leaving(500);
    expect(
      left.map(({ context, cluster, object }) => [context, cluster, object.metadata.name]),
    ).to.deep.equal([["west", "east", "payment-east"]]);
    expect(steps).to.have.length(8);
    await memberOf("west").api.delete(kinds.EndpointSlice, metadata, { uid: metadata.uid ?? "" });
    expect(await leaving(0)).to.deep.equal([]);
    expect(
      await memberOf("west").api.get(kinds.Secret, {
        namespace: systemNamespace,
        name: peerSecretName("east"),
      }),
    ).to.equal(undefined);
    expect(
      await memberOf("east").api.get(kinds.Secret, { namespace: systemNamespace, name: tokenName("west") }),
    ).to.equal(undefined);
  });

  async function install(server: KubeApiServer, id: string): Promise<void> {
    const run = (...args: string[]): Promise<string> => server.kubectl.run(server.context, args);
    await run("apply", "--server-side", "-k", path(root, "crds", "about-api"));
    await run("apply", "--server-side", "-k", path(root, "crds", "mcs-api"));
    await run("apply", "--server-side", "-k", path(root, "crds", "gateway-api"));
    await run("wait", "--for=condition=Established", "crd", "--all");
    await run("apply", "--server-side", "-k", path(root, "deploy"));
    await run("wait", "--for=condition=Established", "crd", "--all");
    // Established is not yet served; kubectl waits for as long as it is told to.
    const read = [...peerKinds.map((kind) => kinds[kind].plural), "serviceimports.multicluster.x-k8s.io"];
    await run("get", "-A", read.join(","));
    const property = `{"apiVersion":"about.k8s.io/v1alpha1","kind":"ClusterProperty","metadata":{"name":"cluster.clusterset.k8s.io"},"spec":{"value":"${id}"}}`;
    await server.kubectl.run(server.context, ["apply", "-f", "-"], property);
  }
});

/** Puts a token into every Secret that waits for one, as kube-controller-manager does; resolves when it has stopped. */
function fillTokens(servers: readonly KubeApiServer[]): () => Promise<void> {
  const stop = new AbortController();
  const fill = async (server: KubeApiServer): Promise<void> => {
    const request = apiRequest(server);
    const secrets = `/api/v1/namespaces/${systemNamespace}/secrets`;
    while (!stop.signal.aborted) {
      const { body } = await request(
        "GET",
        `${secrets}?fieldSelector=type=kubernetes.io/service-account-token`,
      );
      for (const { metadata, data } of (body["items"] ?? []) as WaitingSecret[]) {
        if (data !== undefined) continue;
        const account = metadata.annotations["kubernetes.io/service-account.name"];
        const issued = await request(
          "POST",
          `/api/v1/namespaces/${systemNamespace}/serviceaccounts/${account}/token`,
          {
            apiVersion: "authentication.k8s.io/v1",
            kind: "TokenRequest",
            // Bound to the Secret: refused once that is gone, as the tokens of Kubernetes' own controller are.
            spec: {
              boundObjectRef: { apiVersion: "v1", kind: "Secret", name: metadata.name, uid: metadata.uid },
            },
          },
        );
        const { token = "" } = (issued.body["status"] ?? {}) as { token?: string };
        const filled = { token: base64(token), "ca.crt": base64(server.authority) };
        const { body: standing } = await request("GET", `${secrets}/${metadata.name}`);
        await request("PUT", `${secrets}/${metadata.name}`, { ...standing, data: filled });
      }
      await sleep(50);
    }
  };
  const filling = Promise.all(servers.map(fill));
  return async () => {
    stop.abort();
    await filling;
  };
}

interface WaitingSecret {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly annotations: { readonly "kubernetes.io/service-account.name": string };
  };
  readonly data?: unknown;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
