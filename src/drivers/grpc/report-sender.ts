/**
 * A follower's side of replica reports: keeps a stream to the Lease holder and sends the whole report whenever it
 * changed, at most once per short while. What can't be sent is not kept: the next stream begins with the newest.
 */
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { ClientWritableStream } from "@grpc/grpc-js";
import type { Log } from "../../model/log.ts";
import type { Report } from "../../serve/replica-report.ts";
import { replicaHeader, reportDefinition } from "./replica-report.ts";
import { reportBytes } from "./report-message.ts";

const coalesceMs = 20;
const minRetryMs = 100;
const maxRetryMs = 5_000;

export interface ReportingOptions {
  /** The Lease holder: `host:port`. */
  readonly address: string;
  /** This replica's name (its Pod's). */
  readonly replica: string;
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
  const { address, replica, current } = options;
  const log = options.log.child({ leader: address });
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
    // Our own back-off decides.
    "grpc.max_reconnect_backoff_ms": maxRetryMs,
  });
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
  const connect = (): void => {
    timer = undefined;
    const metadata = new Metadata();
    metadata.set(replicaHeader, replica);
    const { path, requestSerialize, responseDeserialize } = reportDefinition.Report;
    const made = client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadata,
      (error) => {
        if (isStopped || call !== made) return;
        call = undefined;
        clearTimeout(timer);
        log.warn("reports to the leader ended", { code: error?.code });
        // Half of the time is random: many replicas don't come back at once.
        timer = setTimeout(connect, retryMs * (0.5 + Math.random() / 2));
        timer.unref();
        retryMs = Math.min(retryMs * 2, maxRetryMs);
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
  connect();
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
      client.close();
    },
  };
}
