/**
 * A container's environment, from its Pod spec: `envFrom`, `env`, `valueFrom`, `$(NAME)` references. PURE: the ConfigMaps and
 * Secrets are already here. Service variables (`FOO_SERVICE_HOST`) are not made: the lab's workloads use DNS.
 */
import type { IContainer } from "kubernetes-models/v1/Container";
import type { IPod } from "kubernetes-models/v1/Pod";
import { downwardField, downwardResource, type PodAddresses } from "./downward-api.ts";

/** Decoded contents by `ConfigMap/name` or `Secret/name`; undefined in the map's place means that it doesn't exist. */
export type KeyedSources = ReadonlyMap<string, ReadonlyMap<string, Buffer>>;

/** A mistake in the Pod's own words, which waiting changes only if somebody repairs it. */
export class ContainerConfigError extends Error {
  override readonly name = "ContainerConfigError";
}

/** Names as `KeyedSources` has them, that `containerEnvironment` will look for. */
export function environmentSources(container: IContainer): string[] {
  const names: string[] = [];
  for (const from of container.envFrom ?? []) {
    if (from.configMapRef?.name !== undefined) names.push(`ConfigMap/${from.configMapRef.name}`);
    if (from.secretRef?.name !== undefined) names.push(`Secret/${from.secretRef.name}`);
  }
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.configMapKeyRef?.name !== undefined)
      names.push(`ConfigMap/${valueFrom.configMapKeyRef.name}`);
    if (valueFrom?.secretKeyRef?.name !== undefined) names.push(`Secret/${valueFrom.secretKeyRef.name}`);
  }
  return [...new Set(names)];
}

/**
 * Replaces `$(NAME)` by its value; `$$(NAME)` stays as `$(NAME)`, an unknown name stays as it is written
 * (https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/).
 */
export function expand(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([^()]+)\)/g, (whole, name: string | undefined) => {
    if (name === undefined) return "$";
    return variables[name] ?? whole;
  });
}

/** The variables in their order. Throws ContainerConfigError for a source or key that is missing and not optional. */
export function containerEnvironment(
  pod: IPod,
  container: IContainer,
  given: { sources: KeyedSources; addresses: PodAddresses },
): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const from of container.envFrom ?? []) {
    const reference = from.configMapRef ?? from.secretRef;
    const kind = from.configMapRef === undefined ? "Secret" : "ConfigMap";
    const source = given.sources.get(`${kind}/${reference?.name ?? ""}`);
    if (source === undefined) {
      if (reference?.optional === true) continue;
      throw new ContainerConfigError(`${kind} "${reference?.name ?? ""}" not found`);
    }
    for (const [key, value] of source) variables[(from.prefix ?? "") + key] = value.toString();
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (valueFrom === undefined) {
      variables[name] = expand(value ?? "", variables);
      continue;
    }
    const found = fromReference({ pod, container }, valueFrom, given);
    if (found !== undefined) variables[name] = found;
  }
  return variables;
}

type ValueFrom = NonNullable<NonNullable<IContainer["env"]>[number]["valueFrom"]>;

function fromReference(
  at: { pod: IPod; container: IContainer },
  from: ValueFrom,
  given: { sources: KeyedSources; addresses: PodAddresses },
): string | undefined {
  if (from.fieldRef !== undefined) return downwardField(at.pod, from.fieldRef.fieldPath, given.addresses);
  if (from.resourceFieldRef !== undefined)
    return downwardResource(at.pod, at.container, from.resourceFieldRef);
  const kind = from.configMapKeyRef === undefined ? "Secret" : "ConfigMap";
  const reference = from.configMapKeyRef ?? from.secretKeyRef;
  if (reference === undefined)
    throw new ContainerConfigError("this kind of valueFrom is not supported by the lab's node agent");
  const source = given.sources.get(`${kind}/${reference.name ?? ""}`);
  const value = source?.get(reference.key);
  if (value !== undefined) return value.toString();
  if (reference.optional === true) return undefined;
  if (source === undefined) throw new ContainerConfigError(`${kind} "${reference.name ?? ""}" not found`);
  throw new ContainerConfigError(`couldn't find key ${reference.key} in ${kind} "${reference.name ?? ""}"`);
}
