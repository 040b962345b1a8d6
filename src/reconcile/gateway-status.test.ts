import { expect } from "chai";
import type { Desired, DesiredStatus, ServedGateway } from "../model/desired.ts";
import type {
  Acknowledgement,
  GatewayVerdict,
  ListenerSetVerdict,
  RefusedRoute,
  RouteVerdict,
  Verdicts,
} from "../model/envoy-config.ts";
import type { Condition, KubeObject } from "../model/kube-object.ts";
import { gatewayStatuses } from "./gateway-status.ts";
import { worldFrom } from "./world-from-yaml.ts";

const ours = { "app.kubernetes.io/managed-by": "mc-wan" };
const spec = { gatewayClassName: "mc-wan", listeners: [{ name: "http", port: 80, protocol: "HTTP" }] };

function gateway(parts: {
  labels?: Record<string, string>;
  generation?: number;
  conditions?: readonly Condition[];
}): KubeObject {
  const { labels, generation = 7, conditions } = parts;
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: "g", namespace: "n", generation, ...(labels && { labels }) },
    spec,
    ...(conditions && { status: { conditions } }),
  };
}

const accepted: Condition = {
  type: "Accepted",
  status: "True",
  reason: "Accepted",
  message: "",
  observedGeneration: 0,
};
const verdict: GatewayVerdict = {
  conditions: [accepted],
  listeners: [
    { name: "http", attachedRoutes: 2, isServed: true, supportedKinds: [], conditions: [accepted] },
    {
      name: "bad",
      attachedRoutes: 0,
      isServed: true,
      supportedKinds: [],
      conditions: [{ ...accepted, status: "False" }],
    },
  ],
};
const routeVerdict: RouteVerdict = { parentRef: { name: "g" }, conditions: [accepted] };

interface Situation {
  readonly home?: readonly KubeObject[];
  readonly served?: Partial<ServedGateway>;
  readonly verdict?: GatewayVerdict;
  readonly acknowledgement?: Acknowledgement;
  readonly routes?: Desired["httpRoutes"];
  readonly tcpRoutes?: Desired["tcpRoutes"];
  readonly statuses?: Desired["statuses"];
  readonly refusedRoutes?: readonly RefusedRoute[];
  readonly verdicts?: Partial<Verdicts>;
}

function statuses(situation: Situation): ReadonlyMap<string, DesiredStatus> {
  const served = {
    gateway: gateway({}) as unknown as ServedGateway["gateway"],
    fleet: "n.g",
    addresses: ["10.0.0.1"],
    ...situation.served,
  };
  return gatewayStatuses({
    world: worldFrom({ home: situation.home ?? [gateway({})] }),
    desired: {
      objects: new Map(),
      statuses: situation.statuses ?? new Map<string, DesiredStatus>(),
      gateways: [served],
      httpRoutes: situation.routes ?? new Map(),
      grpcRoutes: new Map(),
      tcpRoutes: situation.tcpRoutes ?? new Map(),
      referenceGrants: new Map(),
      wanBackends: new Map(),
      probes: [],
      draining: [],
      sendsTo: {},
      accounts: new Map(),
      identities: [],
      trust: [],
      clients: new Map(),
      unaware: [],
    },
    translation: {
      verdicts: {
        gateways: new Map([["n/g", situation.verdict ?? verdict]]),
        httpRoutes: new Map([["n/r", [routeVerdict]]]),
        grpcRoutes: new Map(),
        tcpRoutes: new Map([["n/r", [routeVerdict]]]),
        tlsRoutes: new Map(),
        listenerSets: new Map(),
        backendTlsPolicies: new Map(),
        ...situation.verdicts,
      },
    },
    acknowledgements: new Map(situation.acknowledgement ? [["n/g", situation.acknowledgement]] : []),
    refusedRoutes: situation.refusedRoutes ?? [],
  });
}

