/**
 * Gateways of clusters that are not heard any more, as a Direct shadow meets them: their cluster can't say that one has
 * gone, and no Envoy on the way would notice. The controller probes them (observe/gateway-prober.ts); one that takes no
 * connections is listed as not ready until it does.
 */
import { probeKey, type ProbeTarget } from "../model/desired.ts";
import { compare } from "../model/order.ts";
import type { ClusterId, World } from "../model/world.ts";
import { home, type GatewayDirectory } from "./gateway-directory.ts";
import type { Import, ImportSide, StaleGateways } from "./import-side.ts";
import { readyCount } from "./imports.ts";
import { sliceName, type Target } from "./proxy-slices.ts";

const none: StaleGateways = new Map();

/** What the answer depends on. */
interface Surroundings {
  readonly staleClusters: ReadonlySet<ClusterId>;
  readonly directory: GatewayDirectory;
  readonly world: World;
}

/** Of one import. What no probe has told yet is as it stands: a controller that starts changes nothing. */
export function staleGateways(
  { merged, choice, shadowKey }: Import,
  { staleClusters, directory, world }: Surroundings,
): StaleGateways {
  if (staleClusters.size === 0 || "problem" in choice || merged.type === "Headless") return none;
  const gateways = new Map<ClusterId, readonly Target[]>();
  for (const member of merged.members) {
    const { cluster, spec } = member;
    if (cluster === home || !staleClusters.has(cluster) || readyCount(member) === 0) continue;
    const found = directory.find(cluster, spec.pool, choice.policy);
    gateways.set(
      cluster,
      found.map(({ address, port }) => {
        const isAnswering =
          world.answering.get(probeKey({ address, port })) ?? stands(world, shadowKey, { address, port });
        return { address, port, ...(isAnswering ? {} : { isSilent: true }) };
      }),
    );
  }
  return gateways;
}

/** Whether what stands has the gateway as ready; one that doesn't stand yet is taken to be. */
function stands({ home: { EndpointSlice } }: World, shadowKey: string, target: ProbeTarget): boolean {
  const slice = EndpointSlice.get(sliceName(shadowKey, target.port));
  const endpoint = slice?.endpoints?.find(({ addresses }) => addresses.includes(target.address));
  return endpoint?.conditions?.ready !== false;
}

/** All that is to be probed: sorted, each once. `gateways` are those that Envoys send requests to. */
export function probesOf(
  sides: Iterable<ImportSide>,
  gateways: readonly Pick<ProbeTarget, "address" | "port">[],
): ProbeTarget[] {
  const targets = new Map<string, ProbeTarget>();
  for (const { address, port } of gateways) targets.set(probeKey({ address, port }), { address, port });
  for (const { probes } of sides)
    for (const { address, port } of probes)
      targets.set(probeKey({ address, port }), { address, port, isUrgent: true });
  return [...targets.values()].sort((a, b) => compare(a.address, b.address) || a.port - b.port);
}
