/**
 * The channels of Gateway API: which CRDs the cluster has, and which features mc-wan then has beyond those that its GatewayClass
 * says. The experimental channel has fields that the standard one, which mc-wan is made for, drops.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fetchGoModule } from "../src/lab/binaries/go-module.ts";
import { CRD_MODULES } from "../src/lab/binaries/versions.ts";
import type { Kubectl } from "../src/lab/kubectl.ts";

/** The channels of Gateway API's CRDs. */
export const channels = ["standard", "experimental"] as const;

/** A channel of Gateway API's CRDs. */
export type Channel = (typeof channels)[number];

/** Features whose fields only CRDs of the experimental channel have, so that no GatewayClass of mc-wan says them. */
export const experimentalFeatures = [
  "HTTPRouteRetry",
  "HTTPRouteRetryBackendTimeout",
  "HTTPRouteRetryConnectionError",
] as const;

const group = "gateway.networking.k8s.io";

/** Gives a cluster the CRDs of a channel in place of those it has. */
export async function applyChannel(
  channel: Channel,
  cluster: { readonly kubectl: Kubectl; readonly context: string },
  progress: (line: string) => void,
): Promise<void> {
  const folder =
    channel === "standard"
      ? join(import.meta.dirname, "../crds/gateway-api")
      : join(await fetchGatewayApi(progress), "config/crd/experimental");
  const texts = await Promise.all(
    (await readdir(folder))
      .filter((name) => name.startsWith(`${group}_`))
      .map(async (name) => await readFile(join(folder, name), "utf8")),
  );
  // CRDs only: beside them stands an admission policy that forbids just this change of channel.
  const crds = texts.filter((text) => /^kind: CustomResourceDefinition$/m.test(text));
  await cluster.kubectl.run(
    cluster.context,
    ["apply", "--server-side", "--force-conflicts", "-f", "-"],
    crds.join("\n---\n"),
  );
  progress(`CRDs of the ${channel} channel are applied`);
}

async function fetchGatewayApi(progress: (line: string) => void): Promise<string> {
  const [gatewayApi] = CRD_MODULES;
  return await fetchGoModule(gatewayApi, { progress });
}

/** What the GatewayClass says that it supports. */
export async function declaredFeatures(
  { kubectl, context }: { readonly kubectl: Kubectl; readonly context: string },
  gatewayClass: string,
): Promise<string[]> {
  const { status } = (await kubectl.json(context, ["get", "gatewayclass", gatewayClass])) as {
    status?: { supportedFeatures?: { name: string }[] };
  };
  return (status?.supportedFeatures ?? []).map(({ name }) => name);
}
