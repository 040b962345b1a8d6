/**
 * Fleets of Envoys: what has to be deployed so that Gateways of class `mc-wan` are carried. Two shared pools for the
 * Gateways that mc-wan makes, and one fleet for each Gateway of a user.
 */
import { reasons } from "../api/conditions.ts";
import type { DesiredObject, FleetName, ServedGateway, ServedListenerSet } from "../model/desired.ts";
import type { ObjectMeta, OwnerReference } from "../model/kube-object.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import {
  annotations,
  derivedLabel,
  derivedName,
  doorFolder,
  egressPool,
  group,
  gatewayClassName,
  hashedName,
  ingressPool,
  labels,
  systemNamespace,
  tokenAudience,
} from "../model/names.ts";
import { doorFiles, envoyBootstrap } from "./envoy-bootstrap.ts";
import { gatewayAddresses, type AddressService } from "./gateway-addresses.ts";
import { adminPort, containerPort, readyPort } from "../model/container-ports.ts";
import { isOurs, metadataOf, typeOf } from "./owners.ts";
import type { Problem } from "../model/problem.ts";
import type { Settings, World } from "../model/world.ts";

/** A set of Envoys that get the same configuration. */
export interface Fleet {
  /** node.cluster of its Envoys, and a label of its Pods. */
  readonly name: FleetName;
  readonly namespace: string;
  /** Name of its Deployment, Service, ServiceAccount and PodDisruptionBudget. */
  readonly objectName: string;
  readonly serviceType: "ClusterIP" | "NodePort" | "LoadBalancer";
  /** Local: a node gives what arrives at it to its own Pods. */
  readonly externalTrafficPolicy?: "Local";
  /** Services beside its own, each with an address that was asked for. */
  readonly addressServices?: readonly AddressService[];
  /** Labels and annotations of all its objects, Pods included; ours win. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Ports of its Service, all TCP. */
  readonly ports: readonly { readonly name: string; readonly port: number; readonly nodePort?: number }[];
  readonly owner: OwnerReference | undefined;
}

/** The shared pools. The egress is reached at its Pods, through the shadows' slices. */
export function sharedPools(
  ingress: Pick<Fleet, "serviceType" | "externalTrafficPolicy" | "ports">,
  owner: OwnerReference | undefined,
): Fleet[] {
  const egress = { serviceType: "ClusterIP", ports: [{ name: "ready", port: readyPort }] } as const;
  const pool = (name: string, service: typeof ingress): Fleet => ({
    name,
    namespace: systemNamespace,
    objectName: name,
    owner,
    ...service,
  });
  return [pool(ingressPool, ingress), pool(egressPool, egress)];
}

/** Name of the fleet of a user's Gateway; a label's value, so at most 63 characters. */
function fleetName(namespace: string, gateway: string): FleetName {
  const plain = `${namespace}.${gateway}`;
  // Without a dot: with one it could be the plain form of a Gateway in another namespace, whose Envoys would get all of this one.
  return plain.length <= 63 ? plain : hashedName(namespace, gateway).replaceAll(".", "-");
}

/** Name of all objects that are deployed for a user's Gateway. */
export const fleetObjectName = (gateway: string): string => derivedLabel(gateway, "mc-wan");

/** Whether a Gateway is a user's and ours to carry. */
export function isUsersGateway(gateway: ObjectTypes["Gateway"]): boolean {
  return (
    gateway.spec.gatewayClassName === gatewayClassName &&
    !isOurs(gateway) &&
    gateway.metadata.deletionTimestamp === undefined
  );
}

/** A user's labels or annotations without those of our own group: these tell us whose an object is. */
function withoutOurs(words: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(words).filter(([key]) => !key.startsWith(`${group}/`)));
}

