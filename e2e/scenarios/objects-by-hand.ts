/** Objects of mc-wan that somebody changes or deletes by hand: they come back as they were. */
import type { Claim } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import type { Environment } from "../environment.ts";

const limitMs = 2_000;

interface Edit {
  readonly title: string;
  readonly object: readonly string[];
  /** kubectl's words before the object's name, and after it. */
  readonly by: readonly [verb: string, ...rest: string[]];
  /** What is read before and after, as a jsonpath. */
  readonly reads: string;
}

/** Reads a part of an object; empty while there is none. */
async function read(environment: Environment, { object, reads }: Edit): Promise<string> {
  const { context } = environment.consumer;
  return await environment.kubectl.run(context, [
    "get",
    ...object,
    "--ignore-not-found",
    "-o",
    `jsonpath=${reads}`,
  ]);
}

function comesBack(edit: Edit): Claim {
  return {
    title: `${edit.title}, and is as before within ${limitMs / 1000} s`,
    prove: async (environment) => {
      const before = await read(environment, edit);
      must(before !== "", "the object was not there", {});
      const [verb, ...rest] = edit.by;
      await environment.kubectl.run(environment.consumer.context, [verb, ...edit.object, ...rest]);
      const { afterMs } = await eventually("the object as it was", 10_000, async () =>
        (await read(environment, edit)) === before ? true : undefined,
      );
      must(afterMs <= limitMs, "it took too long", { afterMs });
      return { afterMs, value: before.slice(0, 200) };
    },
  };
}

const patch = (value: unknown): Edit["by"] => ["patch", "--type=json", "-p", JSON.stringify(value)];
const remove: Edit["by"] = ["delete", "--wait=false"];

export const handEdits = [
  comesBack({
    title: "the shadow Service's port is edited",
    object: ["-n", "secure", "service/payment-clusterset"],
    by: patch([{ op: "replace", path: "/spec/ports/0/targetPort", value: 9999 }]),
    reads: "{.spec.ports}",
  }),
  comesBack({
    title: "the shadow Service is deleted",
    object: ["-n", "secure", "service/payment-clusterset"],
    by: remove,
    reads: "{.spec.clusterIP} {.spec.ports}",
  }),
  comesBack({
    title: "the egress HTTPRoute is deleted",
    object: ["-n", "secure", "httproute/payment-clusterset"],
    by: remove,
    reads: "{.spec}",
  }),
  comesBack({
    title: "a rule is taken out of the egress HTTPRoute",
    object: ["-n", "secure", "httproute/payment-clusterset"],
    by: patch([{ op: "remove", path: "/spec/rules/0" }]),
    reads: "{.spec}",
  }),
  comesBack({
    title: "a dummy Service is deleted",
    object: ["-n", "mc-wan", "service/payment-secure-sd-wan-priority-high"],
    by: remove,
    reads: "{.spec.ports} {.metadata.labels}",
  }),
  comesBack({
    title: "an address is put into a dummy's slice",
    object: ["-n", "mc-wan", "endpointslice/payment-secure-sd-wan-priority-high-ipv4-31111"],
    by: patch([{ op: "replace", path: "/endpoints/0/addresses/0", value: "198.18.9.9" }]),
    reads: "{.endpoints}",
  }),
  comesBack({
    title: "the label of its cause is taken off the egress Gateway",
    object: ["-n", "secure", "gateway/payment-clusterset"],
    by: ["label", "mc-wan.l7mp.io/service-name-"],
    reads: "{.metadata.labels}",
  }),
] satisfies readonly Claim[];
