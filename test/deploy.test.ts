/** deploy/ and examples/ on a real API server: they can be applied, and the accounts may do what they have to and no more. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { parseAllDocuments } from "yaml";
import { kinds } from "../src/model/kinds.ts";
import type { KindInfo, KindName } from "../src/model/kinds.ts";
import { egressPool, ingressPool, labels, ownerCrd, systemNamespace } from "../src/model/names.ts";
import { homeKinds } from "../src/model/world.ts";
import { apiRequest } from "./api-request.ts";
import type { ApiRequest } from "./api-request.ts";
import { startKubeApiServer, startTimeoutMs } from "./kube-api-server.ts";
import type { KubeApiServer } from "./kube-api-server.ts";

const root = join(import.meta.dirname, "..");
const controller = `system:serviceaccount:${systemNamespace}:mc-wan-controller`;

/** Kinds of which the controller writes objects in any namespace. */
const written: readonly KindName[] = [
  "Service",
  "Endpoints",
  "EndpointSlice",
  "ServiceAccount",
  "Deployment",
  "PodDisruptionBudget",
  "Gateway",
  "HTTPRoute",
  "ReferenceGrant",
  "McsServiceImport",
  "ServiceAdvertisement",
  "GatewayAdvertisement",
];

/** Kinds whose status it writes. */
const withStatus: readonly KindName[] = [
  "GatewayClass",
  "Gateway",
  "HTTPRoute",
  "ListenerSet",
  "GRPCRoute",
  "TLSRoute",
  "BackendTLSPolicy",
  "ServiceExport",
  "McsServiceImport",
  "WANPolicy",
  "ServiceImport",
  "GatewayAdvertisement",
];

interface NetworkPolicy {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly podSelector: object;
    readonly ingress: readonly {
      readonly from?: object;
      readonly ports: readonly { readonly port: number }[];
    }[];
  };
}

interface Access {
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly verb: string;
  readonly namespace?: string;
  readonly name?: string;
}

const accessTo = ({ apiVersion, plural }: KindInfo, verb: string): Access => ({
  group: apiVersion.includes("/") ? (apiVersion.split("/", 1)[0] ?? "") : "",
  resource: plural,
  verb,
});
const said = (access: Access): string => Object.values(access).join(" ");

