/**
 * The agent's configuration file: from `unknown` to `NodeAgentConfig`. PURE.
 */
import type { NodeAgentConfig } from "../node-agent-config.ts";
import { numberAt, objectAt, stringAt } from "./json.ts";

/** Throws TypeError with the name of the first field that is missing or of another type. */
export function parseNodeAgentConfig(value: unknown): NodeAgentConfig {
  const config = objectAt({ config: value }, "config");
  const kubelet = objectAt(config, "kubelet");
  return {
    cluster: stringAt(config, "cluster"),
    nodeName: stringAt(config, "nodeName"),
    nodeIP: stringAt(config, "nodeIP"),
    podGatewayIP: stringAt(config, "podGatewayIP"),
    kubeconfig: stringAt(config, "kubeconfig"),
    podCIDR: stringAt(config, "podCIDR"),
    dnsIP: stringAt(config, "dnsIP"),
    clusterDomain: stringAt(config, "clusterDomain"),
    runDir: stringAt(config, "runDir"),
    imagesFile: stringAt(config, "imagesFile"),
    cacheDir: stringAt(config, "cacheDir"),
    kubelet: {
      port: numberAt(kubelet, "port"),
      certFile: stringAt(kubelet, "certFile"),
      keyFile: stringAt(kubelet, "keyFile"),
      clientCAFile: stringAt(kubelet, "clientCAFile"),
    },
  };
}
