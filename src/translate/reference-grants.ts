/**
 * ReferenceGrants: may an object of one namespace name an object of another? Asked before anything is looked up, so that a
 * forbidden reference says the same whether or not its target exists.
 *
 * Source: Gateway API, ReferenceGrant.
 */
import type { ObjectTypes } from "../model/kinds.ts";
import { gatewayGroup } from "./gateway-api.ts";

/** An object that an object of Gateway API names: a Service, if nothing is said. */
export interface CrossReference {
  readonly fromKind: string;
  readonly fromNamespace: string;
  readonly toKind?: "Service" | "Secret" | "ConfigMap";
  readonly namespace: string;
  readonly name: string;
}

/** All grants: `<kind> <from> <kind> <to>` with `<to>` a namespace (all of it) or `namespace/name`. */
export class ReferenceGrants {
  readonly #granted = new Set<string>();

  constructor(grants: ReadonlyMap<string, ObjectTypes["ReferenceGrant"]>) {
    for (const { metadata, spec } of grants.values()) {
      const sources = (spec?.from ?? []).filter(({ group }) => group === gatewayGroup);
      const targets = (spec?.to ?? []).filter(({ group }) => group === "");
      for (const from of sources) {
        for (const to of targets) {
          const target = place(metadata.namespace ?? "", to.name);
          this.#granted.add(`${from.kind} ${from.namespace} ${to.kind} ${target}`);
        }
      }
    }
  }

  /** Whether a reference is allowed: inside of a namespace always, else by a grant. */
  allows({ fromKind, fromNamespace, toKind = "Service", namespace, name }: CrossReference): boolean {
    const towards = `${fromKind} ${fromNamespace} ${toKind}`;
    return (
      fromNamespace === namespace ||
      this.#granted.has(`${towards} ${namespace}`) ||
      this.#granted.has(`${towards} ${place(namespace, name)}`)
    );
  }
}

function place(namespace: string, name: string | undefined): string {
  return name === undefined || name === "" ? namespace : `${namespace}/${name}`;
}
