/**
 * The egress side of an import: its Gateway in the shared egress pool, an HTTPRoute for each HTTP port, made of the L7
 * ServiceImport's rules, or of one rule to the policy that holds, and a TCPRoute for each TCP port.
 */
import type { AdvertisedPort } from "../api/service-advertisement.ts";
import type { ServiceImport } from "../api/service-import.ts";
import { reasons } from "../api/conditions.ts";
import type { ServedGateway, ServiceRef } from "../model/desired.ts";
import type { OwnerReference } from "../model/kube-object.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import {
  clusterHostname,
  annotations,
  derivedName,
  dummyNamespace,
  egressPool,
  shadowName,
} from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import type { ReferableServices, RouteRef } from "./backend-refs.ts";
import type { DummyNames } from "./dummy-services.ts";
import { egressHostnames } from "./hostnames.ts";
import {
  closedRule,
  defaultRule,
  translateRules,
  type RouteRule,
  type TranslatedRules,
} from "./http-rules.ts";
import { metadataOf, typeOf } from "./owners.ts";
import { maxRefs, spreadRules, type FindTargets } from "./spread-backends.ts";
import { tcpRoute } from "./tcp-routes.ts";
import type { PolicyChoice, PolicySet } from "./wan-policies.ts";

/** What the egress side of one import is made of. */
export interface EgressInput {
  readonly service: ServiceRef;
  /** Of its Gateway. */
  readonly gatewayClassName: string;
  /** HTTP ports, in the order of their numbers. */
  readonly ports: readonly AdvertisedPort[];
  /** TCP ports; there is a port of some kind. */
  readonly tcpPorts: readonly AdvertisedPort[];
  readonly containerPorts: ReadonlyMap<number, number>;
  readonly rules: ServiceImport | undefined;
  readonly choice: PolicyChoice;
  readonly dummies: DummyNames;
  readonly policies: PolicySet;
  readonly referable: ReferableServices;
  /** clusterIPs of the shadow. */
  readonly addresses: readonly string[];
  /** Set where the routes have to say which cluster gets how much. */
  readonly findTargets: FindTargets | undefined;
  readonly owner: OwnerReference | undefined;
}

/** The egress side of one import. */
export interface EgressSide {
  readonly gateway: ServedGateway;
  readonly routes: readonly ObjectTypes["HTTPRoute"][];
  readonly tcpRoutes: readonly ObjectTypes["TCPRoute"][];
  /** Dummies whose requests the routes spread over clusters. */
  readonly dummies: readonly string[];
  readonly refusals: readonly Problem[];
  readonly unresolved: readonly Problem[];
  /** Rules that are followed, though not to the letter. */
  readonly lapses: readonly Problem[];
}

/** Name of a port's listener: the port's own, `port-<n>` if it has none. */
export const listenerName = ({ name = "", port }: AdvertisedPort): string =>
  name === "" ? `port-${port}` : name;

