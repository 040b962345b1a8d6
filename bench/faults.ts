/** `faults`: what dies under load, and what becomes of the requests of the next 10 s. */
import type { BenchLab } from "./cluster.ts";
import { openFaultRig } from "./fault-clusters.ts";
import { faults as allFaults, faultWords, inject } from "./fault-rig.ts";
import type { Fault, FaultResult } from "./fault-rig.ts";
import { quantile, rounded } from "./measurement.ts";
import type { BenchContext, Figure, Measurement } from "./measurement.ts";

/** Of the requests of the 10 s after a fault. */
const failedShareTarget = 1;
const lastFailureTargetMs = 2_000;

/** In a lab of three clusters. A measurement for each fault. */
export async function faults(
  { lab }: BenchLab,
  { progress, signal, quick }: BenchContext,
): Promise<Measurement[]> {
  const { rig, close } = await openFaultRig(lab, { ratePerSecond: 200, signal });
  const count = quick ? 2 : 20;
  try {
    const measured: Measurement[] = [];
    for (const fault of allFaults) {
      const results: FaultResult[] = [];
      for (let round = 1; round <= count; round++) {
        const result = await inject(rig, fault, signal);
        results.push(result);
        progress(`faults: ${fault} ${round}/${count}: ${wordsOf(result)}`);
      }
      measured.push(measurementOf(fault, results));
    }
    return measured;
  } finally {
    await close();
  }
}

const shareOf = ({ requests, failed }: FaultResult): number => (100 * failed) / Math.max(1, requests);

function wordsOf(result: FaultResult): string {
  const { requests, failed, lastFailureMs, p99Ms, maxMs, failures } = result;
  const last = lastFailureMs === undefined ? "" : `, the last after ${lastFailureMs} ms`;
  const why = failed === 0 ? "" : ` ${JSON.stringify(failures)}`;
  return `${failed} of ${requests} failed (${rounded(shareOf(result))} %)${last}; p99 ${Math.round(p99Ms)} ms, max ${Math.round(maxMs)} ms${why}`;
}

function measurementOf(fault: Fault, results: readonly FaultResult[]): Measurement {
  const shares = results.map(shareOf);
  const lasts = results.map(({ lastFailureMs = 0 }) => lastFailureMs);
  const well = shares.filter((share) => share <= failedShareTarget).length;
  const figures: Figure[] = [
    { name: "injections", value: results.length },
    {
      name: "injections with more than 1 % failed",
      value: results.length - well,
      target: results.length / 20,
    },
    { name: "failed share p50, %", value: rounded(quantile(shares, 0.5)) },
    { name: "failed share p95, %", value: rounded(quantile(shares, 0.95)), target: failedShareTarget },
    { name: "failed share max, %", value: rounded(quantile(shares, 1)) },
    { name: "last failure max, ms", value: quantile(lasts, 1), target: lastFailureTargetMs },
    {
      name: "latency p99, largest, ms",
      value: Math.round(
        quantile(
          results.map(({ p99Ms }) => p99Ms),
          1,
        ),
      ),
    },
    {
      name: "latency max, ms",
      value: Math.round(
        quantile(
          results.map(({ maxMs }) => maxMs),
          1,
        ),
      ),
    },
  ];
  return {
    benchmark: "faults",
    title: `at 200 GET/s ${faultWords[fault]}`,
    figures,
    notes: results.map((result, index) => `${fault} ${index + 1}: ${wordsOf(result)}`),
  };
}
