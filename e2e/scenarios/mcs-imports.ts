/**
 * What KEP-1645 says of ServiceExports, ServiceImports and EndpointSlices: the claims of the official conformance suite that speak of
 * objects, and how an import goes through the deletion of what it stands for. No traffic.
 */
import type { InstallTarget } from "../../src/lab/install.ts";
import { kinds } from "../../src/model/kinds.ts";
import type { Claim } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import { clustersOf, exportedMaps, exportTwice, hasMaps, portsOf, sameList } from "../mcs-exports.ts";
import { exportOf, headless, helloDeployment, helloService, mcsNamespace } from "../mcs-manifests.ts";
import {
  applyIn,
  exportCondition,
  importIn,
  importsThat,
  mcsSlicesIn,
  noImports,
  seen,
  stays,
  suiteWaitMs,
  unexport,
} from "../mcs.ts";
import type { SeenImport } from "../mcs.ts";
import type { Manifest } from "../mistake.ts";

const livesWithExports: Claim = {
  title: "an import is there while at least one cluster exports, in every cluster, and no longer",
  prove: async (environment) => {
    const name = "lives";
    const [first, second] = await exportTwice(environment, name, [
      [helloService(name), exportOf(name)],
      [helloService(name), exportOf(name)],
    ]);
    const [before] = await importsThat(environment, name, {
      what: "both clusters",
      holds: ({ status }) =>
        sameList(
          (status?.clusters ?? []).map(({ cluster }) => cluster),
          [first.id, second.id],
        ),
    });
    await unexport(environment, first, name);
    const [after] = await importsThat(environment, name, {
      what: "the cluster that is left",
      holds: ({ status }) =>
        sameList(
          (status?.clusters ?? []).map(({ cluster }) => cluster),
          [second.id],
        ),
    });
    await stays("the import", async () => (await importIn(environment, first, name)) !== undefined);
    must(before?.metadata.uid === after?.metadata.uid, "the import was made anew", { before, after });
    must(sameList(before?.spec.ips ?? [], after?.spec.ips ?? []), "its address changed", { before, after });
    await unexport(environment, second, name);
    await noImports(environment, name);
    return { ips: after?.spec.ips };
  },
};

const onlyExportedMaps: Claim = {
  title:
    "labels and annotations that an export names are the import's, those of the Service and of the export itself are not",
  prove: async (environment) => {
    const name = "maps";
    const [first] = clustersOf(environment);
    await applyIn(environment, first, helloService(name), exportOf(name, { spec: exportedMaps(1) }));
    const imports = await importsThat(environment, name, {
      what: "the exported labels",
      holds: (found) => hasMaps(found, 1),
    });
    for (const { metadata } of imports)
      must(
        metadata.labels?.["not-exported"] === undefined &&
          metadata.annotations?.["not-exported"] === undefined,
        "what is not exported is there",
        { metadata },
      );
    return { labels: imports[0]?.metadata.labels, annotations: imports[0]?.metadata.annotations };
  },
};

const clusterSetIP: Claim = {
  title:
    "a ClusterIP Service: the export is Valid, and every cluster has an import of type ClusterSetIP with the Service's ports, affinity and traffic policies, until it is unexported",
  prove: async (environment) => {
    const name = "cluster-ip";
    const [first] = clustersOf(environment);
    await applyIn(environment, first, helloService(name), exportOf(name));
    await exportCondition(
      environment,
      { cluster: first, name },
      { type: "Valid", status: "True", reason: "Valid" },
    );
    const imports = await importsThat(environment, name, {
      what: "an address",
      holds: ({ spec }) => (spec.ips ?? []).length > 0,
    });
    for (const { spec } of imports) {
      must(spec.type === "ClusterSetIP", "it has another type", { spec });
      must(spec.sessionAffinity === "ClientIP", "the affinity differs", { spec });
      must(
        JSON.stringify(spec.sessionAffinityConfig) === JSON.stringify({ clientIP: { timeoutSeconds: 10 } }),
        "the affinity's time differs",
        { spec },
      );
      must(spec.internalTrafficPolicy === "Cluster", "internalTrafficPolicy differs", { spec });
      must(spec.trafficDistribution === "PreferClose", "trafficDistribution differs", { spec });
    }
    for (const found of imports)
      must(sameList(portsOf(found), ["tcp/TCP/42", "udp/UDP/42"]), "the ports differ", {
        found: portsOf(found),
      });
    await unexport(environment, first, name);
    await noImports(environment, name);
    return { spec: imports[0]?.spec };
  },
};

