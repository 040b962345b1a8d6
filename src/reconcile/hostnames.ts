/**
 * The names under which an imported or exported service is called. A Gateway of a pool answers for the names of its
 * own service and for no others: every name derives from the object's own namespace and name.
 */
import type { ServiceRef } from "../model/desired.ts";
import { clusterDomain, clusterHostname, clustersetDomain, shadowName } from "../model/names.ts";

/** Every name that may arrive at an ingress gateway: full and shorter forms, all with the namespace. */
export function ingressHostnames(service: ServiceRef): string[] {
  const { name, namespace } = service;
  const shadow = shadowName(name);
  return [
    clusterHostname(service),
    `${name}.${namespace}.svc.${clustersetDomain}`,
    `${name}.${namespace}.svc`,
    `${name}.${namespace}`,
    `${shadow}.${namespace}.svc.${clusterDomain}`,
    `${shadow}.${namespace}.svc`,
    `${shadow}.${namespace}`,
  ];
}

/** Every name that may arrive at the egress gateway: those of the ingress and the single labels that clients of the namespace use. */
export function egressHostnames(service: ServiceRef): string[] {
  return [...ingressHostnames(service), service.name, shadowName(service.name)];
}