/** The Gateway and HTTPRoutes of an import that goes through the egress gateway. */
export function egressSide(input: EgressInput): EgressSide {
  const { service, owner } = input;
  const name = shadowName(service.name);
  const identity = { namespace: service.namespace, cause: service, owner };
  const hostnames = egressHostnames(service);
  const isPlaced = ({ port }: AdvertisedPort): boolean => input.containerPorts.has(port);
  const ports = input.ports.filter(isPlaced);
  const tcpPorts = input.tcpPorts.filter(isPlaced);
  const translated = ports.map((port) => rulesOf(port, input));
  const { findTargets } = input;
  const spread = translated.map(({ rules }) =>
    findTargets === undefined ? { rules, dummies: [], tooWide: [] } : spreadRules(rules, findTargets),
  );
  const gateway: ObjectTypes["Gateway"] = {
    ...typeOf("Gateway"),
    metadata: metadataOf({ ...identity, name, annotations: { [annotations.serviceType]: "ClusterIP" } }),
    spec: {
      gatewayClassName: input.gatewayClassName,
      listeners: [
        ...ports.map((port) => listener(port, "HTTP")),
        ...tcpPorts.map((port) => listener(port, "TCP")),
      ],
    },
  };
  const routes = ports.map((port, index): ObjectTypes["HTTPRoute"] => ({
    ...typeOf("HTTPRoute"),
    metadata: metadataOf({
      ...identity,
      name: index === 0 ? name : derivedName(service.name, "clusterset", listenerName(port)),
    }),
    spec: {
      parentRefs: [
        { group: "gateway.networking.k8s.io", kind: "Gateway", name, sectionName: listenerName(port) },
      ],
      hostnames,
      rules: (spread[index]?.rules ?? []) as RouteRule[],
    },
  }));
  const requestsPerSecond = input.rules?.spec.limits?.requestsPerSecond;
  const streams = tcpPorts.map((port) =>
    tcpRoute({
      service,
      port,
      listener: listenerName(port),
      tcp: input.rules?.spec.tcp,
      fallback: dummyOf(input),
      referable: input.referable,
      owner,
    }),
  );
  return {
    gateway: {
      gateway,
      fleet: egressPool,
      addresses: input.addresses,
      pooled: {
        role: "Egress",
        service,
        hostnames,
        containerPorts: Object.fromEntries(
          [...ports, ...tcpPorts].map((port) => [
            listenerName(port),
            input.containerPorts.get(port.port) ?? 0,
          ]),
        ),
        ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
      },
    },
    routes,
    tcpRoutes: streams.map(({ route }) => route),
    dummies: [...new Set(spread.flatMap(({ dummies }) => dummies))],
    refusals: distinct(translated.flatMap(({ refusals }) => refusals)),
    unresolved: distinct([...translated, ...streams].flatMap(({ unresolved }) => unresolved)),
    lapses: distinct(spread.flatMap(({ tooWide }) => tooWide.map(unspread))),
  };
}

const unspread = (rule: number): Problem => ({
  reason: reasons.TooManyBackends,
  message: `Rule ${rule} would have more than ${maxRefs} backends when told for each cluster apart, which is what Gateway API takes: its requests go to the gateways of all clusters alike, and not in proportion to their ready backends. Name fewer policies and services in one rule.`,
});

const listener = (port: AdvertisedPort, protocol: "HTTP" | "TCP") => ({
  name: listenerName(port),
  port: port.port,
  protocol,
  allowedRoutes: { namespaces: { from: "Same" as const } },
});

function rulesOf(port: AdvertisedPort, input: EgressInput): TranslatedRules {
  const { service } = input;
  const http = input.rules?.spec.http;
  if (http !== undefined)
    return translateRules(http.rules, {
      service,
      port: port.port,
      carriage: "HTTP",
      referable: input.referable,
    });
  const found = dummyOf(input);
  if ("problem" in found)
    return { rules: [closedRule(service.name)], refusals: [], unresolved: [found.problem] };
  return {
    rules: [defaultRule({ ref: found.ref, hostname: clusterHostname(service), servicePort: port.port })],
    refusals: [],
    unresolved: [],
  };
}

/** The dummy of the policy that holds where no rule says so. */
function dummyOf({
  choice,
  dummies,
  policies,
}: EgressInput): { readonly ref: RouteRef } | { readonly problem: Problem } {
  if ("problem" in choice) return choice;
  const name = dummies.get(choice.policy);
  const port = policies.accepted.get(choice.policy)?.spec.port;
  if (name !== undefined && port !== undefined)
    return { ref: { group: "", kind: "Service", name, namespace: dummyNamespace, port } };
  const message = `The name of the dummy Service over "${choice.policy}" is held by a Service in namespace "${dummyNamespace}" that is not mc-wan's. Remove that one.`;
  return { problem: { reason: reasons.NotOurs, message } };
}

function distinct(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter(({ message }) => !seen.has(message) && seen.add(message));
}
