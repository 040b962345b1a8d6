/**
 * The Envoy side as one thing: ADS, replica reports and their sum, on one port, behind one door.
 *
 *     publish ─→ Fleets ⇄ Envoys
 *                  └→ own report ─┬─ leader: + reports of followers → acknowledgements, listening
 *                                 └─ follower: → the leader
 */
import { logVerbosity, Server, setLogVerbosity } from "@grpc/grpc-js";
import type { ServerCredentials } from "@grpc/grpc-js";
import { UnavailableError } from "../../model/errors.ts";
import type { Log } from "../../model/log.ts";
import type { Metrics } from "../../model/metrics.ts";
import type { AdsServer } from "../../model/served.ts";
import { departedMs, Fleets } from "../../serve/fleets.ts";
import type { Publication } from "../../serve/fleets.ts";
import { mergeReports } from "../../serve/replica-report.ts";
import type { Merged } from "../../serve/replica-report.ts";
import { adsDefinition, createAdsService } from "./ads-service.ts";
import { Door } from "./door.ts";
import type { IdentifyPod } from "./pod-token.ts";
import { createReportReceiver, reportDefinition } from "./replica-report.ts";
import { startReporting } from "./report-sender.ts";
import { maxStreamsOfConnection } from "./stream-limits.ts";
import type { Reporting } from "./report-sender.ts";

/** Largest request, in bytes: a reconnecting Envoy lists all that it holds (X13). */
const maxRequestBytes = 32 * 1024 * 1024;
const tickMs = 500;
/** Acknowledgements come in bursts: they are summed up once per so many milliseconds. */
const coalesceMs = 10;
/** How long streams have to end by themselves when the server stops. */
const drainMs = 2_000;

export interface AdsServerOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  /** Address and port to listen on, `0.0.0.0:18000`; port 0 takes a free one. */
  readonly listen: string;
  /** Whose token one is. */
  readonly identifyPod: IdentifyPod;
  /** This replica's own token, by which others know it. */
  readonly token: () => Promise<string>;
  /** After about so long a connection ends (±10 %): tokens are looked at again, and Envoys spread over replicas. */
  readonly maxConnectionAgeMs: number;
}

/** {@link AdsServer} with what its composition may want beyond the interface. */
export interface ReplicatedAdsServer extends AdsServer {
  publish(config: Parameters<AdsServer["publish"]>[0]): Publication;
}

// The library's own lines would stand between ours; what matters of them comes as errors too.
setLogVerbosity(logVerbosity.NONE);

/** Makes the server; it listens after `start()`. */
export function createAdsServer(options: AdsServerOptions): ReplicatedAdsServer {
  const { log, metrics, token } = options;
  const door = new Door(options.identifyPod, log);
  const nowMs = (): number => performance.now();
  const fleets = new Fleets();
  const callbacks: (() => void)[] = [];
  let merged: Merged = mergeReports([]);
  let mergedText = { acknowledgements: "", listening: "", sending: "", refusedRoutes: "" };
  let timer: NodeJS.Timeout | undefined;
  let reporting: { readonly address: string; readonly sender: Reporting } | undefined;

  const sumUp = (): void => {
    timer = undefined;
    reporting?.sender.changed();
    const next = mergeReports([fleets.report(), ...receiver.reports()]);
    const text = {
      acknowledgements: JSON.stringify([...next.acknowledgements]),
      listening: JSON.stringify([...next.listening].map(([pod, ports]) => [pod, [...ports]])),
      sending: JSON.stringify([...next.sending]),
      refusedRoutes: JSON.stringify(next.refusedRoutes),
    };
    const isSame = {
      acknowledgements: text.acknowledgements === mergedText.acknowledgements,
      listening: text.listening === mergedText.listening,
      sending: text.sending === mergedText.sending,
      refusedRoutes: text.refusedRoutes === mergedText.refusedRoutes,
    };
    mergedText = text;
    merged = {
      acknowledgements: isSame.acknowledgements ? merged.acknowledgements : next.acknowledgements,
      listening: isSame.listening ? merged.listening : next.listening,
      sending: isSame.sending ? merged.sending : next.sending,
      refusedRoutes: isSame.refusedRoutes ? merged.refusedRoutes : next.refusedRoutes,
    };
    if (Object.values(isSame).every(Boolean)) return;
    for (const callback of callbacks) callback();
  };
  const onChange = (): void => {
    timer ??= setTimeout(sumUp, coalesceMs);
  };
  const receiver = createReportReceiver({ door, onChange, departedMs });
  const service = createAdsService({ log, metrics, door, fleets, onChange, nowMs });
  const server = createServer(options.maxConnectionAgeMs);
  server.addService(adsDefinition, {
    DeltaAggregatedResources: service.handler,
    StreamAggregatedResources: service.refusal,
  });
  server.addService(reportDefinition, { Report: receiver.handler });
  let ticker: NodeJS.Timeout | undefined;

  return {
    start: async () => {
      const port = await bind(server, options.listen, door.credentials);
      ticker = setInterval(() => {
        if (fleets.tick(nowMs())) onChange();
      }, tickMs);
      ticker.unref();
      return { port };
    },
    admit: (admission) => {
      door.admit(admission);
    },
    publish: (config) => {
      const publication = fleets.publish(config, nowMs());
      // A Gateway's generation may be new where no byte is.
      onChange();
      return publication;
    },
    acknowledgements: () => merged.acknowledgements,
    listening: () => merged.listening,
    sending: () => merged.sending,
    refusedRoutes: () => merged.refusedRoutes,
    onAcknowledged: (callback) => {
      callbacks.push(callback);
    },
    followLeader: (address) => {
      if (reporting?.address === address) return;
      reporting?.sender.stop();
      reporting = undefined;
      if (address === undefined) return;
      reporting = {
        address,
        sender: startReporting({
          address,
          token,
          bundle: () => door.bundle,
          log,
          current: () => fleets.report(),
        }),
      };
    },
    stop: async () => {
      clearInterval(ticker);
      reporting?.sender.stop();
      reporting = undefined;
      service.endAll();
      await shutDown(server);
      clearTimeout(timer);
      receiver.stop();
    },
  };
}

function createServer(maxConnectionAgeMs: number): Server {
  return new Server({
    "grpc.max_receive_message_length": maxRequestBytes,
    "grpc.max_concurrent_streams": maxStreamsOfConnection,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.max_connection_age_ms": maxConnectionAgeMs,
    "grpc.max_connection_age_grace_ms": drainMs,
  });
}

async function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(new UnavailableError(`The ADS server can't listen on ${address}.`, { cause: error }));
    });
  });
}

/** GOAWAY on every connection; whoever doesn't go in time is cut off. */
async function shutDown(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    const cutOff = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, drainMs);
    server.tryShutdown(() => {
      clearTimeout(cutOff);
      resolve();
    });
  });
}
