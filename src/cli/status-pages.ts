/**
 * The controller's pages: /healthz, /readyz and /metrics for the cluster, /debug for whoever is beside it.
 *
 * Ready means: a World was seen as a whole, and the data plane carries it. Whether this replica leads doesn't matter.
 */
import { jsonPage, servePages, textPage } from "../drivers/metrics/health-server.ts";
import type { Page } from "../drivers/metrics/health-server.ts";
import type { PrometheusMetrics } from "../drivers/metrics/prometheus-metrics.ts";
import type { DataPlane } from "../model/data-plane.ts";
import type { Controller, ControllerStatus } from "./run.ts";

export interface StatusPages {
  readonly healthPort: number;
  readonly debugPort: number;
  close(): Promise<void>;
}

export interface StatusPagesOptions {
  readonly controller: Controller;
  readonly dataPlane: DataPlane;
  readonly metrics: PrometheusMetrics;
  readonly ports: { readonly health: number; readonly debug: number };
}

/** Serves the pages until they are closed. */
export async function serveStatus({
  controller,
  dataPlane,
  metrics,
  ports,
}: StatusPagesOptions): Promise<StatusPages> {
  const health = await servePages(
    { host: "0.0.0.0", port: ports.health },
    {
      "/healthz": () => textPage("ok"),
      "/readyz": () => readyPage(controller.status, dataPlane.waitsFor()),
      "/metrics": async () => ({ contentType: metrics.contentType, text: await metrics.text() }),
    },
  );
  const debug = await servePages(
    { host: "127.0.0.1", port: ports.debug },
    {
      "/debug/world": () => jsonPage(worldSummary(controller.status)),
      "/debug/desired": () => jsonPage(controller.status.desired ?? null),
      ...Object.fromEntries(
        Object.entries(dataPlane.pages).map(([name, shown]) => [`/debug/${name}`, () => jsonPage(shown())]),
      ),
    },
  );
  return {
    healthPort: health.port,
    debugPort: debug.port,
    close: async () => {
      await Promise.all([health.close(), debug.close()]);
    },
  };
}

function readyPage(
  { observer, isServing, world }: ControllerStatus,
  dataPlaneWaits: string | undefined,
): Page {
  if (isServing && dataPlaneWaits === undefined) return textPage("ok");
  const unsynced =
    observer.unsynced.length > 0 ? `waits for ${observer.unsynced.join(", ")}` : "waits for peers";
  const waits =
    world === undefined ? unsynced : (dataPlaneWaits ?? "waits for a first pass without a failure");
  const problems = observer.failures.map(({ kind, problem }) => `${kind}: ${problem.message}`);
  return textPage([waits, ...problems].join("\n"), 503);
}

/** How much there is of everything, and what is wrong; no object as a whole. */
function worldSummary(status: ControllerStatus): unknown {
  const { world, observer } = status;
  return {
    homeId: world?.homeId,
    home: counts(world?.home),
    peers: world?.peers.map(({ objects, ...peer }) => ({ ...peer, objects: counts(objects) })),
    listening: world?.listening,
    answering: world?.answering,
    observer,
    isLeader: status.isLeader,
    waitingWrites: status.waitingWrites,
    withheldDeletions: status.withheldDeletions,
    foreign: status.foreign,
  };
}

function counts(stores: Readonly<Record<string, ReadonlyMap<string, unknown>>> | undefined): unknown {
  return Object.fromEntries(Object.entries(stores ?? {}).map(([kind, store]) => [kind, store.size]));
}
