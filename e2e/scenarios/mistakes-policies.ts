/** Mistakes in WANPolicies. */
import { must } from "../claim.ts";
import { wanPolicy } from "../manifests.ts";
import { isRefused, isTold } from "../mistake.ts";

const withPort = (port: number): { object: ReturnType<typeof wanPolicy>; says: RegExp } => ({
  object: wanPolicy("mistake", { tunnel: "business", port }),
  says: /1024-19999 or 30000-65535.*choose a free port/,
});

export const policyMistakes = [
  isTold(
    "of two WANPolicies on one port the younger is told, and is in no Gateway",
    ({ exporters: [exporter], kubectl }) => {
      must(exporter !== undefined, "there is no exporter", {});
      return {
        placed: [{ in: exporter, objects: [wanPolicy("mistake-twin", { tunnel: "business", port: 31111 })] }],
        told: [
          {
            in: exporter,
            object: "wanpolicy/mistake-twin",
            type: "Accepted",
            reason: "PortConflict",
            says: [/31111/, /sd-wan-priority-high/, /Give this one a port of its own/],
          },
        ],
        also: async () => {
          const gateways = await kubectl.run(exporter.context, ["get", "gateways", "-A", "-o", "json"]);
          must(gateways.includes("sd-wan-priority-high"), "no Gateway has the older policy", {});
          must(!gateways.includes("mistake-twin"), "a Gateway has the younger policy", {});
          return {};
        },
      };
    },
  ),
  isRefused(
    "the API server refuses the ports 0, 22, 25000 and 65536 for a WANPolicy",
    [0, 22, 25_000, 65_536].map(withPort),
  ),
  isRefused("the API server refuses Envoy's own port, a long name and a DSCP out of range", [
    {
      object: wanPolicy("mistake", { tunnel: "business", port: 9901 }),
      says: /9901.*used by the gateways.*choose another/s,
    },
    {
      object: wanPolicy("m".repeat(41), { tunnel: "business", port: 31119 }),
      says: /DNS label.*at most 40/s,
    },
    {
      object: wanPolicy("mistake", { tunnel: "business", port: 31119, dscp: 64 }),
      says: /dscp.*less than or equal to 63/s,
    },
  ]),
];
