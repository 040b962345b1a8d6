/**
 * Rate limits, delay, jitter and loss of the tunnels, by the kernel. What this kernel can't do is said, never pretended.
 *
 *     rate: tbf │ delay, jitter, loss: netem, where the kernel has it; else loss by a random drop in the packet filter, and no delay
 *
 * A random drop takes super-packets of segmentation offload as a whole, so it hits bulk transfers harder than single packets.
 */
import { endsOf, type LabPlan, type TunnelPlan } from "../lab-plan.ts";
import { inNetns } from "../inside/network.ts";
import { run } from "../node-agent/run-command.ts";

/** A quality that a tunnel was to have and doesn't. */
export interface NotApplied {
  readonly tunnel: string;
  readonly quality: "rate" | "delay" | "jitter" | "loss";
  /** What the kernel said, one line. */
  readonly reason: string;
}

/** How a tunnel's quality is made on this kernel. */
export interface QualityCommands {
  /** Arguments of `tc qdisc add dev <interface>`, in order. */
  readonly disciplines: readonly (readonly string[])[];
  /** What the packet filter has to drop of what arrives. */
  readonly dropPercent: number;
  readonly missing: readonly NotApplied["quality"][];
}

/** How to make a tunnel's quality with or without netem. Pure. */
export function qualityCommands(tunnel: TunnelPlan, hasNetem: boolean): QualityCommands {
  const { rateMbit, delayMs = 0, jitterMs = 0, lossPercent = 0 } = tunnel;
  const impaired = hasNetem && (delayMs > 0 || jitterMs > 0 || lossPercent > 0);
  const netem = `root handle 1: netem limit 10000 delay ${delayMs}ms ${jitterMs}ms loss ${lossPercent}%`;
  const burst = Math.max(64, Math.ceil((rateMbit ?? 0) * 1.25));
  const tbf = `${impaired ? "parent 1:" : "root"} handle 2: tbf rate ${rateMbit ?? 0}mbit burst ${burst}kb latency 100ms`;
  return {
    disciplines: [...(impaired ? [netem] : []), ...(rateMbit === undefined ? [] : [tbf])].map((words) =>
      words.split(" "),
    ),
    dropPercent: hasNetem ? 0 : lossPercent,
    missing: hasNetem
      ? []
      : [...(delayMs > 0 ? ["delay" as const] : []), ...(jitterMs > 0 ? ["jitter" as const] : [])],
  };
}

/** nft text of a table that drops a share of what arrives over links, before anything counts it. Pure. */
export function dropTable(
  links: readonly { readonly interface: string; readonly dropPercent: number }[],
): string {
  const rules = links.map(
    (link) =>
      `    iifname "${link.interface}" numgen random mod 1000000 < ${Math.round(link.dropPercent * 10_000)} drop\n`,
  );
  return `table inet mcwan_lab_loss {\n  chain wire {\n    type filter hook prerouting priority -350; policy accept;\n${rules.join("")}  }\n}\n`;
}

/** Applies the tunnels' qualities to both ends of every link. Gives what could not be applied. */
export async function applyLinkQuality(plan: LabPlan): Promise<NotApplied[]> {
  const [first] = plan.clusters;
  if (first === undefined || !plan.tunnels.some(wantsNetem)) return await applyWith(plan, undefined);
  return await applyWith(plan, await netemFailure(first.id));
}

async function applyWith(plan: LabPlan, noNetem: string | undefined): Promise<NotApplied[]> {
  const failures = new Map<string, NotApplied>();
  const fail = (tunnel: string, quality: NotApplied["quality"], reason: string): void => {
    failures.set(`${tunnel} ${quality}`, { tunnel, quality, reason });
  };
  for (const { id } of plan.clusters) {
    const drops: { interface: string; dropPercent: number; tunnel: string }[] = [];
    for (const end of endsOf(plan, id)) {
      const tunnel = plan.tunnels.find(({ name }) => name === end.tunnel) ?? { name: end.tunnel };
      const { disciplines, dropPercent, missing } = qualityCommands(tunnel, noNetem === undefined);
      for (const quality of missing) fail(tunnel.name, quality, noNetem ?? "");
      if (dropPercent > 0) drops.push({ interface: end.interface, dropPercent, tunnel: tunnel.name });
      for (const words of disciplines) {
        const reason = await failureOf(run(["tc", "-n", id, "qdisc", "add", "dev", end.interface, ...words]));
        if (reason !== undefined) fail(tunnel.name, words.includes("tbf") ? "rate" : "delay", reason);
      }
    }
    if (drops.length === 0) continue;
    const reason = await failureOf(
      run([...inNetns(id), plan.programs.nft, "-f", "-"], { input: dropTable(drops) }),
    );
    if (reason !== undefined) for (const { tunnel } of drops) fail(tunnel, "loss", reason);
  }
  return [...failures.values()];
}

function wantsNetem({ delayMs = 0, jitterMs = 0, lossPercent = 0 }: TunnelPlan): boolean {
  return delayMs > 0 || jitterMs > 0 || lossPercent > 0;
}

/** Why this kernel has no netem, tried where nobody is disturbed; undefined: it has. */
async function netemFailure(netns: string): Promise<string | undefined> {
  const failure = await failureOf(
    run(["tc", "-n", netns, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "0ms"]),
  );
  if (failure === undefined) await run(["tc", "-n", netns, "qdisc", "del", "dev", "lo", "root"]);
  return failure === undefined ? undefined : `the kernel has no netem (${failure})`;
}

/** The first line of why a command failed. */
async function failureOf(command: Promise<unknown>): Promise<string | undefined> {
  return await command.then(
    () => undefined,
    (error: unknown) =>
      error instanceof Error
        ? (error.message.split("exit 2: ").at(-1)?.split("\n")[0] ?? error.message)
        : String(error),
  );
}
