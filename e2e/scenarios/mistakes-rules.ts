/** Mistakes in L7 ServiceImports. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Claim } from "../claim.ts";
import { must } from "../claim.ts";
import { overPolicy, namespace, rules, service, serviceExport } from "../manifests.ts";
import { applyObjects, deleteObjects, isRefused, isTold } from "../mistake.ts";
import { objectsOfService } from "../objects.ts";
import { exporterOf } from "./mistakes-exports.ts";

const at = { name: "ruled", namespace: "secure" };
const good = overPolicy("sd-wan-priority-high");

/** Rules for a service that is exported, so that nothing but the rules is wrong. */
function inRules(
  title: string,
  details: {
    readonly list: readonly object[];
    readonly type: "Accepted" | "ResolvedRefs";
    readonly reason: string;
    readonly says: readonly RegExp[];
  },
): Claim {
  return isTold(title, (environment) => ({
    placed: [
      { in: exporterOf(environment), objects: [service(at), serviceExport(at)] },
      { in: environment.consumer, objects: [rules(at, details.list)] },
    ],
    told: [
      {
        in: environment.consumer,
        namespace: at.namespace,
        object: `serviceimports.mc-wan.l7mp.io/${at.name}`,
        type: details.type,
        reason: details.reason,
        says: details.says,
      },
    ],
  }));
}

const notToRefer = { type: "ResolvedRefs", reason: "BackendNotFound" } as const;

export const ruleMistakes = [
  isTold("rules for a service that nobody exports are told so", ({ consumer }) => ({
    placed: [
      {
        in: consumer,
        objects: [rules({ name: "nobodys", namespace: "mistakes" }, [{ backendRefs: [good] }])],
      },
    ],
    told: [
      {
        in: consumer,
        namespace: "mistakes",
        object: "serviceimports.mc-wan.l7mp.io/nobodys",
        type: "Accepted",
        reason: "NoExport",
        says: [/"mistakes\/nobodys"/, /Create a ServiceExport for it, or correct the name/],
      },
    ],
  })),
  isRefused("the API server refuses 0 rules, and neither http nor tcp", [
    { object: rules(at, []), says: /rules.*at least 1 item/s },
    { object: { ...rules(at, []), spec: {} }, says: /at least one of them, or delete it/ },
  ]),
  inRules("a rule with a WANPolicy that doesn't exist is told", {
    list: [{ backendRefs: [overPolicy("sd-wan-priority-hihg")] }],
    type: "ResolvedRefs",
    reason: "PolicyNotFound",
    says: [/Rule 1/, /"sd-wan-priority-hihg"/, /Create it, or name another/],
  }),
  inRules("a rule with a backend that doesn't exist is told", {
    ...notToRefer,
    list: [{ backendRefs: [{ name: "ruled-v2", port: 8080 }] }],
    says: [/Rule 1/, /"ruled-v2"/, /"secure"/, /500/, /Create it, or name another/],
  }),
  inRules(
    "a rule with the dummy Service of another namespace's service is told like one that doesn't exist",
    {
      ...notToRefer,
      list: [{ backendRefs: [{ name: "other-mistakes-sd-wan-priority-high", namespace: "mc-wan" }] }],
      says: [/Rule 1/, /"mc-wan\/other-mistakes-sd-wan-priority-high"/, /namespace "secure"/, /500/],
    },
  ),
  inRules("a regular expression that RE2 refuses is told", {
    list: [
      { matches: [{ path: { type: "RegularExpression", value: "/(?=secret)" } }], backendRefs: [good] },
      { backendRefs: [good] },
    ],
    type: "Accepted",
    reason: "UnsupportedValue",
    says: [/Rule 1/, /\(\?=secret\)/, /RE2/, /Correct/],
  }),
  inRules("a rule that rewrites the hostname is told", {
    list: [
      {
        filters: [{ type: "URLRewrite", urlRewrite: { hostname: "payment.secure.svc.cluster.local" } }],
        backendRefs: [good],
      },
    ],
    type: "Accepted",
    reason: "HostRewrite",
    says: [/Rule 1/, /hostname/, /Take the hostname out/],
  }),
  isTold(
    "rules in a namespace that no other cluster has are told that nobody exports the service",
    ({ consumer }) => ({
      placed: [
        { in: consumer, objects: [namespace("only-here")] },
        {
          in: consumer,
          objects: [rules({ name: "ruled", namespace: "only-here" }, [{ backendRefs: [good] }])],
        },
      ],
      told: [
        {
          in: consumer,
          namespace: "only-here",
          object: "serviceimports.mc-wan.l7mp.io/ruled",
          type: "Accepted",
          reason: "NoExport",
          says: [/"only-here\/ruled"/, /Create a ServiceExport/],
        },
      ],
    }),
  ),
  {
    title: "an export from a namespace that another cluster lacks leaves nothing there",
    prove: async (environment) => {
      const { consumer } = environment;
      const exporter = exporterOf(environment);
      const lonely = { name: "lonely", namespace: "only-there" };
      const own = { in: exporter, objects: [namespace("only-there")] };
      const [first, second] = [service(lonely), serviceExport(lonely)];
      try {
        await applyObjects(environment, own);
        await applyObjects(environment, { in: exporter, objects: [first, second] });
        await environment.kubectl.run(exporter.context, [
          "wait",
          "-n",
          lonely.namespace,
          "--for=condition=Ready",
          "serviceexport/lonely",
          "--timeout=20s",
        ]);
        await sleep(1_000);
        const left = (await objectsOfService(environment, consumer, lonely)).filter(
          (name) => !name.includes(" mc-wan/"),
        );
        must(left.length === 0, "something stands for it", { left });
        return { inTheOtherCluster: left };
      } finally {
        await deleteObjects(environment, own);
      }
    },
  } satisfies Claim,
];
