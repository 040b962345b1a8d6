/**
 * ReferenceGrants: may a route of one namespace name a Service of another? Asked before anything is looked up, so
 * that a forbidden reference says the same whether or not its target exists.
 *
 * Source: Gateway API, ReferenceGrant.
 */
import { isRouteKind, type ObjectTypes, type RouteKind } from "../model/kinds.ts";
import { gatewayGroup } from "./gateway-api.ts";

/** A Service that a route names. */
export interface CrossReference {
  readonly fromKind: RouteKind;
  readonly fromNamespace: string;
  readonly namespace: string;
  readonly name: string;
}

/** Grants that let routes name Services: `<kind> <from> <to>` with `<to>` a namespace (all of it) or `namespace/name`. */
export class ReferenceGrants {
  readonly #granted = new Set<string>();

  constructor(grants: ReadonlyMap<string, ObjectTypes["ReferenceGrant"]>) {
    for (const { metadata, spec } of grants.values()) {
      const sources = (spec?.from ?? []).filter(
        ({ group, kind }) => group === gatewayGroup && isRouteKind(kind),
      );
      const targets = (spec?.to ?? []).filter(({ group, kind }) => group === "" && kind === "Service");
      for (const from of sources) {
        for (const to of targets)
          this.#granted.add(`${from.kind} ${from.namespace} ${place(metadata.namespace ?? "", to.name)}`);
      }
    }
  }

  /** Whether a reference is allowed: inside of a namespace always, else by a grant. */
  allows({ fromKind, fromNamespace, namespace, name }: CrossReference): boolean {
    return (
      fromNamespace === namespace ||
      this.#granted.has(`${fromKind} ${fromNamespace} ${namespace}`) ||
      this.#granted.has(`${fromKind} ${fromNamespace} ${place(namespace, name)}`)
    );
  }
}

function place(namespace: string, name: string | undefined): string {
  return name === undefined || name === "" ? namespace : `${namespace}/${name}`;
}
