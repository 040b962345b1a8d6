/**
 * WAN backends: where requests to a service over a policy go. Only to clusters that export the service, have ready
 * backends, and whose gateways listen for the policy.
 */
import type { ServiceRef, WanBackend, WanLocality } from "../model/desired.ts";
import { compare } from "../model/order.ts";
import type { DummyNames } from "./dummy-services.ts";
import { home, type GatewayDirectory } from "./gateway-directory.ts";
import { readyCount, type Merged } from "./imports.ts";

/** The WAN backends of one service by the names of its dummies. */
export function wanBackends(
  service: ServiceRef,
  { merged, names }: { readonly merged: Merged; readonly names: DummyNames },
  directory: GatewayDirectory,
): [string, WanBackend][] {
  const exportedHere = merged.members.some(({ cluster }) => cluster === home);
  return [...names].map(([policy, name]) => [
    name,
    {
      service,
      policy,
      remote: localities(merged, policy, directory),
      ...(exportedHere ? { home: service } : {}),
    },
  ]);
}

function localities(merged: Merged, policy: string, directory: GatewayDirectory): WanLocality[] {
  if (merged.type === "Headless") return [];
  return merged.members
    .flatMap((member) => {
      const { cluster } = member;
      if (cluster === home) return [];
      const weight = readyCount(member);
      const endpoints = directory.find(cluster, member.spec.pool, policy);
      return weight > 0 && endpoints.length > 0 ? [{ cluster, weight, endpoints }] : [];
    })
    .sort((a, b) => compare(a.cluster, b.cluster));
}
