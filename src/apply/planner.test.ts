import { expect } from "chai";
import fc from "fast-check";
import type { Condition, KubeObject } from "../model/kube-object.ts";
import { controllerName, labels } from "../model/names.ts";
import { covers } from "./covers.ts";
import { intentOf, planObject, mayPrune, unwantedOf, writtenKinds } from "./diff.ts";
import { lookAtLease } from "./lease-step.ts";
import type { LeaseSeen } from "./lease-step.ts";
import { notesFor } from "./events.ts";
import { ownsMoreThan } from "./own-fields.ts";
import { Planner } from "./planner.ts";
import type { ApplyInput } from "./planner.ts";
import { mergeConditions, planStatus } from "./status.ts";
import type { World } from "../model/world.ts";

const json = fc.jsonValue({ maxDepth: 3 });
const ours = { [labels.managedBy]: labels.managedByValue };
const applied = (fieldsV1: object, apiVersion = "v1"): object => ({
  managedFields: [{ manager: "mc-wan", operation: "Apply", apiVersion, fieldsType: "FieldsV1", fieldsV1 }],
});

function service(metadata: object, spec: object = {}): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "s", namespace: "n", ...metadata },
    spec,
  };
}

describe("covers", () => {
  it("holds for every value and itself", () => {
    fc.assert(fc.property(json, (value) => covers(structuredClone(value), value)));
  });

  it("holds when an object that stands has more fields than the intent, at any depth, and fails when it has fewer", () => {
    const intent = { spec: { ports: [{ port: 80 }], selector: { app: "x" } } };
    const standing = {
      spec: { ports: [{ port: 80, protocol: "TCP" }], selector: { app: "x" }, type: "ClusterIP" },
    };
    expect(covers(standing, intent)).to.equal(true);
    expect(covers({ spec: { ports: [{ port: 80 }] } }, intent)).to.equal(false);
  });

  it("takes an empty value for one that the server leaves out, and a list that is longer for different", () => {
    expect(covers({}, { a: [], b: {}, c: null })).to.equal(true);
    expect(covers({ a: [1] }, { a: [] })).to.equal(false);
    expect(covers({ a: [1, 2] }, { a: [1] })).to.equal(false);
    expect(covers({ a: [2, 1] }, { a: [1, 2] })).to.equal(false);
  });

  it("is not deceived by names that every JavaScript object has", () => {
    expect(covers({ labels: {} }, { labels: { constructor: "x" } })).to.equal(false);
  });

  it("compares conditions by type, whoever else has some, and listeners by name", () => {
    const foreign = { type: "Other", status: "True" };
    const own = { type: "Accepted", status: "True" };
    expect(covers({ conditions: [foreign, own] }, { conditions: [own] }, "ByKey")).to.equal(true);
    const listeners = (...names: string[]): object => ({ listeners: names.map((name) => ({ name })) });
    expect(covers(listeners("b", "a"), listeners("a", "b"), "ByKey")).to.equal(true);
    expect(covers(listeners("b", "a"), listeners("a"), "ByKey")).to.equal(false);
  });
});

describe("ownsMoreThan", () => {
  const fields = {
    "f:metadata": { "f:labels": { ".": {}, "f:a": {} } },
    "f:spec": {
      "f:ports": { 'k:{"port":80,"protocol":"TCP"}': { ".": {}, "f:port": {} } },
      "f:set": { 'v:"x"': {} },
    },
  };
  const intent = { metadata: { labels: { a: "1" } }, spec: { ports: [{ port: 80 }], set: ["x"] } };

  it("finds nothing where the intent still has all that was applied, defaulted keys of lists included", () => {
    expect(ownsMoreThan(fields, intent)).to.equal(false);
  });

  it("finds a label, an item of a list and a value of a set that the intent no longer has", () => {
    expect(ownsMoreThan(fields, { ...intent, metadata: { labels: {} } })).to.equal(true);
    expect(ownsMoreThan(fields, { ...intent, spec: { ...intent.spec, ports: [{ port: 81 }] } })).to.equal(
      true,
    );
    expect(ownsMoreThan(fields, { ...intent, spec: { ...intent.spec, set: ["y"] } })).to.equal(true);
  });
});

