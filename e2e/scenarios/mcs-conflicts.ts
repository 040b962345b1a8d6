/** Two clusters that export one service and disagree: the oldest export's word holds, and every export says so. */
import type { Claim } from "../claim.ts";
import { must } from "../claim.ts";
import { conflictAtAll, exportedMaps, exportTwice, hasMaps, portsOf, sameList } from "../mcs-exports.ts";
import { exportOf, headless, helloPorts, helloService } from "../mcs-manifests.ts";
import { exportCondition, importsThat, unexport } from "../mcs.ts";

const mapsConflict: Claim = {
  title:
    "exported labels and annotations that differ: Conflict at both exports, and the import has the oldest's",
  prove: async (environment) => {
    const name = "maps-differ";
    const clusters = await exportTwice(environment, name, [
      [helloService(name), exportOf(name, { spec: exportedMaps(1) })],
      [helloService(name), exportOf(name, { spec: exportedMaps(2) })],
    ]);
    const messages = await conflictAtAll(environment, name, { clusters, reason: "LabelsConflict" });
    await conflictAtAll(environment, name, { clusters, reason: "AnnotationsConflict" });
    const imports = await importsThat(environment, name, {
      what: "the oldest's labels",
      holds: (found) => hasMaps(found, 1),
    });
    must(!imports.some((found) => hasMaps(found, 2)), "the younger's labels are there too", { imports });
    return { messages };
  },
};

function mergesPorts(
  title: string,
  { name, second, expected }: { name: string; second: typeof helloPorts; expected: readonly string[] },
): Claim {
  return {
    title,
    prove: async (environment) => {
      const clusters = await exportTwice(environment, name, [
        [helloService(name), exportOf(name)],
        [helloService(name, { ports: second }), exportOf(name)],
      ]);
      const messages = await conflictAtAll(environment, name, { clusters, reason: "PortConflict" });
      const imports = await importsThat(environment, name, {
        what: expected.join(),
        holds: (found) => sameList(portsOf(found), expected),
      });
      return { ports: imports[0]?.spec.ports, messages };
    },
  };
}

const typeConflict: Claim = {
  title:
    "headless in one cluster and not in the other: Conflict at both exports, and the oldest's type everywhere",
  prove: async (environment) => {
    const name = "types";
    const clusters = await exportTwice(environment, name, [
      [helloService(name), exportOf(name)],
      [helloService(name, headless), exportOf(name)],
    ]);
    const messages = await conflictAtAll(environment, name, { clusters, reason: "TypeConflict" });
    await importsThat(environment, name, {
      what: "type ClusterSetIP",
      holds: ({ spec }) => spec.type === "ClusterSetIP",
    });
    return { messages };
  },
};

const oldestDeleted: Claim = {
  title:
    "when the oldest export goes, the next oldest's word holds, without a conflict, at the same import and address",
  prove: async (environment) => {
    const name = "oldest";
    const ports = [{ name: "tcp", port: 43 }];
    const [first, second] = await exportTwice(environment, name, [
      [helloService(name), exportOf(name)],
      [helloService(name, { ports }), exportOf(name)],
    ]);
    await exportCondition(environment, { cluster: second, name }, { type: "Conflict", status: "True" });
    const before = await importsThat(environment, name, {
      what: "the oldest's ports",
      holds: (found) => portsOf(found).includes("tcp/TCP/42"),
    });
    await unexport(environment, first, name);
    const after = await importsThat(environment, name, {
      what: "the other's ports",
      holds: (found) => sameList(portsOf(found), ["tcp/TCP/43"]),
    });
    await exportCondition(environment, { cluster: second, name }, { type: "Conflict", status: "False" });
    const same = before.every(({ spec, metadata }, index) => {
      const now = after[index];
      return metadata.uid === now?.metadata.uid && sameList(spec.ips ?? [], now.spec.ips ?? []);
    });
    must(same, "the import or its address changed", { before, after });
    return { ips: after.map(({ spec }) => spec.ips) };
  },
};

/** All of them. */
export const conflictClaims: readonly Claim[] = [
  mapsConflict,
  mergesPorts(
    "ports that only one of two clusters has are united, SCTP too, and both exports have Conflict",
    {
      name: "union",
      second: [helloPorts[0] ?? { name: "tcp", port: 42 }, { name: "stcp", port: 142, protocol: "SCTP" }],
      expected: ["tcp/TCP/42", "udp/UDP/42", "stcp/SCTP/142"],
    },
  ),
  mergesPorts("a port name that stands for two numbers has the oldest's, and both exports have Conflict", {
    name: "clash",
    second: [{ name: "tcp", port: 43 }],
    expected: ["tcp/TCP/42", "udp/UDP/42"],
  }),
  typeConflict,
  oldestDeleted,
];
