/** Which ingress gateways carry a service, by data plane. */
import type { ServiceRef } from "../model/desired.ts";
import { ingressPool, servicePool } from "../model/names.ts";
import type { Settings } from "../model/world.ts";

/** Name of the pool of ingress gateways that carries a service: one for all of mc-wan's own, else one for each service. */
export function poolOf(service: ServiceRef, { dataPlane }: Settings): string {
  return dataPlane.name === "envoy" ? ingressPool : servicePool(service);
}
