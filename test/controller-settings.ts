/** What a Controller of a test is told: mc-wan's own Envoys, of which nobody deploys any, in pools of one. */
import type { Settings } from "../src/model/world.ts";

/** As `mcwan controller` would have it, but for the size of pools and the deprecated Endpoints. */
export const controllerSettings: Settings = {
  envoyImage: "envoy",
  xdsAddress: { host: "xds", port: 1 },
  dummyEndpoints: "All",
  legacyEndpoints: false,
  poolReplicas: 1,
  dataPlane: { name: "envoy" },
  trustDomain: "mc-wan.l7mp.io",
  ingress: { mode: "PodIP", addresses: [] },
};
