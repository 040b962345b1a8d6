/**
 * The ADS service: gRPC streams of Envoys on one side, `serve`'s fleets on the other.
 *
 *     Envoy ⇄ DeltaAggregatedResources ⇄ Fleets
 *
 * Nobody is served without the token of a Pod of gateways, and that Pod gets its own fleet's configuration under its own name
 * only. Speaks delta only: the bootstrap that mc-wan writes asks for nothing else, so the state-of-the-world variant is
 * answered with UNIMPLEMENTED. grpc-js never sees a message object, only bytes.
 */
import { status } from "@grpc/grpc-js";
import type { handleBidiStreamingCall, ServerDuplexStream, ServiceDefinition } from "@grpc/grpc-js";
import type { Log } from "../../model/log.ts";
import type { Metrics } from "../../model/metrics.ts";
import type { EnvoyStream, Fleets } from "../../serve/fleets.ts";
import type { StreamRequest } from "../../serve/stream-state.ts";
import { decodeRequest, encodeResponse, streamRequestOf } from "./discovery-messages.ts";
import { denial } from "./door.ts";
import type { Denial, Door } from "./door.ts";
import { rawBytes } from "./raw-bytes.ts";
import { excessOf, introductionMs, maxStreams } from "./stream-limits.ts";

/** The methods of envoy.service.discovery.v3.AggregatedDiscoveryService. */
export const adsDefinition = {
  DeltaAggregatedResources: {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    requestStream: true,
    responseStream: true,
    ...rawBytes,
  },
  StreamAggregatedResources: {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    requestStream: true,
    responseStream: true,
    ...rawBytes,
  },
} satisfies ServiceDefinition;

export interface AdsServiceOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly door: Pick<Door, "pod" | "fleetOf">;
  readonly fleets: Fleets;
  /** Called after an Envoy has acknowledged or refused something, or a stream has come or gone. */
  readonly onChange: () => void;
  /** Milliseconds, monotonic. */
  readonly nowMs: () => number;
}

/** A handler of the service, and an end to all of its streams. */
export interface AdsService {
  readonly handler: handleBidiStreamingCall<Buffer, Buffer>;
  /** Of the state-of-the-world variant. */
  readonly refusal: handleBidiStreamingCall<Buffer, Buffer>;
  /** Ends every stream in good order: Envoys keep what they have and connect anew. */
  endAll(): void;
}

type Call = ServerDuplexStream<Buffer, Buffer>;

/** What a node has to call itself. */
interface Admitted {
  /** Its Pod. */
  readonly id: string;
  /** Its fleet. */
  readonly cluster: string;
}

/** Makes the service; a server has to be given its handler. */
export function createAdsService(options: AdsServiceOptions): AdsService {
  const calls = new Set<Call>();
  const admitted = async (call: Call): Promise<Admitted | Denial> => {
    const pod = await options.door.pod(call.metadata);
    if ("code" in pod) return pod;
    const fleet = options.door.fleetOf(pod);
    if (fleet === undefined) return denial(status.PERMISSION_DENIED, "The Pod's account is of no gateways.");
    return { id: pod.pod, cluster: fleet };
  };
  const begin = (call: Call, serve: (node: Admitted) => void): void => {
    // A client that goes before it is known is no mistake.
    call.on("error", () => undefined);
    const refuse = (error: Denial): void => {
      options.metrics.increment("mcwan_xds_denied_total", { code: status[error.code] });
      call.emit("error", error);
    };
    if (calls.size >= maxStreams) {
      refuse(denial(status.RESOURCE_EXHAUSTED, "Too many streams."));
      return;
    }
    calls.add(call);
    call.once("close", () => calls.delete(call));
    call.once("cancelled", () => calls.delete(call));
    void admitted(call).then((node) => {
      if (!calls.has(call)) return;
      if (!("code" in node)) {
        serve(node);
        return;
      }
      calls.delete(call);
      refuse(node);
    });
  };
  return {
    handler: (call) => {
      begin(call, (node) => {
        serveStream(call, options, node);
      });
    },
    refusal: (call) => {
      begin(call, () => {
        call.emit("error", denial(status.UNIMPLEMENTED, "Only deltas are served."));
      });
    },
    endAll: () => {
      for (const call of calls) call.end();
    },
  };
}

function serveStream(call: Call, options: AdsServiceOptions, node: Admitted): void {
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
    // Only the first request of a stream is sure to name its node (X12); whichever does has to tell the truth.
    const { id = "", cluster = "" } = message.node ?? {};
    if (stream === undefined && (id === "" || cluster === "")) {
      refuse("The first request must name node.id and node.cluster.");
      return;
    }
    if (message.node !== undefined && (id !== node.id || cluster !== node.cluster)) {
      options.metrics.increment("mcwan_xds_denied_total", { code: status[status.PERMISSION_DENIED] });
      refuse("The node is not the Pod of the token, or its fleet not the Pod's.", status.PERMISSION_DENIED);
      return;
    }
    if (stream === undefined) {
      log = log.child({ node: id, fleet: cluster });
      clearTimeout(introduction);
      stream = open(call, options, node);
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
  call.emit("error", denial(code, details));
}

function open(call: Call, options: AdsServiceOptions, node: Admitted): EnvoyStream {
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
  // Gateways come and go.
  if (count === undefined) metrics.forget("mcwan_xds_streams", { fleet });
  else metrics.set("mcwan_xds_streams", { fleet }, count);
}
