/**
 * The ADS service: gRPC streams of Envoys on one side, `serve`'s fleets on the other.
 *
 *     Envoy ⇄ DeltaAggregatedResources ⇄ Fleets
 *
 * Speaks delta only: the bootstrap that mc-wan writes asks for nothing else, so the state-of-the-world variant is answered
 * with UNIMPLEMENTED. grpc-js never sees a message object, only bytes.
 */
import { Metadata, status } from "@grpc/grpc-js";
import type { handleBidiStreamingCall, ServerDuplexStream, ServiceDefinition } from "@grpc/grpc-js";
import type { Log } from "../../model/log.ts";
import type { Metrics } from "../../model/metrics.ts";
import type { EnvoyStream, Fleets } from "../../serve/fleets.ts";
import type { StreamRequest } from "../../serve/stream-state.ts";
import { decodeRequest, encodeResponse, streamRequestOf } from "./discovery-messages.ts";
import { rawBytes } from "./raw-bytes.ts";
import { excessOf, introductionMs, maxStreams } from "./stream-limits.ts";

/** The delta method of envoy.service.discovery.v3.AggregatedDiscoveryService. */
export const adsDefinition = {
  DeltaAggregatedResources: {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    requestStream: true,
    responseStream: true,
    ...rawBytes,
  },
} satisfies ServiceDefinition;

export interface AdsServiceOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly fleets: Fleets;
  /** Called after an Envoy has acknowledged or refused something, or a stream has come or gone. */
  readonly onChange: () => void;
  /** Milliseconds, monotonic. */
  readonly nowMs: () => number;
}

/** A handler of the service, and an end to all of its streams. */
export interface AdsService {
  readonly handler: handleBidiStreamingCall<Buffer, Buffer>;
  /** Ends every stream in good order: Envoys keep what they have and connect anew. */
  endAll(): void;
}

type Call = ServerDuplexStream<Buffer, Buffer>;

/** Longest node.id and node.cluster: `<namespace>.<gateway>` and Pod names are shorter. */
const maxIdLength = 512;

/** Makes the service; a server has to be given its handler. */
export function createAdsService(options: AdsServiceOptions): AdsService {
  const calls = new Set<Call>();
  return {
    handler: (call) => {
      if (calls.size >= maxStreams) {
        end(call, status.RESOURCE_EXHAUSTED, `More than ${maxStreams} streams.`);
        return;
      }
      calls.add(call);
      call.once("close", () => calls.delete(call));
      serveStream(call, options);
    },
    endAll: () => {
      for (const call of calls) call.end();
    },
  };
}

function serveStream(call: Call, options: AdsServiceOptions): void {
  const { fleets, onChange, nowMs } = options;
  let stream: EnvoyStream | undefined;
  let isOver = false;
  let { log } = options;
  const close = (): void => {
    isOver = true;
    clearTimeout(introduction);
    if (stream === undefined) return;
    const { fleet } = stream;
    fleets.close(stream, nowMs());
    stream = undefined;
    log.info("envoy disconnected");
    countStreams(options, fleet);
    onChange();
  };
  const refuse = (details: string, code = status.INVALID_ARGUMENT): void => {
    close();
    end(call, code, details);
  };
  const introduction = setTimeout(() => {
    refuse("No request has named node.id and node.cluster.", status.DEADLINE_EXCEEDED);
  }, introductionMs).unref();
  call.on("data", (bytes: Buffer) => {
    if (isOver) return;
    const message = decodeRequest(bytes);
    if (message === undefined) {
      refuse("The request is no DeltaDiscoveryRequest.");
      return;
    }
    if (stream === undefined) {
      // Only the first request of a stream is sure to name its node (X12).
      const { id = "", cluster = "" } = message.node ?? {};
      if (id === "" || cluster === "" || id.length > maxIdLength || cluster.length > maxIdLength) {
        refuse("The first request must name node.id and node.cluster.");
        return;
      }
      log = log.child({ node: id, fleet: cluster });
      clearTimeout(introduction);
      stream = open(call, options, { id, cluster });
      log.info("envoy connected");
    }
    const request = streamRequestOf(message);
    // Types that mc-wan doesn't serve are never answered, as the protocol allows.
    if (request === undefined) return;
    const excess = excessOf(request, stream.state.types[request.type].names.size);
    if (excess !== undefined) {
      refuse(excess, status.RESOURCE_EXHAUSTED);
      return;
    }
    fleets.request(stream, request, nowMs());
    if (request.nonce !== "") noteAnswer(request, log, options.metrics);
    // A client that comes back says with its first requests what it holds.
    onChange();
  });
  call.on("cancelled", close);
  call.on("close", close);
  call.on("error", close);
  call.on("end", () => {
    close();
    call.end();
  });
}

function end(call: Call, code: status, details: string): void {
  call.emit("error", { code, details, metadata: new Metadata() });
}

function open(
  call: Call,
  options: AdsServiceOptions,
  node: { readonly id: string; readonly cluster: string },
): EnvoyStream {
  const { fleets, metrics } = options;
  const stream = fleets.open(node.id, node.cluster, (responses) => {
    for (const response of responses) {
      call.write(encodeResponse(response));
      // An Envoy that starts is answered even if there is nothing for it: that pushes nothing.
      const isPush = response.resources.length > 0 || response.removed.length > 0;
      if (isPush) metrics.increment("mcwan_xds_pushes_total", { type: response.type });
    }
  });
  countStreams(options, node.cluster);
  return stream;
}

function noteAnswer(request: StreamRequest, log: Log, metrics: Metrics): void {
  const { type, error } = request;
  metrics.increment(error === undefined ? "mcwan_xds_acks_total" : "mcwan_xds_nacks_total", { type });
  if (error !== undefined) log.error("envoy refused configuration", { type, reason: error });
}

function countStreams({ fleets, metrics }: AdsServiceOptions, fleet: string): void {
  const count = fleets.streams().get(fleet)?.length;
  // Whoever reaches the port may name any number of fleets.
  if (count === undefined) metrics.forget("mcwan_xds_streams", { fleet });
  else metrics.set("mcwan_xds_streams", { fleet }, count);
}
