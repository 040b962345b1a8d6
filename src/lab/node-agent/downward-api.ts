/**
 * What a Pod may ask about itself, by `fieldRef` and `resourceFieldRef`. PURE. Fields that Kubernetes has and this lacks
 * are refused with an error, never answered with an empty text.
 */
import type { IContainer } from "kubernetes-models/v1/Container";
import type { IPod } from "kubernetes-models/v1/Pod";

/** Where the Pod and its node are; not yet in the Pod's status when its containers start. */
export interface PodAddresses {
  readonly podIP: string;
  readonly nodeIP: string;
  readonly nodeName: string;
}

function quoted(map: Readonly<Record<string, string>>): string {
  return Object.keys(map)
    .sort()
    .map((key) => `${key}=${JSON.stringify(map[key])}`)
    .join("\n");
}

/** The text of one field, by its path (`metadata.labels['app']`). Throws on a path it doesn't know. */
export function downwardField(pod: IPod, path: string, addresses: PodAddresses): string {
  const metadata = pod.metadata ?? {};
  const subscript = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (subscript !== null) {
    const [, map, key = ""] = subscript;
    return (map === "labels" ? metadata.labels : metadata.annotations)?.[key] ?? "";
  }
  const fields: Record<string, string> = {
    "metadata.name": metadata.name ?? "",
    "metadata.namespace": metadata.namespace ?? "",
    "metadata.uid": metadata.uid ?? "",
    "metadata.labels": quoted(metadata.labels ?? {}),
    "metadata.annotations": quoted(metadata.annotations ?? {}),
    "spec.nodeName": addresses.nodeName,
    "spec.serviceAccountName": pod.spec?.serviceAccountName ?? "default",
    "status.hostIP": addresses.nodeIP,
    "status.hostIPs": addresses.nodeIP,
    "status.podIP": addresses.podIP,
    "status.podIPs": addresses.podIP,
  };
  const value = fields[path];
  if (value === undefined) throw new Error(`the lab's node agent knows no field ${path}`);
  return value;
}

const SUFFIXES: Readonly<Record<string, number>> = {
  m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40,
}; // prettier-ignore

/** A Kubernetes quantity (`100m`, `64Mi`) as a number. Throws on anything else. */
function quantity(text: string | number): number {
  const match = /^([0-9.]+(?:e[0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(String(text));
  if (match === null) throw new Error(`${String(text)} is not a quantity`);
  return Number(match[1]) * (match[2] === undefined ? 1 : (SUFFIXES[match[2]] ?? 1));
}

/** The text of a container's resource, in units of the divisor, rounded up. An unset limit is the node's capacity: here 2 CPUs, 4 GiB. */
export function downwardResource(
  pod: IPod,
  container: IContainer,
  reference: { resource: string; containerName?: string; divisor?: string | number },
): string {
  const { resource, containerName, divisor } = reference;
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const from = containerName === undefined ? container : all.find(({ name }) => name === containerName);
  const [kind, name = ""] = resource.split(".", 2);
  const set = (kind === "limits" ? from?.resources?.limits : from?.resources?.requests)?.[name];
  const unset = kind !== "limits" ? "0" : name === "cpu" ? "2" : "4Gi";
  const unit = divisor === undefined || divisor === "" || quantity(divisor) === 0 ? 1 : quantity(divisor);
  return String(Math.ceil(quantity(set ?? unset) / unit));
}
