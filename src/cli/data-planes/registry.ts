/**
 * The data planes by name: what the command line offers, what each one's flags mean, and how it is made. A new one is an
 * entry here, its part of reconcile (reconcile/data-planes.ts), and nothing else.
 */
import type { DataPlane } from "../../model/data-plane.ts";
import { UsageError } from "../../model/errors.ts";
import type { Settings } from "../../model/world.ts";
import type { TokenKeys } from "../../drivers/grpc/pod-token.ts";
import type { StageContext } from "../last-good.ts";

/** Flags of `mcwan controller` that some data plane looks at. */
export interface DataPlaneFlags {
  readonly gatewayClass?: string;
  readonly ingressMode: Settings["ingress"]["mode"];
}

/** What a data plane is made with. */
interface DataPlaneContext {
  /** Of a stage, by its name. */
  readonly stage: (name: string) => StageContext;
  /** Where Envoys are served; 0: any free port. */
  readonly xdsPort: number;
  /** By what the API server's tokens are checked. */
  readonly tokenKeys: () => Promise<TokenKeys>;
  /** This replica's own token. */
  readonly token: () => Promise<string>;
}

/** One way to carry the traffic. */
export interface DataPlaneDriver {
  /** What it is, in a line. */
  readonly about: string;
  /** What reconcile is told. Throws a UsageError where flags don't go with it. */
  readonly settings: (flags: DataPlaneFlags) => Settings["dataPlane"];
  /** Loads what it needs, which others need not, and makes it. */
  readonly create: (context: DataPlaneContext) => Promise<DataPlane>;
}

/** Half of the life of a gateway's token: whose Pod has gone is out by then. */
const maxConnectionAgeMs = 1_800_000;

/** All data planes. */
export const dataPlanes: Readonly<Record<Settings["dataPlane"]["name"], DataPlaneDriver>> = {
  envoy: {
    about: "Envoys that mc-wan deploys and serves itself",
    settings: ({ gatewayClass }) => {
      if (gatewayClass !== undefined)
        throw new UsageError("--gateway-class goes with --data-plane gateway-api, not envoy");
      return { name: "envoy" };
    },
    create: async ({ stage, xdsPort, tokenKeys, token }) => {
      const [
        { EnvoyDataPlane },
        { createAdsServer },
        { createIdentifyPod },
        { createTranslate },
        { gatewayStatuses },
      ] = await Promise.all([
        import("./envoy.ts"),
        import("../../drivers/grpc/create-ads-server.ts"),
        import("../../drivers/grpc/pod-token.ts"),
        import("../../translate/translate.ts"),
        import("../../reconcile/gateway-status.ts"),
      ]);
      const { log, metrics, timing } = stage("serve");
      return new EnvoyDataPlane({
        adsServer: createAdsServer({
          log,
          metrics,
          listen: `0.0.0.0:${xdsPort}`,
          identifyPod: createIdentifyPod(tokenKeys, () => timing.now()),
          token,
          maxConnectionAgeMs,
        }),
        translate: createTranslate(),
        gatewayStatuses,
        context: stage,
      });
    },
  },
  "gateway-api": {
    about: "another implementation of Gateway API, by its GatewayClass",
    settings: ({ gatewayClass, ingressMode }) => {
      if (gatewayClass === undefined)
        throw new UsageError(
          "--data-plane gateway-api needs --gateway-class: the GatewayClass of the implementation that is to carry the traffic",
        );
      if (ingressMode !== "PodIP")
        throw new UsageError(
          `--data-plane gateway-api goes with --ingress-mode PodIP, not ${ingressMode}: every service has a Gateway of its own at the ports of all policies, which can't share node ports or one address`,
        );
      return { name: "gateway-api", gatewayClassName: gatewayClass };
    },
    create: async () => new (await import("./gateway-api.ts")).GatewayApiDataPlane(),
  },
};

/** The data plane of a name that somebody gave. Throws a UsageError that names those there are. */
export function dataPlaneNamed(name: string): DataPlaneDriver {
  if (!isDataPlane(name)) {
    const known = Object.keys(dataPlanes).join(", ");
    throw new UsageError(`there is no data plane ${JSON.stringify(name)}: --data-plane is one of ${known}`);
  }
  return dataPlanes[name];
}

const isDataPlane = (name: string): name is Settings["dataPlane"]["name"] => Object.hasOwn(dataPlanes, name);