describe("deploy and examples on a real API server", function () {
  this.timeout(startTimeoutMs);
  let server: KubeApiServer;
  let request: ApiRequest;
  const run = (...args: string[]): Promise<string> => server.kubectl.run(server.context, args);
  const may = async (user: string, access: Access): Promise<boolean> => {
    const groups = [
      "system:serviceaccounts",
      `system:serviceaccounts:${systemNamespace}`,
      "system:authenticated",
    ];
    const { body } = await request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: { user, groups, resourceAttributes: access },
    });
    return (body["status"] as { allowed: boolean }).allowed;
  };
  const refused = async (user: string, accesses: readonly Access[]): Promise<string[]> => {
    const answers = await Promise.all(
      accesses.map(async (access) => [said(access), await may(user, access)] as const),
    );
    return answers.filter(([, isAllowed]) => !isAllowed).map(([access]) => access);
  };

  before(async () => {
    server = await startKubeApiServer();
    request = apiRequest(server);
    for (const api of ["gateway-api", "mcs-api", "about-api"]) {
      await run("apply", "--server-side", "-k", join(root, "crds", api));
    }
    await run("wait", "--for=condition=Established", "crd", "--all");
    await run("apply", "--server-side", "-k", join(root, "deploy"));
    await run("wait", "--for=condition=Established", "crd", "--all");
  });
  after(async () => {
    await server.stop();
  });

  it("can be applied again without a change", async () => {
    await run("diff", "--server-side", "-k", join(root, "deploy"));
  });

  it("lets the controller read every kind of the World, everywhere, but those of components", async () => {
    const elsewhere: readonly string[] = ["TlsSecret", "ConfigMap", "EnvoyProxy", "IdentitySecret"];
    const accesses = homeKinds
      .filter((kind) => !elsewhere.includes(kind))
      .flatMap((kind) =>
        ["list", "watch"].map((verb) => ({
          ...accessTo(kinds[kind], verb),
          ...(kind === "CustomResourceDefinition" ? { name: ownerCrd } : {}),
        })),
      );
    expect(await refused(controller, accesses)).to.deep.equal([]);
  });

  it("lets the controller write what it makes and the status of what it judges", async () => {
    const accesses = [
      ...written.flatMap((kind) => ["create", "patch"].map((verb) => accessTo(kinds[kind], verb))),
      ...written
        .filter((kind) => kind !== "GatewayAdvertisement")
        .map((kind) => accessTo(kinds[kind], "delete")),
      ...withStatus.map((kind) => ({ ...accessTo(kinds[kind], "patch"), subresource: "status" })),
      { group: "", resource: "events", verb: "create" },
    ];
    expect(await refused(controller, accesses)).to.deep.equal([]);
  });

  it("lets the controller keep Secrets and hold the Lease in its own namespace, and only there", async () => {
    const own = [
      ...["get", "create", "update", "delete"].map((verb) => ({ group: "", resource: "secrets", verb })),
      ...["get", "create", "update"].map((verb) => ({
        group: "coordination.k8s.io",
        resource: "leases",
        verb,
      })),
    ];
    expect(
      await refused(
        controller,
        own.map((access) => ({ ...access, namespace: systemNamespace })),
      ),
    ).to.deep.equal([]);
    for (const namespace of ["default", "kube-system", "mc-wan", ""]) {
      expect(
        await refused(
          controller,
          own.map((access) => ({ ...access, namespace })),
        ),
      ).to.have.length(own.length);
    }
  });

  it("lets the controller look for certificates everywhere with the component for it only, and never change them", async () => {
    const accesses = ["secrets", "configmaps"].flatMap((resource) =>
      ["list", "watch"].map((verb) => ({ group: "", resource, verb, namespace: "default" })),
    );
    const others = ["get", "create", "patch", "update", "delete"].map((verb) => ({
      group: "",
      resource: "secrets",
      verb,
      namespace: "default",
    }));
    const folder = join(root, "deploy/components/https-gateways");
    expect(await refused(controller, accesses)).to.deep.equal(accesses.map(said));
    await run("apply", "--server-side", "-k", folder);
    expect(await refused(controller, accesses)).to.deep.equal([]);
    expect(await refused(controller, others)).to.deep.equal(others.map(said));
    await run("delete", "-k", folder);
    expect(await refused(controller, accesses)).to.deep.equal(accesses.map(said));
  });

  it("lets the controller read EnvoyProxies, and write endpoints as OpenShift wants it, with the components for it", async () => {
    const accesses = [
      ...["list", "watch"].map((verb) => accessTo(kinds.EnvoyProxy, verb)),
      accessTo(kinds.GatewayAdvertisement, "delete"),
      { group: "", resource: "endpoints", subresource: "restricted", verb: "create" },
      { group: "discovery.k8s.io", resource: "endpointslices", subresource: "restricted", verb: "create" },
    ];
    const folders = ["openshift", "gateway-api-data-plane"].map((name) =>
      join(root, "deploy/components", name),
    );
    expect(await refused(controller, accesses)).to.deep.equal(accesses.map(said));
    for (const folder of folders) await run("apply", "--server-side", "-k", folder);
    expect(await refused(controller, accesses)).to.deep.equal([]);
    for (const folder of folders) await run("delete", "-k", folder);
  });

  it("keeps the controller from what belongs to others", async () => {
    const accesses: Access[] = [
      ...[
        "Namespace",
        "Node",
        "ServiceCIDR",
        "Pod",
        "GatewayClass",
        "ServiceExport",
        "ClusterProperty",
        "WANPolicy",
        "ServiceImport",
      ].flatMap((kind) =>
        ["create", "patch", "update", "delete"].map((verb) => accessTo(kinds[kind as KindName], verb)),
      ),
      ...["create", "patch", "delete", "list"].map((verb) => accessTo(kinds.CustomResourceDefinition, verb)),
      ...["create", "patch", "update", "delete"].map((verb) => accessTo(kinds.Secret, verb)),
      ...written.map((kind) => accessTo(kinds[kind], "deletecollection")),
      { group: "", resource: "pods", subresource: "exec", verb: "create" },
      { group: "", resource: "serviceaccounts", subresource: "token", verb: "create" },
      { group: "rbac.authorization.k8s.io", resource: "clusterroles", verb: "patch" },
      { group: "rbac.authorization.k8s.io", resource: "clusterroles", verb: "escalate" },
      { group: "", resource: "users", verb: "impersonate" },
    ];
    expect(await refused(controller, accesses)).to.deep.equal(accesses.map(said));
  });

  it("lets the controller see its nodes' ranges, and nothing of nodes beyond reading", async () => {
    const node = accessTo(kinds.Node, "list");
    expect(await refused(controller, [node])).to.deep.equal([]);
    const others: Access[] = [
      { ...node, subresource: "proxy" },
      { ...node, subresource: "stats" },
      { ...node, subresource: "status", verb: "patch" },
      { ...accessTo(kinds.ServiceCIDR, "patch"), subresource: "status" },
    ];
    expect(await refused(controller, others)).to.deep.equal(others.map(said));
  });

  it("has Pods that the strictest Pod Security standard admits", async () => {
    const deployment = await server.kubectl.json(server.context, [
      "get",
      "deployment",
      "-n",
      systemNamespace,
      "mc-wan-controller",
    ]);
    await admitPod(deployment);
  });

  it("lets only gateways and controllers reach the configuration port, and only Pods of the cluster the egress", async () => {
    const list = (await server.kubectl.json(server.context, [
      "get",
      "networkpolicies",
      "-n",
      systemNamespace,
    ])) as { items: NetworkPolicy[] };
    const of = (name: string): NetworkPolicy["spec"] =>
      list.items.find(({ metadata }) => metadata.name === name)?.spec ?? { podSelector: {}, ingress: [] };
    const xds = of("mc-wan-controller").ingress.filter(({ ports }) =>
      ports.some(({ port }) => port === 18_000),
    );
    expect(xds).to.have.length(1);
    expect(xds[0]?.from).to.deep.equal([
      {
        namespaceSelector: {},
        podSelector: { matchExpressions: [{ key: labels.fleet, operator: "Exists" }] },
      },
      { podSelector: { matchLabels: { "app.kubernetes.io/name": "mc-wan-controller" } } },
    ]);
    const egress = of("mc-wan-egress");
    expect(egress.podSelector).to.deep.equal({ matchLabels: { [labels.fleet]: egressPool } });
    expect(egress.ingress.map(({ from }) => from)).to.deep.equal([[{ namespaceSelector: {} }]]);
    expect(of("mc-wan-ingress").podSelector).to.deep.equal({ matchLabels: { [labels.fleet]: ingressPool } });
  });

  it("never carries the label by which the controller knows what it may remove", async () => {
    const text = await run("kustomize", join(root, "deploy"));
    const all = parseAllDocuments(text).map(
      (document) => document.toJS() as { metadata: { labels?: Record<string, string> } },
    );
    expect(all).to.have.length.above(20);
    for (const { metadata } of all) {
      expect(metadata.labels).to.not.have.property(labels.managedBy);
      expect(metadata.labels).to.include({ "app.kubernetes.io/part-of": "mc-wan" });
    }
  });

  for (const example of readdirSync(join(root, "examples"))) {
    it(`takes the example ${example}, whose Pods the strictest Pod Security standard admits`, async () => {
      const folder = join(root, "examples", example);
      for (const role of ["all", "exporter", "consumer"])
        await run("apply", "--server-side", "-k", join(folder, role));
      const list = (await server.kubectl.json(server.context, ["get", "deployments", "-A"])) as {
        items: unknown[];
      };
      for (const deployment of list.items) await admitPod(deployment);
      for (const role of ["consumer", "exporter"]) await run("delete", "-k", join(folder, role));
    });
  }

  it("is what the READMEs of the examples apply", () => {
    for (const example of readdirSync(join(root, "examples"))) {
      const text = readFileSync(join(root, "examples", example, "README.md"), "utf8");
      for (const role of ["all", "exporter", "consumer"])
        expect(text).to.include(`apply --server-side -k ${role}`);
    }
  });

  /** Pod Security is judged on Pods, of which there are none without controllers: one is made of the template. */
  async function admitPod(deployment: unknown): Promise<void> {
    const { spec } = deployment as { spec: { template: { metadata: object; spec: object } } };
    const { status, message } = await request(
      "POST",
      `/api/v1/namespaces/${systemNamespace}/pods?dryRun=All`,
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { ...spec.template.metadata, name: "try" },
        spec: { ...spec.template.spec, serviceAccountName: undefined },
      },
    );
    expect(status, message).to.equal(201);
  }
});
