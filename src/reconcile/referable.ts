/** What the rules of ServiceImports in one namespace may name. */
import type { ImportedService, ReferableServices } from "./backend-refs.ts";
import type { Import } from "./import-side.ts";
import type { World } from "../model/world.ts";
import type { PolicySet } from "./wan-policies.ts";

/** Nothing: for imports without rules. The same object for the same policies. */
export function nothingReferable(policies: PolicySet): ReferableServices {
  let known = emptyReferable.get(policies);
  if (known === undefined) {
    known = { policies, imports: new Map(), dummies: new Map(), localService: () => undefined };
    emptyReferable.set(policies, known);
  }
  return known;
}
const emptyReferable = new WeakMap<PolicySet, ReferableServices>();

/** All imports of a namespace. */
export function referableOf(imports: readonly Import[], policies: PolicySet): ReferableServices {
  const services: ImportedService[] = imports.map(({ service, dummies, choice, httpPorts, tcpPorts }) => ({
    service,
    dummies: dummies.names,
    taken: dummies.taken,
    choice,
    ports: { HTTP: httpPorts.map(({ port }) => port), TCP: tcpPorts.map(({ port }) => port) },
  }));
  return {
    policies,
    imports: new Map(services.map((imported) => [imported.service.name, imported])),
    dummies: new Map(
      services.flatMap((imported) =>
        [...imported.dummies].map(([policy, name]) => [name, { imported, policy }] as const),
      ),
    ),
    localService: () => undefined,
  };
}

/** Services that the rules name in their own namespace: the answer depends on them. */
export function localServices({ rules, service }: Import, world: World): unknown[] {
  const all = rules?.spec.http?.rules ?? [];
  const refs = all.flatMap(({ backendRefs = [], filters = [] }) => [
    ...backendRefs,
    ...filters.flatMap(({ requestMirror }) =>
      requestMirror === undefined ? [] : [requestMirror.backendRef],
    ),
  ]);
  refs.push(...(rules?.spec.tcp?.backendRefs ?? []));
  return refs.map(({ name }) => world.home.Service.get(`${service.namespace}/${name}`));
}
