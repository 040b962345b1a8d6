/**
 * A follower's side of replica reports: keeps a stream to the Lease holder and sends the whole report whenever it
 * changed, at most once per short while. What can't be sent is not kept: the next stream begins with the newest.
 */
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { ClientWritableStream } from "@grpc/grpc-js";
import { createSecureContext } from "node:tls";
import type { Log } from "../../model/log.ts";
import type { Report } from "../../serve/replica-report.ts";
import { controllerServerName } from "../../model/names.ts";
import { reportDefinition } from "./replica-report.ts";
import { reportBytes } from "./report-message.ts";

const coalesceMs = 20;
const minRetryMs = 100;
const maxRetryMs = 5_000;

export interface ReportingOptions {
  /** The Lease holder: `host:port`. */
  readonly address: string;
  /** This replica's own token, which says who it is; asked for at each connection, since tokens rotate. */
  readonly token: () => Promise<string>;
  /** By whose certificates the leader's is checked, as PEM; asked for at each connection. */
  readonly bundle: () => string;
  readonly log: Log;
  readonly current: () => Report;
}

/** A follower's reporting. */
export interface Reporting {
  /** The report may have changed. */
  changed(): void;
  stop(): void;
}

/** Reports to the Lease holder until stopped, over any number of connections. */
export function startReporting(options: ReportingOptions): Reporting {
  const { address, token, bundle, current } = options;
  const log = options.log.child({ leader: address });
  let client: Client | undefined;
  let call: ClientWritableStream<Buffer> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let retryMs = minRetryMs;
  let isStopped = false;
  let sent: Buffer | undefined;

  const send = (): void => {
    timer = undefined;
    if (call === undefined || call.writableNeedDrain) return;
    const bytes = reportBytes(current());
    if (sent?.equals(bytes) === true) return;
    sent = bytes;
    call.write(bytes);
  };
  const retry = (): void => {
    clearTimeout(timer);
    // Half of the time is random: many replicas don't come back at once.
    timer = setTimeout(() => void connect(), retryMs * (0.5 + Math.random() / 2));
    timer.unref();
    retryMs = Math.min(retryMs * 2, maxRetryMs);
  };
  const connect = async (): Promise<void> => {
    timer = undefined;
    const own = await token().catch((error: unknown) => {
      log.warn("the controller's own token can't be read", { error });
      return undefined;
    });
    if (isStopped) return;
    if (own === undefined || bundle() === "") {
      retry();
      return;
    }
    client?.close();
    client = connectTo(address, bundle());
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${own.trim()}`);
    const { path, requestSerialize, responseDeserialize } = reportDefinition.Report;
    const made = client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadata,
      (error) => {
        if (isStopped || call !== made) return;
        call = undefined;
        log.warn("reports to the leader ended", { code: error?.code });
        retry();
      },
    );
    call = made;
    made.on("drain", send);
    made.on("metadata", () => {
      retryMs = minRetryMs;
    });
    // The callback tells of it too.
    made.on("error", () => undefined);
    sent = undefined;
    send();
  };
  void connect();
  return {
    changed: () => {
      if (isStopped || call === undefined || timer !== undefined) return;
      timer = setTimeout(send, coalesceMs);
      timer.unref();
    },
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
      call?.end();
      client?.close();
    },
  };
}

/** Whatever the address, the certificate has to be a controller's of this cluster. */
function connectTo(address: string, bundle: string): Client {
  const channel = credentials.createFromSecureContext(
    createSecureContext({ ca: bundle, minVersion: "TLSv1.3", maxVersion: "TLSv1.3" }),
  );
  return new Client(address, channel, {
    "grpc.ssl_target_name_override": controllerServerName,
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
    // Our own back-off decides.
    "grpc.max_reconnect_backoff_ms": maxRetryMs,
  });
}