function programmed(
  situation: Situation,
): { status: string; reason: string; observedGeneration?: number } | undefined {
  const status = statuses(situation).get("Gateway/n/g");
  if (status?.form !== "Conditions") return undefined;
  const found = status.conditions.find(({ type }) => type === "Programmed");
  return (
    found && { status: found.status, reason: found.reason, observedGeneration: found.observedGeneration! }
  );
}

const stood = (observedGeneration: number): Condition => ({
  type: "Programmed",
  status: "True",
  reason: "Programmed",
  message: "",
  observedGeneration,
});

/** Status, reason and number of listeners of Programmed at a ListenerSet. */
function programmedSet(
  set: Partial<ListenerSetVerdict>,
  situation: Situation = {},
): { status: string | undefined; reason: string | undefined; listeners: unknown } {
  const whole = { gateway: "n/g", accepted, listeners: verdict.listeners, ...set };
  const status = statuses({ ...situation, verdicts: { listenerSets: new Map([["n/s", whole]]) } }).get(
    "ListenerSet/n/s",
  );
  if (status?.form !== "Conditions") throw new Error("a ListenerSet has conditions");
  const found = status.conditions.find(({ type }) => type === "Programmed");
  const listeners = (status.fields?.["listeners"] as unknown[] | undefined)?.length;
  return { status: found?.status, reason: found?.reason, listeners };
}

describe("status of ListenerSets, and of what only users write", () => {
  it("is Programmed with the Gateway, and not before", () => {
    const acknowledgement = { programmed: 7 };
    expect(programmedSet({}, { acknowledgement })).to.deep.equal({
      status: "True",
      reason: "Programmed",
      listeners: 2,
    });
    expect(programmedSet({})).to.deep.equal({ status: "False", reason: "ParentNotProgrammed", listeners: 2 });
    expect(programmedSet({ gateway: "n/other" }, { acknowledgement }).status).to.equal("False");
  });

  it("says why a ListenerSet that is not accepted is not programmed, and nothing of its listeners if it may not be there", () => {
    const refused = { ...accepted, status: "False", reason: "NotAllowed" } as const;
    expect(programmedSet({ accepted: refused })).to.deep.equal({
      status: "False",
      reason: "NotAllowed",
      listeners: undefined,
    });
    const conflicted = { ...accepted, status: "False", reason: "ListenersNotValid" } as const;
    expect(programmedSet({ accepted: conflicted })).to.include({ reason: "ListenersNotValid", listeners: 2 });
  });

  it("tells at a listener which conflict keeps it from being programmed", () => {
    const conflict = { ...accepted, type: "Conflicted", reason: "HostnameConflict" } as const;
    const refused = { ...accepted, status: "False", reason: "HostnameConflict" } as const;
    const status = statuses({
      verdict: {
        conditions: [accepted],
        listeners: [
          {
            name: "a",
            attachedRoutes: 0,
            isServed: true,
            supportedKinds: [],
            conditions: [refused, conflict],
          },
        ],
      },
    }).get("Gateway/n/g");
    expect(JSON.stringify(status)).to.contain(
      '"type":"Programmed","status":"False","reason":"HostnameConflict"',
    );
  });

  it("is told of GRPCRoutes, TLSRoutes and BackendTLSPolicies with the generation that stands", () => {
    const ancestor = { ancestorRef: { name: "g" }, conditions: [accepted] };
    const policy = { ...gateway({ generation: 3 }), kind: "BackendTLSPolicy" };
    const found = statuses({
      home: [gateway({}), policy],
      verdicts: {
        grpcRoutes: new Map([["n/grpc", [routeVerdict]]]),
        tlsRoutes: new Map([["n/tls", [routeVerdict]]]),
        backendTlsPolicies: new Map([["n/g", [ancestor]]]),
      },
    });
    expect([...found.keys()]).to.include.members(["GRPCRoute/n/grpc", "TLSRoute/n/tls"]);
    const said = found.get("BackendTLSPolicy/n/g");
    expect(said?.form === "PolicyAncestors" && said.ancestors[0]?.conditions[0]?.observedGeneration).to.equal(
      3,
    );
  });
});

