/**
 * Ports that an Envoy binds in its Pod for the listeners of users' Gateways. It runs without privileges, so ports below
 * 1024 are moved up; the Gateway's Service maps them back.
 */

/** How far ports below 1024 are moved. */
const shift = 10_000;

/** Envoy's admin interface, on the Pod's loopback. */
export const adminPort = 9901;
/** Where a gateway Pod answers /ready, and nothing else. */
export const readyPort = 19001;

/** Ports in a gateway Pod that are not for listeners. */
export const reservedContainerPorts: ReadonlySet<number> = new Set([adminPort, readyPort]);

/** The port that Envoy binds for a listener's port: the Service's targetPort. 80 becomes 10080; 8080 stays. */
export function containerPort(port: number): number {
  return port < 1024 ? port + shift : port;
}
