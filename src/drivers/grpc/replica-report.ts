/**
 * Replicas tell the Lease holder what their Envoys acknowledged: a client stream on the port of ADS, whose messages are
 * whole reports as JSON, the newest counting.
 *
 *     follower: current() → startReporting ──gRPC──→ ReportReceiver: reports() → mergeReports
 *
 * Only controllers of this cluster may report, each for itself: a Pod's token says which. What comes in is checked by schema
 * and limited in size; a stream that sends anything else is ended.
 */
import { status } from "@grpc/grpc-js";
import type {
  handleClientStreamingCall,
  sendUnaryData,
  ServerReadableStream,
  ServiceDefinition,
} from "@grpc/grpc-js";
import { departedReport } from "../../serve/replica-report.ts";
import type { Report } from "../../serve/replica-report.ts";
import { denial, isController } from "./door.ts";
import type { Door } from "./door.ts";
import { rawBytes } from "./raw-bytes.ts";
import { parseReport } from "./report-message.ts";

/** Largest report, in bytes. */
const maxReportBytes = 8 * 1024 * 1024;
/** How many replicas may report: more than that is no deployment of ours. */
const maxReplicas = 16;

/** The method by which a replica reports. */
export const reportDefinition = {
  Report: {
    path: "/mcwan.v1.ReplicaReports/Report",
    requestStream: true,
    responseStream: false,
    ...rawBytes,
  },
} satisfies ServiceDefinition;

/** The Lease holder's side. */
export interface ReportReceiver {
  readonly handler: handleClientStreamingCall<Buffer, Buffer>;
  /** The newest report of each replica that is connected, or was a short while ago. */
  reports(): readonly Report[];
  stop(): void;
}

interface Replica {
  call: ServerReadableStream<Buffer, Buffer> | undefined;
  report: Report | undefined;
  timer?: NodeJS.Timeout;
}

export interface ReportReceiverOptions {
  readonly door: Pick<Door, "pod">;
  readonly onChange: () => void;
  /** How long the ports that a replica named still count when it is gone, in milliseconds. */
  readonly departedMs: number;
}

/** Receives reports. */
export function createReportReceiver(options: ReportReceiverOptions): ReportReceiver {
  const { door, onChange, departedMs } = options;
  const replicas = new Map<string, Replica>();
  const leave = (name: string, call: ServerReadableStream<Buffer, Buffer>): void => {
    const replica = replicas.get(name);
    if (replica?.call !== call) return;
    replica.call = undefined;
    replica.report = replica.report === undefined ? undefined : departedReport(replica.report);
    replica.timer = setTimeout(() => {
      replicas.delete(name);
      onChange();
    }, departedMs);
    replica.timer.unref();
    onChange();
  };
  const receive = (
    name: string,
    call: ServerReadableStream<Buffer, Buffer>,
    callback: sendUnaryData<Buffer>,
  ): void => {
    const refuse = (code: status, details: string): void => {
      leave(name, call);
      callback(denial(code, details));
    };
    if (replicas.size >= maxReplicas && !replicas.has(name)) {
      refuse(status.RESOURCE_EXHAUSTED, "Too many replicas report.");
      return;
    }
    const replica: Replica = replicas.get(name) ?? { call, report: undefined };
    clearTimeout(replica.timer);
    replica.call = call;
    replicas.set(name, replica);
    call.on("data", (bytes: Buffer) => {
      if (replica.call !== call) return;
      const report = bytes.length > maxReportBytes ? undefined : parseReport(bytes);
      if (report === undefined) {
        refuse(status.INVALID_ARGUMENT, "The message is no report.");
        return;
      }
      replica.report = report;
      onChange();
    });
    call.on("end", () => {
      leave(name, call);
      callback(null, Buffer.alloc(0));
    });
    for (const event of ["cancelled", "close", "error"] as const) {
      call.on(event, () => {
        leave(name, call);
      });
    }
  };
  return {
    handler: (call, callback) => {
      call.on("error", () => undefined);
      void door.pod(call.metadata).then((pod) => {
        if ("code" in pod) callback(pod);
        else if (!isController(pod)) callback(denial(status.PERMISSION_DENIED, "Only controllers report."));
        else receive(pod.pod, call, callback);
      });
    },
    reports: () =>
      [...replicas.values()].map(({ report }) => report).filter((report) => report !== undefined),
    stop: () => {
      for (const { timer } of replicas.values()) clearTimeout(timer);
      replicas.clear();
    },
  };
}