const addresses: Claim = {
  title:
    "a ClusterSetIP import has a valid address of each of its families, which is its cluster's shadow Service's",
  prove: async (environment) => {
    const name = "addressed";
    const [first] = clustersOf(environment);
    await applyIn(environment, first, helloService(name), exportOf(name));
    const imports = await importsThat(environment, name, {
      what: "an address",
      holds: ({ spec }) => (spec.ips ?? []).length > 0,
    });
    for (const [index, { spec }] of imports.entries()) {
      const cluster = environment.clusters[index] ?? first;
      const shadow = (await seen(environment, cluster, {
        kind: kinds.Service,
        name: `${name}-clusterset`,
      })) as {
        spec: { clusterIPs: string[]; ipFamilies: string[] };
      };
      must(
        JSON.stringify(spec.ips) === JSON.stringify(shadow.spec.clusterIPs) &&
          JSON.stringify(spec.ipFamilies) === JSON.stringify(shadow.spec.ipFamilies),
        "addresses and families are not the shadow's",
        { spec, shadow: shadow.spec },
      );
    }
    return { ips: imports.map(({ spec }) => spec.ips) };
  },
};

const headlessImport: Claim = {
  title:
    "a headless Service: every cluster has an import of type Headless without an address, until it is unexported",
  prove: async (environment) => {
    const name = "headless";
    const [first] = clustersOf(environment);
    await applyIn(environment, first, helloService(name, headless), exportOf(name));
    await importsThat(environment, name, {
      what: "type Headless",
      holds: ({ spec }) => spec.type === "Headless",
    });
    await stays(
      "its being without an address",
      async () => ((await importIn(environment, first, name))?.spec.ips ?? []).length === 0,
    );
    await unexport(environment, first, name);
    await noImports(environment, name);
    return {};
  },
};

const externalName: Claim = {
  title: "an ExternalName Service can't be exported: Valid is False, and no import comes",
  prove: async (environment) => {
    const name = "external";
    const [first] = clustersOf(environment);
    const service: Manifest = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace: mcsNamespace },
      spec: { type: "ExternalName", externalName: "example.com" },
    };
    await applyIn(environment, first, service, exportOf(name));
    const { reason, message } = await exportCondition(
      environment,
      { cluster: first, name },
      { type: "Valid", status: "False" },
    );
    await stays(
      "the absence of an import",
      async () => (await importIn(environment, first, name)) === undefined,
    );
    return { reason, message };
  },
};

const slices: Claim = {
  title:
    "every cluster has EndpointSlices for each source cluster, with the labels of the MCS API, until it is unexported",
  prove: async (environment) => {
    const name = "sliced";
    const [first, second] = clustersOf(environment);
    const ports = [{ name: "http", port: 42 }];
    for (const cluster of [first, second])
      await applyIn(
        environment,
        cluster,
        helloService(name, { ports }),
        helloDeployment(name),
        exportOf(name),
      );
    const evidence: Record<string, unknown> = {};
    for (const cluster of environment.clusters) {
      const { value: found } = await eventually(
        `slices of ${name} in ${cluster.id}`,
        suiteWaitMs,
        async () => {
          const list = await mcsSlicesIn(environment, cluster, name);
          const sources = list.map(
            ({ metadata }) => metadata.labels["multicluster.kubernetes.io/source-cluster"] ?? "",
          );
          const isReady = list.every(
            ({ endpoints }) =>
              endpoints.length > 0 && endpoints.every(({ conditions }) => conditions.ready === true),
          );
          return sameList([...new Set(sources)], [first.id, second.id]) && isReady ? list : undefined;
        },
      );
      for (const { metadata, addressType } of found) {
        must(
          metadata.labels["endpointslice.kubernetes.io/managed-by"] === "mc-wan",
          "it is managed by somebody else",
          { metadata },
        );
        must(
          metadata.labels["kubernetes.io/service-name"] === undefined,
          "kube-proxy would take it for a Service's",
          { metadata },
        );
        must(addressType === "IPv4", "it is of another family", { addressType });
      }
      evidence[cluster.id] = found.map(({ metadata }) => metadata.name);
    }
    for (const cluster of [first, second]) await unexport(environment, cluster, name);
    for (const cluster of environment.clusters)
      await eventually(`no slices of ${name} in ${cluster.id}`, suiteWaitMs, async () =>
        (await mcsSlicesIn(environment, cluster, name)).length === 0 ? true : undefined,
      );
    return evidence;
  },
};

