/** Headers that gateways use among themselves and that no client may set. See also portHeader and hopHeader in model/names.ts. */

/** On a reply of the ingress: nothing of the request reached a backend, so any request may be tried again. */
export const unservedHeader = "x-mc-wan-unserved";

/** On a request inside of an ingress Envoy: the port it arrived on. Never leaves that Envoy. */
export const arrivalHeader = "x-mc-wan-arrival";

/** On a request inside of an ingress Envoy: the name that its connection was opened for (SNI). Never leaves that Envoy. */
export const serverNameHeader = "x-mc-wan-server-name";

/** Names that start with `x-mc-wan-`, but not the hop header itself (RE2 has no look-ahead). */
export const allButHopHeader = "x-mc-wan-(?:|h|ho|(?:[^h]|h[^o]|ho[^p]).*|hop.+)";
