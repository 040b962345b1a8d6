/** What a cluster says of a service that it exports. For tests only. */
import type { KubeObject } from "../src/model/kube-object.ts";

/** The ServiceAdvertisement `shop/<name>`: one HTTP port, two ready backends, policy `high`. */
export const advertisement = (name: string, more: object = {}): KubeObject => ({
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "ServiceAdvertisement",
  metadata: { name, namespace: "shop" },
  spec: {
    formatVersion: 1,
    type: "ClusterSetIP",
    exportTime: "2026-01-01T00:00:03Z",
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    ipFamilies: ["IPv4"],
    pool: "mc-wan-ingress",
    readyBackends: [{ zone: "", count: 2 }],
    wanPolicy: "high",
    ...more,
  },
});