const serviceRecreated: Claim = {
  title:
    "an exported Service that is deleted: Valid=False NoService and no import; made again, it is imported again",
  prove: async (environment) => {
    const name = "recreated";
    const [first] = clustersOf(environment);
    await applyIn(environment, first, helloService(name), exportOf(name));
    await importsThat(environment, name, { what: "the export" });
    await environment.kubectl.run(first.context, ["delete", "service", "-n", mcsNamespace, name]);
    const { message } = await exportCondition(
      environment,
      { cluster: first, name },
      { type: "Valid", status: "False", reason: "NoService" },
    );
    await noImports(environment, name);
    await applyIn(environment, first, helloService(name));
    await exportCondition(environment, { cluster: first, name }, { type: "Valid", status: "True" });
    await importsThat(environment, name, {
      what: "an address",
      holds: ({ spec }) => (spec.ips ?? []).length > 0,
    });
    return { message };
  },
};

const namespaceRecreated: Claim = {
  title:
    "a namespace that goes in an importing cluster takes the import along; made again, it has the import again",
  prove: async (environment) => {
    const [name, other] = ["moved", "mcs-claims-moved"];
    const [first, second] = clustersOf(environment);
    const space: Manifest = { apiVersion: "v1", kind: "Namespace", metadata: { name: other } };
    const there = (cluster: InstallTarget) => async (): Promise<true | undefined> =>
      (
        await environment.kubectl.attempt(cluster.context, [
          "get",
          "-n",
          other,
          `serviceimports.multicluster.x-k8s.io/${name}`,
        ])
      ).code === 0
        ? true
        : undefined;
    const exported = [helloService(name), exportOf(name)].map((object) => ({
      ...object,
      metadata: { ...object.metadata, namespace: other },
    }));
    try {
      await applyIn(environment, first, space);
      await applyIn(environment, first, ...exported);
      await applyIn(environment, second, space);
      await eventually(`the import in ${second.id}`, suiteWaitMs, there(second));
      await environment.kubectl.run(second.context, ["delete", "namespace", other, "--timeout=60s"]);
      await stays("the import of the exporting cluster", async () => (await there(first)()) === true);
      await applyIn(environment, second, space);
      const { afterMs } = await eventually(`the import in ${second.id}, again`, suiteWaitMs, there(second));
      return { afterMs };
    } finally {
      for (const cluster of [first, second])
        await environment.kubectl.attempt(cluster.context, [
          "delete",
          "namespace",
          other,
          "--ignore-not-found",
          "--timeout=60s",
        ]);
    }
  },
};

const bothVersions: Claim = {
  title: "an export in v1alpha1 does what one in v1beta1 does, and both versions of the import say the same",
  prove: async (environment) => {
    const name = "versions";
    const clusters = await exportTwice(environment, name, [
      [helloService(name), exportOf(name, { version: "v1alpha1", spec: exportedMaps(1) })],
      [helloService(name), exportOf(name, { version: "v1beta1", spec: exportedMaps(1) })],
    ]);
    for (const cluster of clusters)
      await exportCondition(environment, { cluster, name }, { type: "Conflict", status: "False" });
    const imports = await importsThat(environment, name, {
      what: "the exported labels",
      holds: (found) => hasMaps(found, 1),
    });
    for (const [index, cluster] of environment.clusters.entries()) {
      const kind = { ...kinds.McsServiceImport, apiVersion: "multicluster.x-k8s.io/v1alpha1" };
      const older = (await seen(environment, cluster, { kind, name })) as SeenImport;
      must(
        JSON.stringify(Object.entries(older.spec).sort()) ===
          JSON.stringify(Object.entries(imports[index]?.spec ?? {}).sort()),
        "the versions differ",
        { older, newer: imports[index] },
      );
    }
    return { spec: imports[0]?.spec };
  },
};

/** All of them. */
export const importClaims: readonly Claim[] = [
  livesWithExports,
  onlyExportedMaps,
  clusterSetIP,
  addresses,
  headlessImport,
  externalName,
  slices,
  serviceRecreated,
  namespaceRecreated,
  bothVersions,
];
