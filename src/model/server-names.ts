/** What gateways ask each other for by SNI. */
import { clustersetDomain } from "./names.ts";
import type { ServiceRef } from "./desired.ts";

/** The name that means a service: `<svc>.<ns>.svc.clusterset.local`. */
export const serverNameOf = ({ namespace, name }: ServiceRef): string =>
  `${name}.${namespace}.svc.${clustersetDomain}`;

/** Covers the names of all services. */
export const anyServerName = `*.svc.${clustersetDomain}`;