/** The fleet of a user's Gateway. ClusterIP unless the Gateway's annotation asks for more. */
export function fleetOf(
  gateway: ObjectTypes["Gateway"],
  listenerSets: readonly ServedListenerSet[],
): Omit<Fleet, "owner" | "addressServices"> {
  const { name, namespace = "" } = gateway.metadata;
  const asked = gateway.metadata.annotations?.[annotations.serviceType];
  const { infrastructure } = gateway.spec;
  const listeners = listenerSets.flatMap(({ set, isAllowed }) => (isAllowed ? set.spec.listeners : []));
  const asks = [...gateway.spec.listeners, ...listeners];
  const numbers = [...new Set(asks.map(({ port }) => port))].sort((a, b) => a - b);
  return {
    name: fleetName(namespace, name),
    namespace,
    objectName: fleetObjectName(name),
    serviceType: asked === "NodePort" || asked === "LoadBalancer" ? asked : "ClusterIP",
    labels: { ...withoutOurs(infrastructure?.labels), [labels.gatewayName]: derivedName(name) },
    annotations: withoutOurs(infrastructure?.annotations),
    ports: numbers.map((port) => ({ name: `port-${port}`, port })),
  };
}

/** A user's Gateway, with the addresses at which its fleet is reached. */
export function servedGateway(
  gateway: ObjectTypes["Gateway"],
  listenerSets: readonly ServedListenerSet[],
  world: World,
): { readonly served: ServedGateway; readonly addressServices: readonly AddressService[] } {
  const fleet = fleetOf(gateway, listenerSets);
  const { services, addresses, refusal, problem } = gatewayAddresses(gateway, fleet, world);
  const refused = parametersProblem(gateway.spec.infrastructure?.parametersRef) ?? refusal;
  const served = {
    gateway,
    fleet: fleet.name,
    addresses,
    ...(refused === undefined ? {} : { refusal: refused }),
    ...(problem === undefined ? {} : { addressProblem: problem }),
    ...(listenerSets.length === 0 ? {} : { listenerSets }),
  };
  return { served, addressServices: services };
}

/** No kind of parameters is known, neither of a Gateway nor of a GatewayClass. */
export function parametersProblem(
  ref: { readonly group: string; readonly kind: string } | undefined,
): Problem | undefined {
  if (ref === undefined) return undefined;
  const message = `Parameters of kind ${ref.kind} in group "${ref.group}" are not supported: leave parametersRef out.`;
  return { reason: reasons.InvalidParameters, message };
}

/**
 * Deployment, Service, ServiceAccount and PodDisruptionBudget of a fleet. `bundle` is by what its Envoys check the controller;
 * while there is none they could not be served, and there is no Deployment.
 */
export function fleetObjects(fleet: Fleet, settings: Settings, bundle: string | undefined): DesiredObject[] {
  const selector = { [labels.fleet]: fleet.name };
  const named = (name: string): ObjectMeta =>
    metadataOf({
      namespace: fleet.namespace,
      name,
      owner: fleet.owner,
      labels: { ...fleet.labels, ...selector },
      annotations: fleet.annotations ?? {},
    });
  const metadata = named(fleet.objectName);
  return [
    {
      kind: "ServiceAccount",
      object: { ...typeOf("ServiceAccount"), metadata, automountServiceAccountToken: false },
    },
    { kind: "Service", object: { ...typeOf("Service"), metadata, spec: serviceSpec(fleet) } },
    ...(fleet.addressServices ?? []).map(({ name, address }): DesiredObject => {
      const asked =
        fleet.serviceType === "LoadBalancer" ? { loadBalancerIP: address } : { clusterIP: address };
      const spec = { ...serviceSpec(fleet), ...asked };
      return { kind: "Service", object: { ...typeOf("Service"), metadata: named(name), spec } };
    }),
    {
      kind: "PodDisruptionBudget",
      object: {
        ...typeOf("PodDisruptionBudget"),
        metadata,
        spec: { maxUnavailable: 1, selector: { matchLabels: selector } },
      },
    },
    ...(bundle === undefined
      ? []
      : [
          {
            kind: "Deployment" as const,
            object: {
              ...typeOf("Deployment"),
              metadata,
              spec: deploymentSpec(fleet, { settings, selector, bundle }),
            },
          },
        ]),
  ];
}