describe("status of Gateways and routes", () => {
  it("is not Programmed before an Envoy has spoken", () => {
    expect(programmed({})).to.deep.equal({ status: "False", reason: "Pending", observedGeneration: 7 });
  });

  it("is Programmed once an Envoy has acknowledged the generation that stands, and not an older one", () => {
    expect(programmed({ acknowledgement: { programmed: 7 } })?.status).to.equal("True");
    expect(programmed({ acknowledgement: { programmed: 6 } })?.status).to.equal("False");
  });

  it("stays Programmed when a controller that has just started knows of no Envoy, but not for a new generation", () => {
    expect(programmed({ home: [gateway({ conditions: [stood(7)] })] })?.status).to.equal("True");
    expect(programmed({ home: [gateway({ conditions: [stood(6)] })] })?.status).to.equal("False");
  });

  it("is not Programmed any more when an Envoy refuses, and says what Envoy said", () => {
    const situation = {
      home: [gateway({ conditions: [stood(7)] })],
      acknowledgement: { refused: "bad listener" },
    };
    expect(programmed(situation)).to.deep.equal({
      status: "False",
      reason: "Invalid",
      observedGeneration: 7,
    });
  });

  it("needs an address", () => {
    expect(programmed({ served: { addresses: [] }, acknowledgement: { programmed: 7 } })?.reason).to.equal(
      "AddressNotAssigned",
    );
  });

  it("is not Programmed if it is not accepted", () => {
    const refused = { ...verdict, conditions: [{ ...accepted, status: "False" as const }] };
    expect(programmed({ verdict: refused, acknowledgement: { programmed: 7 } })?.reason).to.equal("Invalid");
  });

  it("tells of addresses and listeners, each with the generation that stands", () => {
    const status = statuses({ acknowledgement: { programmed: 7 } }).get("Gateway/n/g");
    expect(status?.form === "Conditions" && status.fields).to.deep.include({
      addresses: [{ type: "IPAddress", value: "10.0.0.1" }],
    });
    const listeners = (
      status as unknown as { fields: { listeners: { name: string; conditions: Condition[] }[] } }
    ).fields.listeners;
    expect(
      listeners.map(({ name, conditions }) => [
        name,
        conditions.map(
          ({ type, status: said, observedGeneration }) => `${type} ${said} ${observedGeneration!}`,
        ),
      ]),
    ).to.deep.equal([
      ["http", ["Accepted True 7", "Programmed True 7"]],
      ["bad", ["Accepted False 7", "Programmed False 7"]],
    ]);
  });

  it("says nothing of a Gateway that does not stand, or stands as somebody else's", () => {
    expect(programmed({ home: [] })).to.equal(undefined);
    expect(programmed({ home: [gateway({ labels: ours })] })).to.equal(undefined);
  });

  it("says nothing of a Gateway that was not translated", () => {
    expect(
      statuses({
        served: {
          gateway: {
            ...gateway({}),
            metadata: { name: "other", namespace: "n" },
          } as unknown as ServedGateway["gateway"],
        },
      }).has("Gateway/n/other"),
    ).to.equal(false);
  });

  for (const kind of ["HTTPRoute", "TCPRoute"] as const) {
    it(`tells a ${kind} of its parents, if the route stands and is wanted`, () => {
      const route = {
        apiVersion: "gateway.networking.k8s.io/v1",
        kind,
        metadata: { name: "r", namespace: "n", generation: 3 },
        spec: {},
      };
      const key = `${kind}/n/r`;
      const wanted = new Map([["n/r", route as never]]);
      const routes = kind === "HTTPRoute" ? { routes: wanted } : { tcpRoutes: wanted };
      const status = statuses({ home: [route], ...routes }).get(key);
      expect(status?.form === "RouteParents" && status.parents).to.deep.equal([
        { parentRef: { name: "g" }, conditions: [{ ...accepted, observedGeneration: 3 }] },
      ]);
      expect(statuses({ home: [], ...routes }).has(key)).to.equal(false);
      expect(statuses({ home: [route] }).has(key)).to.equal(false);
      const labelled = { ...route, metadata: { ...route.metadata, labels: ours } };
      expect(statuses({ home: [labelled], ...routes }).has(key)).to.equal(false);
    });
  }

  const route: KubeObject = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "r", namespace: "n", generation: 3 },
    spec: {},
  };
  const routes = new Map([["n/r", route as never]]);

  it("tells a route that an Envoy of its Gateway's fleet refuses it, keeps the words when they are not heard again, and takes it back", () => {
    const refused: RefusedRoute = { fleet: "n.g", kind: "HTTPRoute", key: "n/r", reason: "bad regex" };
    const conditionsOf = (
      refusedRoutes: readonly RefusedRoute[],
      before?: Condition,
    ): readonly Condition[] => {
      const parents = before === undefined ? [] : [{ parentRef: { name: "g" }, conditions: [before] }];
      const home = [gateway({}), { ...route, status: { parents } } as KubeObject];
      const status = statuses({ home, routes, refusedRoutes }).get("HTTPRoute/n/r");
      return status?.form === "RouteParents" ? (status.parents[0]?.conditions ?? []) : [];
    };
    const [told] = conditionsOf([refused]);
    expect(told).to.include({
      type: "Accepted",
      status: "False",
      reason: "RefusedByEnvoy",
      observedGeneration: 3,
    });
    expect(told?.message).to.include("bad regex");
    expect(conditionsOf([{ ...refused, reason: "" }], told)).to.deep.equal([told]);
    expect(conditionsOf([{ ...refused, fleet: "another" }])[0]?.status).to.equal("True");
    expect(conditionsOf([{ ...refused, kind: "GRPCRoute" }])[0]?.status).to.equal("True");
    expect(conditionsOf([])[0]?.status).to.equal("True");
  });

  it("tells a ServiceExport that an Envoy refuses what was made of it", () => {
    const key = "ServiceExport/n/web";
    const ready: Condition = { ...accepted, type: "Ready" };
    const exported: DesiredStatus = {
      kind: "ServiceExport",
      key: "n/web",
      form: "Conditions",
      conditions: [ready],
    };
    const ingress = {
      ...route,
      metadata: {
        name: "web-ingress",
        namespace: "n",
        labels: { ...ours, "mc-wan.l7mp.io/service-namespace": "n", "mc-wan.l7mp.io/service-name": "web" },
      },
    };
    const found = statuses({
      statuses: new Map([[key, exported]]),
      routes: new Map([["n/web-ingress", ingress as never]]),
      refusedRoutes: [{ fleet: "mc-wan-ingress", kind: "HTTPRoute", key: "n/web-ingress", reason: "no" }],
    }).get(key);
    const [said] = found?.form === "Conditions" ? found.conditions : [];
    expect(said).to.include({ type: "Ready", status: "False", reason: "RefusedByEnvoy" });
  });

  it("accepts GatewayClasses of our controller and no others", () => {
    const of = (name: string, controllerName: string): KubeObject => ({
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "GatewayClass",
      metadata: { name, generation: 1 },
      spec: { controllerName },
    });
    const found = statuses({
      home: [of("mc-wan", "mc-wan.l7mp.io/gateway-controller"), of("istio", "istio.io/x")],
    });
    expect([...found.keys()]).to.deep.equal(["GatewayClass/mc-wan"]);
  });

  it("names the supported features in the GatewayClass, in the order that Gateway API asks for", () => {
    const gatewayClass = {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "GatewayClass",
      metadata: { name: "mc-wan", generation: 1 },
      spec: { controllerName: "mc-wan.l7mp.io/gateway-controller" },
    };
    const { fields } = statuses({ home: [gatewayClass] }).get("GatewayClass/mc-wan") as {
      fields?: { supportedFeatures?: { name: string }[] };
    };
    const names = (fields?.supportedFeatures ?? []).map(({ name }) => name);
    expect(names).to.include("HTTPRoute");
    expect(names).to.deep.equal([...new Set(names)].sort());
    expect(names.length).to.be.at.most(64);
  });
});