describe("planObject", () => {
  const object = service({ labels: ours }, { ports: [{ port: 80 }] });
  const fields = {
    "f:metadata": { "f:labels": { [`f:${labels.managedBy}`]: {} } },
    "f:spec": { "f:ports": {} },
  };
  const desired = { kind: "Service", object } as const;
  const stands = (
    metadata: object,
    spec: object = { ports: [{ port: 80, protocol: "TCP" }], type: "ClusterIP" },
  ): KubeObject =>
    service({ uid: "u", resourceVersion: "5", labels: ours, ...applied(fields), ...metadata }, spec);

  const cases: readonly [name: string, observed: KubeObject | undefined, verb: string][] = [
    ["creates what is missing", undefined, "Apply"],
    ["leaves what stands as wanted", stands({}), "None"],
    ["mends what differs", stands({}, { ports: [{ port: 81 }] }), "Apply"],
    ["waits for what is being deleted", stands({ deletionTimestamp: "2026-01-01T00:00:00Z" }, {}), "None"],
    ["refuses what somebody else made", service({ uid: "u", resourceVersion: "5" }), "Foreign"],
    ["mends what lost our label", stands({ labels: undefined }), "Apply"],
    [
      "applies what carries our label but was never applied by us",
      service({ uid: "u", labels: ours }, object["spec"] as object),
      "Apply",
    ],
  ];
  for (const [name, observed, verb] of cases) {
    it(name, () => {
      expect(planObject(desired, observed, undefined).verb).to.equal(verb);
    });
  }

  it("guards a change by the uid of what stands", () => {
    const change = planObject(desired, stands({}, {}), undefined);
    expect(change.verb === "Apply" && change.object.metadata.uid).to.equal("u");
  });

  it("writes nothing when what stands is what the last write of the same intent left, or older", () => {
    const intent = intentOf(object);
    const differs = stands({}, { ports: [{ port: 81 }] });
    expect(planObject(desired, differs, { intent, uid: "u", resourceVersion: "5" }).verb).to.equal("None");
    expect(planObject(desired, differs, { intent, uid: "u", resourceVersion: "9" }).verb).to.equal("None");
    expect(planObject(desired, differs, { intent, uid: "u", resourceVersion: "4" }).verb).to.equal("Apply");
    expect(planObject(desired, differs, { intent: "{}", uid: "u", resourceVersion: "5" }).verb).to.equal(
      "Apply",
    );
  });

  it("asks to look first where the World doesn't show foreign objects", () => {
    const change = planObject({ kind: "Deployment", object }, undefined, undefined);
    expect(change.verb === "Apply" && change.mustLook).to.equal(true);
  });
});

describe("a plan", () => {
  it("begins with what peers and traffic wait for", () => {
    const kinds = ["Deployment", "EndpointSlice", "Gateway", "Service", "ServiceAdvertisement"] as const;
    const object = (kind: string): KubeObject => ({ ...service({}), kind });
    const objects = new Map(kinds.map((kind) => [`${kind}/n/s`, { kind, object: object(kind) }]));
    const home = new Proxy({}, { get: () => new Map() });
    const { writes } = new Planner().plan(
      { world: { home, peers: [] }, desired: { objects }, statuses: new Map() } as unknown as ApplyInput,
      "now",
    );
    expect([...writes.values()].map(({ kind }) => kind)).to.deep.equal([
      "ServiceAdvertisement",
      "Service",
      "EndpointSlice",
      "Deployment",
      "Gateway",
    ]);
  });
});

describe("deletions while a peer is unknown", () => {
  it("are withheld and counted, and made once it is heard", () => {
    const mine = { uid: "u", labels: ours, ...applied({}) };
    const home = new Proxy(
      {},
      { get: (_, kind) => (kind === "Service" ? new Map([["n/s", service(mine)]]) : new Map()) },
    );
    const planner = new Planner();
    const plan = (state: string): { deletions: number; withheld: number } => {
      const input = {
        world: { home, peers: [{ state }] },
        desired: { objects: new Map() },
        statuses: new Map(),
      };
      const { writes, withheld } = planner.plan(input as unknown as ApplyInput, "now");
      return { deletions: writes.size, withheld };
    };
    expect(plan("Unsynced")).to.deep.equal({ deletions: 0, withheld: 1 });
    expect(plan("Refused")).to.deep.equal({ deletions: 0, withheld: 1 });
    expect(plan("Stale")).to.deep.equal({ deletions: 1, withheld: 0 });
  });
});