function serviceSpec(fleet: Fleet): object {
  return {
    type: fleet.serviceType,
    ...(fleet.externalTrafficPolicy && { externalTrafficPolicy: fleet.externalTrafficPolicy }),
    selector: { [labels.fleet]: fleet.name },
    ports: fleet.ports.map(({ name, port, nodePort }) => ({
      name,
      protocol: "TCP",
      port,
      targetPort: containerPort(port),
      ...(nodePort !== undefined && { nodePort }),
    })),
  };
}

const post = (path: string): string =>
  `exec 3<>/dev/tcp/127.0.0.1/${adminPort}; printf 'POST ${path} HTTP/1.1\\r\\nHost: admin\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3 >/dev/null; exec 3>&-`;

/** Not ready first, so that no more connections come; then GOAWAY, and time for what is under way (specification, section 5, "Leaving"). */
const leave = [post("/healthcheck/fail"), "sleep 5", post("/drain_listeners?graceful"), "sleep 20"].join(
  "; ",
);

function deploymentSpec(
  fleet: Fleet,
  {
    settings,
    selector,
    bundle,
  }: {
    readonly settings: Settings;
    readonly selector: Readonly<Record<string, string>>;
    readonly bundle: string;
  },
): object {
  const files = Object.entries(doorFiles(doorFolder, bundle));
  return {
    replicas: settings.poolReplicas,
    selector: { matchLabels: selector },
    strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    template: {
      metadata: {
        labels: { ...fleet.labels, ...selector, [labels.managedBy]: labels.managedByValue },
        // No object beside the Deployment: so none has to be written where users' Gateways are. Other authorities are new Pods.
        annotations: {
          ...fleet.annotations,
          ...Object.fromEntries(files.map(([name, text]) => [annotations.doorFile(name), text])),
        },
      },
      spec: {
        serviceAccountName: fleet.objectName,
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 40,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 65532,
          runAsGroup: 65532,
          seccompProfile: { type: "RuntimeDefault" },
          // Users' Gateways may listen at 80: allowed by the restricted profile, and only inside the Pod.
          ...(fleet.ports.some(({ port }) => port < 1024)
            ? { sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }] }
            : {}),
        },
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: "kubernetes.io/hostname",
            whenUnsatisfiable: "ScheduleAnyway",
            labelSelector: { matchLabels: selector },
          },
        ],
        containers: [envoyContainer(fleet, settings)],
        volumes: [
          {
            name: "door",
            projected: {
              sources: [
                { serviceAccountToken: { path: "token", audience: tokenAudience, expirationSeconds: 3600 } },
                {
                  downwardAPI: {
                    items: files.map(([name]) => ({
                      path: name,
                      fieldRef: {
                        apiVersion: "v1",
                        fieldPath: `metadata.annotations['${annotations.doorFile(name)}']`,
                      },
                    })),
                  },
                },
              ],
            },
          },
        ],
      },
    },
  };
}

function envoyContainer(fleet: Fleet, settings: Settings): object {
  return {
    name: "envoy",
    image: settings.envoyImage,
    args: [
      "--config-yaml",
      JSON.stringify(envoyBootstrap(settings.xdsAddress)),
      "--service-cluster",
      fleet.name,
      "--service-node",
      "$(POD_NAME)",
      "--drain-time-s",
      "20",
      "--drain-strategy",
      "immediate",
    ],
    env: [{ name: "POD_NAME", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } } }],
    ports: [{ name: "ready", containerPort: readyPort, protocol: "TCP" }],
    readinessProbe: {
      httpGet: { path: "/ready", port: readyPort, scheme: "HTTP" },
      periodSeconds: 1,
      timeoutSeconds: 1,
      // A busy node answers late now and then; a Pod that leaves is out by its deletion, not by its probe.
      failureThreshold: 3,
      successThreshold: 1,
    },
    volumeMounts: [{ name: "door", mountPath: doorFolder, readOnly: true }],
    lifecycle: { preStop: { exec: { command: ["bash", "-c", leave] } } },
    resources: { requests: { cpu: "100m", memory: "128Mi" } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
  };
}
