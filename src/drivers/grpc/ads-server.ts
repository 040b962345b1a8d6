/**
 * The ADS server: gRPC streams of Envoys on one side, `serve`'s fleets on the other.
 *
 *     Envoy ⇄ DeltaAggregatedResources ⇄ Fleets
 *
 * Speaks delta only: the bootstrap that mc-wan writes asks for nothing else, so the state-of-the-world variant is answered
 * with UNIMPLEMENTED. Responses are put together from encoded bytes; grpc-js never sees a message object.
 */
import { Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js";
import type { handleBidiStreamingCall, ServerDuplexStream, ServiceDefinition } from "@grpc/grpc-js";
import { fromBinary } from "@bufbuild/protobuf";
import { DeltaDiscoveryRequestSchema } from "../../envoy/envoy/service/discovery/v3/discovery_pb.ts";
import type { DeltaDiscoveryRequest } from "../../envoy/envoy/service/discovery/v3/discovery_pb.ts";
import type { Log } from "../../model/log.ts";
import type { Fleets, EnvoyStream } from "../../serve/fleets.ts";
import type { StreamRequest, StreamResponse } from "../../serve/ads-stream.ts";
import { addOrder } from "../../serve/snapshot.ts";
import type { SnapshotType } from "../../serve/snapshot.ts";
import { lengthDelimited } from "../../serve/wire.ts";

/** Largest request, in bytes: a reconnecting Envoy lists all that it holds. */
const maxRequestBytes = 32 * 1024 * 1024;
const tickMs = 500;

export interface AdsServerOptions {
  readonly log: Log;
  readonly fleets: Fleets;
  /** Address and port to listen on, `0.0.0.0:18000`; port 0 takes a free one. */
  readonly listen: string;
  /** Called after an Envoy has acknowledged or refused something, or a stream has come or gone. */
  readonly onChange: () => void;
  /** Counts what goes over the wire. */
  readonly count?: (event: "response" | "ack" | "nack", type: SnapshotType) => void;
  /** More services on the same port. */
  readonly services?: readonly {
    readonly definition: ServiceDefinition;
    readonly handlers: Record<string, unknown>;
  }[];
}

/** A running ADS server. */
export interface AdsServer {
  readonly port: number;
  /** Ends all streams at once; Envoys keep what they have and connect to another replica. */
  stop(): void;
}

const raw = { serialize: (bytes: Buffer): Buffer => bytes, deserialize: (bytes: Buffer): Buffer => bytes };

const adsService: ServiceDefinition = {
  DeltaAggregatedResources: {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    requestStream: true,
    responseStream: true,
    requestSerialize: raw.serialize,
    requestDeserialize: raw.deserialize,
    responseSerialize: raw.serialize,
    responseDeserialize: raw.deserialize,
  },
};

type Call = ServerDuplexStream<Buffer, Buffer>;

/** Starts to listen. Fails with the system's error if the port is taken. */
export async function startAdsServer(options: AdsServerOptions): Promise<AdsServer> {
  const server = new Server({
    "grpc.max_receive_message_length": maxRequestBytes,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
  });
  const handler: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    serveStream(call, options);
  };
  server.addService(adsService, { DeltaAggregatedResources: handler });
  for (const { definition, handlers } of options.services ?? []) {
    server.addService(definition, handlers as Parameters<Server["addService"]>[1]);
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(options.listen, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  const timer = setInterval(() => {
    options.fleets.tick(performance.now());
  }, tickMs);
  timer.unref();
  return {
    port,
    stop: () => {
      clearInterval(timer);
      server.forceShutdown();
    },
  };
}

function serveStream(call: Call, options: AdsServerOptions): void {
  const { fleets, onChange, count } = options;
  let stream: EnvoyStream | undefined;
  let log = options.log;
  const refuse = (code: status, details: string): void => {
    call.emit("error", { code, details, metadata: new Metadata() });
  };
  call.on("data", (bytes: Buffer) => {
    const message = decode(bytes);
    if (message === undefined) {
      refuse(status.INVALID_ARGUMENT, "The request is no DeltaDiscoveryRequest.");
      return;
    }
    if (stream === undefined) {
      const { id = "", cluster = "" } = message.node ?? {};
      if (id === "" || cluster === "") {
        refuse(status.INVALID_ARGUMENT, "The first request must name node.id and node.cluster.");
        return;
      }
      log = log.child({ node: id, fleet: cluster });
      stream = fleets.open(id, cluster, (responses) => {
        for (const response of responses) {
          call.write(encodeResponse(response));
          count?.("response", response.type);
        }
      });
      log.info("envoy connected");
    }
    const request = requestOf(message);
    // Types that mc-wan doesn't serve are never answered, as the protocol allows.
    if (request === undefined) return;
    fleets.request(stream, request, performance.now());
    if (request.nonce === "") return;
    count?.(request.error === undefined ? "ack" : "nack", request.type);
    if (request.error !== undefined)
      log.error("envoy refused configuration", { type: request.type, reason: request.error });
    onChange();
  });
  const close = (): void => {
    if (stream === undefined) return;
    fleets.close(stream);
    stream = undefined;
    log.info("envoy disconnected");
    onChange();
  };
  call.on("cancelled", close);
  call.on("close", close);
  call.on("error", close);
  call.on("end", () => {
    close();
    call.end();
  });
}

function decode(bytes: Buffer): DeltaDiscoveryRequest | undefined {
  try {
    return fromBinary(DeltaDiscoveryRequestSchema, bytes);
  } catch {
    return undefined;
  }
}

function requestOf(message: DeltaDiscoveryRequest): StreamRequest | undefined {
  const type = addOrder.find((known) => known === message.typeUrl);
  if (type === undefined) return undefined;
  return {
    type,
    subscribe: message.resourceNamesSubscribe,
    unsubscribe: message.resourceNamesUnsubscribe,
    initialVersions: new Map(Object.entries(message.initialResourceVersions)),
    nonce: message.responseNonce,
    ...(message.errorDetail === undefined ? {} : { error: message.errorDetail.message }),
  };
}

/** The bytes of a DeltaDiscoveryResponse: resources = 2, type_url = 4, nonce = 5, removed_resources = 6. */
function encodeResponse(response: StreamResponse): Buffer {
  return Buffer.concat([
    ...response.resources.map(({ bytes }) => lengthDelimited(2, bytes)),
    lengthDelimited(4, Buffer.from(response.type)),
    lengthDelimited(5, Buffer.from(response.nonce)),
    ...response.removed.map((name) => lengthDelimited(6, Buffer.from(name))),
  ]);
}