describe("unwantedOf", () => {
  const unwanted = (world: World, wanted: ReadonlyMap<string, unknown>): Map<string, KubeObject> =>
    new Map(
      writtenKinds
        .filter((kind) => mayPrune(world, kind))
        .flatMap((kind) => [...unwantedOf(world, kind, wanted)]),
    );

  const mine = { uid: "u", labels: ours, ...applied({}) };
  function world(stores: object, state: "Synced" | "Stale" | "Unsynced" = "Synced"): World {
    const empty = new Proxy(stores, {
      get: (target, kind) => (Reflect.get(target, kind) as unknown) ?? new Map(),
    });
    return { home: empty, peers: [{ state }] } as unknown as World;
  }
  const of = (object: KubeObject): Map<string, KubeObject> => new Map([["n/s", object]]);

  it("deletes what carries our label and our mark and isn't wanted", () => {
    const stores = { Service: of(service(mine)) };
    expect([...unwanted(world(stores), new Map()).keys()]).to.deep.equal(["Service/n/s"]);
    expect(unwanted(world(stores), new Map([["Service/n/s", 1]])).size).to.equal(0);
  });

  it("leaves what has only the label, only the mark, or is going already", () => {
    const left = [{ labels: ours }, { labels: {}, ...applied({}) }, { ...mine, deletionTimestamp: "x" }];
    for (const metadata of left)
      expect(unwanted(world({ Service: of(service(metadata)) }), new Map()).size).to.equal(0);
  });

  it("leaves slices that Kubernetes made for a Service of ours", () => {
    expect(unwanted(world({ EndpointSlice: of(service(mine)) }), new Map()).size).to.equal(0);
  });

  it("ends only our own advertisements while a peer is unknown, and everything when it is merely stale", () => {
    const stores = { Service: of(service(mine)), ServiceAdvertisement: of(service(mine)) };
    expect([...unwanted(world(stores, "Unsynced"), new Map()).keys()]).to.deep.equal([
      "ServiceAdvertisement/n/s",
    ]);
    expect(unwanted(world(stores, "Stale"), new Map()).size).to.equal(2);
  });
});

