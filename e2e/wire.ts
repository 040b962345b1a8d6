/** What went over the tunnels, by the kernel's own counters in the lab's clusters. */
import type { Environment } from "./environment.ts";

/** Bytes and packets of one policy port on one tunnel at one cluster, both directions. */
export interface Crossing {
  readonly tunnel: string;
  readonly port: number;
  readonly bytes: number;
  readonly packets: number;
}

/** All that crossed the links of a cluster while `action` ran, where anything did. */
export async function crossings<T>(
  environment: Environment,
  cluster: string,
  action: () => Promise<T>,
): Promise<{ readonly result: T; readonly crossed: Crossing[] }> {
  const before = await readings(environment, cluster);
  const result = await action();
  const after = await readings(environment, cluster);
  const crossed = [...after]
    .map(([key, reading]) => ({
      ...reading,
      bytes: reading.bytes - (before.get(key)?.bytes ?? 0),
      packets: reading.packets - (before.get(key)?.packets ?? 0),
    }))
    .filter(({ packets }) => packets > 0);
  return { result, crossed };
}

/** Payload bytes by tunnel. */
export function bytesByTunnel(crossed: readonly Crossing[]): Record<string, number> {
  const result: Record<string, number> = {};
  for (const { tunnel, bytes } of crossed) result[tunnel] = (result[tunnel] ?? 0) + bytes;
  return result;
}

async function readings(environment: Environment, cluster: string): Promise<Map<string, Crossing>> {
  if (environment.lab === undefined) throw new Error("only the lab counts what crosses its links");
  const result = new Map<string, Crossing>();
  for (const counter of (await environment.lab.counters()).links) {
    if (counter.cluster !== cluster) continue;
    const key = `${counter.tunnel}/${counter.port}`;
    const known = result.get(key);
    result.set(key, {
      tunnel: counter.tunnel,
      port: counter.port,
      bytes: (known?.bytes ?? 0) + counter.payloadBytes,
      packets: (known?.packets ?? 0) + counter.packets,
    });
  }
  return result;
}
