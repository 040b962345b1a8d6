/**
 * `mcwan probe`: bounded HTTP traffic from inside a Pod, for demos, tests and measurements; `--idle` keeps such a Pod running.
 *
 *     kubectl exec deploy/client -- mcwan probe http://payment.secure.svc.clusterset.local:8080/payment --count 100 -o json
 */
import { once } from "node:events";
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { UsageError } from "../../model/errors.ts";
import { runLoad } from "./probe-load.ts";
import { summaryText } from "./probe-summary.ts";
import { numberOption } from "./whole-number.ts";

interface ProbeOptions {
  readonly method: string;
  readonly count?: number;
  readonly duration?: number;
  readonly rate?: number;
  readonly concurrency: number;
  readonly host?: string;
  readonly header: Readonly<Record<string, string>>;
  readonly bytes?: number;
  readonly bodyBytes: number;
  readonly keepAlive?: boolean;
  readonly timeoutMs: number;
  readonly output: "text" | "json";
  readonly idle?: boolean;
}

const maxBytes = 64 * 1024 * 1024;
/** Without a bound of either kind this one holds; and no run lasts longer. */
const maxDurationMs = 24 * 3600 * 1000;

/** Adds the command. */
export function registerProbe(program: Command): void {
  program
    .command("probe")
    .description("Send a bounded number of HTTP requests and print what came of them")
    .argument("[url]", "http:// URL to send them to")
    .option("--method <method>", "method of the requests", "GET")
    .option(
      "--count <n>",
      "how many (default: 1, or as --duration allows)",
      numberOption({ min: 1, max: 10_000_000 }),
    )
    .option("--duration <time>", "for how long, as 500ms, 30s or 5m", durationMs)
    .option(
      "--rate <n>",
      "requests per second (default: as fast as answers come)",
      numberOption({ min: 1, max: 100_000 }),
    )
    .option("--concurrency <n>", "how many may be under way at once", numberOption({ min: 1, max: 1024 }), 1)
    .option("--host <name>", "Host header, instead of the URL's")
    .option("--header <name:value>", "a further header; may be repeated", addHeader, {})
    .option(
      "--bytes <n>",
      "ask mcwan echo for so many bytes (?bytes=)",
      numberOption({ min: 0, max: maxBytes }),
    )
    .option("--body-bytes <n>", "send a body of so many bytes", numberOption({ min: 0, max: maxBytes }), 0)
    .option("--keep-alive", "share connections; otherwise every request has its own")
    .option("--timeout-ms <n>", "limit for one request", numberOption({ min: 1, max: 3_600_000 }), 10_000)
    .addOption(new Option("-o, --output <form>", "text or json").choices(["text", "json"]).default("text"))
    .option("--idle", "send nothing and wait for SIGTERM: keeps a client Pod running")
    .action(async (url: string | undefined, options: ProbeOptions) => {
      await (options.idle === true ? untilStopped() : probe(url, options));
    });
}

async function probe(given: string | undefined, options: ProbeOptions): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => {
    stop.abort();
  };
  process.once("SIGTERM", onSignal).once("SIGINT", onSignal);
  const summary = await runLoad(
    {
      url: urlOf(given, options.bytes),
      method: options.method.toUpperCase(),
      headers: { ...options.header, ...(options.host === undefined ? {} : { host: options.host }) },
      bodyBytes: options.bodyBytes,
      count: options.count ?? (options.duration === undefined ? 1 : Number.POSITIVE_INFINITY),
      durationMs: options.duration ?? maxDurationMs,
      rate: options.rate ?? Number.POSITIVE_INFINITY,
      concurrency: options.concurrency,
      keepAlive: options.keepAlive ?? false,
      timeoutMs: options.timeoutMs,
    },
    stop.signal,
  );
  process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
  process.stdout.write(
    options.output === "json" ? `${JSON.stringify(summary, null, 2)}\n` : summaryText(summary),
  );
}

/** Nothing is under way, so there is nothing to wait for. */
async function untilStopped(): Promise<void> {
  const keepAwake = setInterval(() => undefined, 3_600_000);
  await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
  clearInterval(keepAwake);
}

function urlOf(given: string | undefined, bytes: number | undefined): URL {
  if (given === undefined) throw new UsageError("mcwan probe needs a URL, or --idle");
  const url = URL.parse(given);
  if (url?.protocol !== "http:") throw new UsageError(`${given} is no http:// URL`);
  if (bytes !== undefined) url.searchParams.set("bytes", String(bytes));
  return url;
}

function durationMs(text: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  const factor = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit];
  if (factor === undefined) throw new InvalidArgumentError("Expected a time, as 500ms, 30s or 5m.");
  const value = Number(digits) * factor;
  if (value === 0 || value > maxDurationMs)
    throw new InvalidArgumentError("Expected a time from 1ms to 24h.");
  return value;
}

function addHeader(text: string, headers: Readonly<Record<string, string>>): Record<string, string> {
  const at = text.indexOf(":");
  if (at < 1) throw new InvalidArgumentError("Expected name:value.");
  return { ...headers, [text.slice(0, at).trim().toLowerCase()]: text.slice(at + 1).trim() };
}
