/** Gateways' certificates: they come and go with their gateways. */
import { gatewayClassName, systemNamespace } from "../../src/model/names.ts";
import type { Claim, Scenario } from "../claim.ts";
import { eventually } from "../claim.ts";
import type { Environment } from "../environment.ts";
import { namespace } from "../manifests.ts";
import { applyObjects, deleteObjects } from "../mistake.ts";
import type { Manifest } from "../mistake.ts";

const own = "identity";
const gateway: Manifest = {
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: { name: "edge", namespace: own },
  spec: { gatewayClassName, listeners: [{ name: "http", port: 8080, protocol: "HTTP" }] },
};

/** The keys of a Secret of mc-wan; undefined if it isn't there. */
async function keysOf({ kubectl, consumer }: Environment, name: string): Promise<string[] | undefined> {
  const list = (await kubectl.json(consumer.context, ["get", "secrets", "-n", systemNamespace])) as {
    items: { metadata: { name: string }; data?: Record<string, string> }[];
  };
  const found = list.items.find(({ metadata }) => metadata.name === name);
  return found && Object.keys(found.data ?? {});
}

const followed: Claim = {
  title: "a user's Gateway gets an identity, which ends with it",
  prove: async (environment) => {
    const name = `mc-wan-identity-${own}.edge`;
    const stands = await eventually("the identity", 30_000, () => keysOf(environment, name));
    await deleteObjects(environment, { in: environment.consumer, objects: [gateway] });
    const ends = await eventually("its end", 30_000, async () =>
      (await keysOf(environment, name)) === undefined ? true : undefined,
    );
    return { issuedAfterMs: stands.afterMs, goneAfterMs: ends.afterMs };
  },
};

export const identity: Scenario = {
  title: "identity",
  setUp: async (environment) => {
    await applyObjects(environment, { in: environment.consumer, objects: [namespace(own), gateway] });
  },
  claims: [followed],
  tearDown: async (environment) => {
    await deleteObjects(environment, { in: environment.consumer, objects: [namespace(own)] });
  },
};
