/** What must hold of the configurations that Envoys get, whatever goes wrong. */
import { expect } from "chai";
import type { Translation } from "../../src/model/envoy-config.ts";

/** Names of clusters, endpoints, listeners and tables of all fleets, and the hosts of tables. */
export function resourcesOf(config: Translation["config"] | undefined): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [fleet, { clusters, endpoints, listeners, routes }] of config?.fleets ?? []) {
    for (const [type, resources] of Object.entries({ clusters, endpoints, listeners }))
      for (const name of resources.keys()) names.add(`${fleet} ${type} ${name}`);
    for (const [table, { virtualHosts }] of routes)
      for (const { name } of virtualHosts) names.add(`${fleet} ${table} ${name}`);
  }
  return names;
}

/**
 * No configuration after the first of these has lost a resource: nothing was taken away without a cause. `changing`: what
 * has one.
 */
export function losesNothing(configs: readonly Translation["config"][], changing?: string): void {
  for (const [index, config] of configs.entries()) {
    if (index === 0) continue;
    const now = resourcesOf(config);
    const lost = [...resourcesOf(configs[index - 1])].filter(
      (name) => !now.has(name) && (changing === undefined || !name.includes(changing)),
    );
    expect(lost, "resources that were taken away").to.deep.equal([]);
  }
}

/** As plain values, to be compared. */
export function plain(config: Translation["config"] | undefined): unknown {
  return JSON.parse(
    JSON.stringify([...(config?.fleets ?? [])], (_key, value: unknown) =>
      value instanceof Map
        ? [...(value as ReadonlyMap<string, unknown>)]
        : typeof value === "bigint"
          ? String(value)
          : value,
    ),
  );
}