describe("statuses", () => {
  const condition = fc.record({
    type: fc.constantFrom("A", "B", "C"),
    status: fc.constantFrom("True", "False", "Unknown"),
    reason: fc.constantFrom("X", "Y"),
    message: fc.string(),
  });
  const conditions = fc.uniqueArray(condition, { selector: ({ type }) => type }) as fc.Arbitrary<Condition[]>;

  it("keep the time of a condition exactly while its status is the same", () => {
    fc.assert(
      fc.property(conditions, conditions, (before, wanted) => {
        const held = mergeConditions(before, [], "old");
        for (const merged of mergeConditions(wanted, held, "new")) {
          const same = held.find(({ type }) => type === merged.type)?.status === merged.status;
          expect(merged.lastTransitionTime).to.equal(same ? "old" : "new");
        }
      }),
    );
  });

  it("are not written again once they stand, at any time", () => {
    fc.assert(
      fc.property(conditions, (wanted) => {
        const status = { kind: "ServiceExport", key: "n/s", form: "Conditions", conditions: wanted } as const;
        const object = planStatus(status, service({}), "old");
        if (object === undefined) return;
        expect(planStatus(status, { ...service({}), status: object["status"] }, "new")).to.equal(undefined);
      }),
    );
  });

  it("fill in times in listeners too", () => {
    const said = { type: "Accepted", status: "True", reason: "Accepted", message: "" } as const;
    const listeners = [{ name: "l", attachedRoutes: 1, conditions: [said] }];
    const status = {
      kind: "Gateway",
      key: "n/s",
      form: "Conditions",
      conditions: [],
      fields: { listeners },
    } as const;
    const object = planStatus(status, service({}), "now");
    expect(JSON.stringify(object?.["status"])).to.contain('"lastTransitionTime":"now"');
    expect(planStatus(status, { ...service({}), status: object?.["status"] }, "later")).to.equal(undefined);
  });

  it("never pass 32 parents of a route, and never touch a foreign one", () => {
    const foreign = Array.from({ length: 31 }, (_, index) => ({
      parentRef: { name: `f${index}` },
      controllerName: "x",
      conditions: [],
    }));
    const parents = ["a", "b"].map((name) => ({ parentRef: { name }, conditions: [] }));
    const status = { kind: "HTTPRoute", key: "n/s", form: "RouteParents", parents } as const;
    const object = planStatus(
      status,
      { ...service({ resourceVersion: "7" }), status: { parents: foreign } },
      "now",
    );
    const written = (object?.["status"] as { parents: unknown[] }).parents;
    expect(written).to.have.length(32);
    expect(written.slice(0, 31)).to.deep.equal(foreign);
    expect(written[31]).to.have.property("controllerName", controllerName);
    expect(object?.metadata.resourceVersion).to.equal("7");
  });

  it("say the generation that was judged, also where one from the future stands", () => {
    const judged = { type: "Accepted", status: "True", reason: "Accepted", message: "m" } as const;
    const parent = { parentRef: { name: "web" }, controllerName };
    const at = (observedGeneration: number) => ({
      ...parent,
      conditions: [{ ...judged, observedGeneration, lastTransitionTime: "before" }],
    });
    const planned = planStatus(
      {
        kind: "HTTPRoute",
        key: "n/s",
        form: "RouteParents",
        parents: [{ parentRef: { name: "web" }, conditions: [{ ...judged, observedGeneration: 1 }] }],
      },
      { ...service({ resourceVersion: "7", generation: 1 }), status: { parents: [at(99)] } },
      "now",
    );
    expect((planned?.["status"] as { parents: unknown[] } | undefined)?.parents).to.deep.equal([at(1)]);
  });

  it("are told as Events when they change, not when all is well from the start or takes a moment", () => {
    const good = { type: "Accepted", status: "True", reason: "Accepted", message: "m" } as const;
    const bad = { ...good, status: "False", reason: "Invalid" } as const;
    expect(notesFor([], [good])).to.deep.equal([]);
    expect(notesFor([good], [good])).to.deep.equal([]);
    expect(notesFor([], [{ ...bad, reason: "Pending" }])).to.deep.equal([]);
    expect(notesFor([], [bad]).map(({ type }) => type)).to.deep.equal(["Warning"]);
    expect(notesFor([bad], [good]).map(({ type }) => type)).to.deep.equal(["Normal"]);
    expect(notesFor([], [{ ...good, type: "Conflict" }]).map(({ type }) => type)).to.deep.equal(["Warning"]);
  });
});

describe("lookAtLease", () => {
  it("never lets two replicas hold a Lease at once, whatever their clocks say, if holders stop at the deadline", () => {
    const durationMs = 15_000;
    const deadlineMs = 10_000;
    const step = fc.record({ who: fc.constantFrom(0, 1, 2), afterMs: fc.integer({ min: 0, max: 12_000 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let nowMs = 0;
        let version = 0;
        let holder = "";
        // Each replica's clock starts somewhere else.
        const replicas = [0, -5_000_000, 9_000_000].map((skew, index) => ({
          identity: `r${index}`,
          skew,
          seen: undefined as LeaseSeen | undefined,
          renewedMs: -Infinity,
        }));
        for (const { who, afterMs } of steps) {
          nowMs += afterMs;
          const replica = replicas[who]!;
          const lease = version === 0 ? undefined : { holder, resourceVersion: String(version), durationMs };
          const me = { identity: replica.identity, nowMs: nowMs + replica.skew };
          const { action, seen } = lookAtLease(lease, replica.seen, me);
          replica.seen = seen;
          if (action === "Wait") replica.renewedMs = -Infinity;
          else {
            version += 1;
            holder = replica.identity;
            replica.renewedMs = nowMs;
          }
          const holding = replicas.filter(({ renewedMs }) => nowMs - renewedMs < deadlineMs);
          expect(holding.length).to.be.at.most(1);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("takes a Lease that was given up at once", () => {
    const lease = { holder: "", resourceVersion: "1", durationMs: 1000 };
    expect(lookAtLease(lease, undefined, { identity: "a", nowMs: 0 }).action).to.equal("Take");
  });
});
