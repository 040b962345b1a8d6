/** The claim that requests of one kind take one tunnel, by what the kernel has counted on every link. */
import { must } from "./claim.ts";
import type { Claim } from "./claim.ts";
import type { Environment } from "./environment.ts";
import type { Workload } from "./example.ts";
import { probe } from "./traffic.ts";
import { bytesByTunnel, crossings } from "./wire.ts";

const mebibyte = 1024 * 1024;
const requests = 20;
const answerBytes = mebibyte / 8;

/** Which requests, and where they have to go. */
export interface Way {
  readonly method: string;
  /** Without the path. */
  readonly url: string;
  readonly path: string;
  readonly tunnel: string;
  readonly client: (environment: Environment) => Workload;
  /** What keep-alives of idle connections may come to on other tunnels: far less than one answer. Default: none. */
  readonly idleBytes?: number;
}

/** Requests of one method and path go over one tunnel, whole, and nothing of them over another. */
export function goesOnly({ method, url, path, tunnel, client, idleBytes = 0 }: Way): Claim {
  return {
    title: `${method} ${path} is answered and goes over ${tunnel} only`,
    needsLab: true,
    prove: async (environment) => {
      // A keep-alive of another policy's idle connection may fall into one window, never into three in a row.
      for (let attempt = 1; ; attempt += 1) {
        const { result, crossed } = await crossings(environment, environment.consumer.id, () =>
          probe(environment, client(environment), [
            ...[`${url}${path}`, "--method", method],
            ...["--count", String(requests), "--bytes", String(answerBytes)],
          ]),
        );
        const byTunnel = bytesByTunnel(crossed);
        const evidence = { statuses: result.statuses, payloadBytes: result.bytes, tunnelBytes: byTunnel };
        must(result.statuses["200"] === requests, "not every request was answered with 200", evidence);
        must(result.bytes >= mebibyte, "less than 1 MiB of payload came back", evidence);
        must((byTunnel[tunnel] ?? 0) >= result.bytes, `the payload did not all go over ${tunnel}`, evidence);
        if (Object.entries(byTunnel).every(([name, bytes]) => name === tunnel || bytes <= idleBytes))
          return evidence;
        must(attempt < 3, `something went over another tunnel than ${tunnel}`, evidence);
      }
    },
  };
}
