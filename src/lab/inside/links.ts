/**
 * Makes the lab's links what links.json says, and says in link-status.json what they are: at `up`, and whenever the file is replaced.
 * Never breaks a link to change it: the way through the wire stands beside the direct one, and one route decides between them.
 *
 *     c1 ── wan0-c2 ═════════════════════════════ wan0-c1 ── c2     direct: all that needs no wire, at full speed
 *       └── wire0-c2 ═ l0a [lab.wires: the wire] l0b ═ wire0-c1 ┘
 */
import { watch } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { labFiles, linksOf, type LabPlan } from "../lab-plan.ts";
import type { Link } from "../address-plan.ts";
import { run } from "../node-agent/run-command.ts";
import { isMeant, type DesiredLinks, type LinkDirection } from "../sdwan/link-change.ts";
import {
  dropTable,
  isImpaired,
  meansOf,
  needsWire,
  type DirectionMeans,
  type Lacks,
  type LinkStatus,
  type NotApplied,
} from "../sdwan/link-means.ts";
import type { WireLink } from "../wire/wire-lines.ts";
import type { WireQuality } from "../wire/packet-queue.ts";
import { failureOf, netemFailure } from "./kernel-abilities.ts";
import { inNetns, ipBatch, routeOverLink, WIRE_NETNS } from "./network.ts";
import type { WireProcess, WireState } from "./wire-process.ts";

/** What link-status.json holds. */
export interface LinksStatus {
  /** Of the links.json that this is the result of. */
  readonly generation: number;
  readonly directions: readonly LinkStatus[];
  readonly wire: WireState;
}

/** Segments that the kernel gives to a link in one piece where packets are lost one by one, and by its own default. */
const [ONE_SEGMENT, ANY_SEGMENTS] = [1, 65_535];

/** A direction with its place in the network. */
interface Way {
  readonly direction: LinkDirection;
  readonly sender: Link["ends"][number];
  readonly receiver: Link["ends"][number];
  readonly wired: boolean;
  readonly means: DirectionMeans;
}

/** The links of one lab. */
export class Links {
  readonly #plan: LabPlan;
  readonly #wire: WireProcess;
  readonly #log: (text: string) => void;
  readonly #links: readonly Link[];
  /** What was done last, by interface or cluster: what stays the same is not done again. */
  readonly #done = new Map<string, string>();
  /** Links that have a way through the wire, by their place in `#links`. They keep it: packets may be under way. */
  readonly #wired = new Set<number>();
  #noNetem: Promise<string | undefined> | undefined;
  #status: LinksStatus = { generation: 0, directions: [], wire: { state: "off" } };
  #writing: Promise<void> = Promise.resolve();

  constructor(plan: LabPlan, wire: WireProcess, log: (text: string) => void) {
    this.#plan = plan;
    this.#wire = wire;
    this.#log = log;
    this.#links = linksOf(plan);
  }

  /** Applies links.json, and again each time that it is replaced. Fulfils when it is applied for the first time. */
  async follow(): Promise<void> {
    const file = labFiles(this.#plan.runDir).links;
    await this.#applyFile();
    let applying = Promise.resolve();
    watch(this.#plan.runDir, (_, name) => {
      if (name !== basename(file)) return;
      applying = applying
        .then(() => this.#applyFile())
        .catch((error: unknown) => {
          this.#log(`links: ${error instanceof Error ? error.message : String(error)}`);
        });
    });
    // One that came between.
    await this.#applyFile();
  }

  /** Writes the status anew: the wire is in another state. */
  async tellWire(): Promise<void> {
    if (this.#status.generation > 0) await this.#write({ ...this.#status, wire: this.#wire.state });
  }

  async #applyFile(): Promise<void> {
    const text = await readFile(labFiles(this.#plan.runDir).links, "utf8");
    // Written by lab.ts of the same version, in a folder that only this user can write to.
    const desired = JSON.parse(text) as DesiredLinks;
    if (desired.generation === this.#status.generation) return;
    const directions = await this.#apply(desired);
    await this.#write({ generation: desired.generation, directions, wire: this.#wire.state });
  }

  async #apply({ directions }: DesiredLinks): Promise<LinkStatus[]> {
    const lacks = await this.#lacks(directions);
    const ways = this.#ways(directions, lacks);
    const failure = await this.#throughWire(ways);
    if (failure !== undefined && lacks.wire === undefined)
      return await this.#make(this.#ways(directions, { ...lacks, wire: noWire(failure) }));
    return await this.#make(ways);
  }

  /** Whether there is netem and whether there is a wire, asked when it first matters. */
  async #lacks(directions: readonly LinkDirection[]): Promise<Lacks> {
    const first = this.#plan.clusters[0];
    if (first === undefined || !directions.some(({ quality }) => isImpaired(quality)))
      return { netem: undefined, wire: undefined };
    this.#noNetem ??= netemFailure(first.id);
    const { state } = this.#wire;
    return {
      netem: await this.#noNetem,
      wire: state.state === "unavailable" ? noWire(state.reason) : undefined,
    };
  }

  #ways(directions: readonly LinkDirection[], lacks: Lacks): Way[] {
    return this.#links.flatMap(({ name, ends: [a, b] }) => {
      const both = directions.filter((direction) =>
        isMeant(direction, { link: name, between: [a.cluster, b.cluster] }),
      );
      const wired = needsWire(both, lacks);
      return both.map((direction) => {
        const [sender, receiver] = direction.from === a.cluster ? [a, b] : [b, a];
        return { direction, sender, receiver, wired, means: meansOf(direction, lacks) };
      });
    });
  }

  /** Makes the interfaces that the wire joins, and the wire carry them. Gives why it can't. */
  async #throughWire(ways: readonly Way[]): Promise<string | undefined> {
    for (const [index, link] of this.#links.entries()) {
      if (this.#wired.has(index) || !ways.some((way) => way.wired && isOf(way, link))) continue;
      const lines = link.ends.map(
        (at, place) =>
          `link add ${at.end.wireInterface} netns ${at.cluster} type veth peer name ${wireEnd(index, place)} netns ${WIRE_NETNS}`,
      );
      await ipBatch(undefined, lines);
      await ipBatch(
        WIRE_NETNS,
        [0, 1].map((place) => `link set ${wireEnd(index, place)} up`),
      );
      for (const { cluster, end } of link.ends) await ipBatch(cluster, [`link set ${end.wireInterface} up`]);
      this.#wired.add(index);
    }
    if (this.#wired.size === 0) return undefined;
    const order = [...this.#wired].map((index): WireLink => {
      const link = this.#links[index];
      const [fromA, fromB] = [0, 1].map((place) =>
        wireQuality(ways.find((way) => way.sender === link?.ends[place])),
      );
      return {
        a: wireEnd(index, 0),
        b: wireEnd(index, 1),
        fromA: fromA ?? wireQuality(),
        fromB: fromB ?? wireQuality(),
      };
    });
    return await this.#wire.order(order);
  }

  async #make(ways: readonly Way[]): Promise<LinkStatus[]> {
    const failures = new Map<Way, NotApplied>();
    for (const way of ways) {
      const reason = await failureOf(this.#disciplines(way));
      if (reason !== undefined)
        failures.set(way, { quality: way.means.disciplines[0]?.kind === "netem" ? "delay" : "rate", reason });
    }
    for (const way of ways) await this.#route(way);
    for (const { id } of this.#plan.clusters) {
      const into = ways.filter(({ receiver }) => receiver.cluster === id);
      const reason = await failureOf(this.#drops(id, into));
      if (reason === undefined) continue;
      for (const way of into.filter(({ means }) => means.dropPercent > 0))
        failures.set(way, { quality: way.direction.cut ? "cut" : "loss", reason });
    }
    return ways.map((way) => {
      const failed = failures.get(way);
      const { appliedBy, notApplied } = way.means;
      if (failed === undefined) return { ...way.direction, appliedBy, notApplied };
      const rest = Object.fromEntries(Object.entries(appliedBy).filter(([name]) => name !== failed.quality));
      return { ...way.direction, appliedBy: rest, notApplied: [...notApplied, failed] };
    });
  }

  async #disciplines(way: Way): Promise<void> {
    const { cluster } = way.sender;
    const device = interfaceOf(way);
    const { disciplines } = way.means;
    const segments = (way.direction.quality.lossPercent ?? 0) > 0 ? ONE_SEGMENT : ANY_SEGMENTS;
    await this.#once(
      `segments ${cluster} ${device}`,
      { wanted: `${segments}`, atFirst: `${ANY_SEGMENTS}` },
      async () => {
        await ipBatch(cluster, [`link set dev ${device} gso_max_segs ${segments}`]);
      },
    );
    const key = `disciplines ${cluster} ${device}`;
    const before = this.#done.get(key) ?? "";
    const wanted = disciplines.map(({ words }) => words).join("; ");
    await this.#once(key, { wanted, atFirst: "" }, async () => {
      const tc = ["tc", "-n", cluster, "qdisc"];
      // Of the same kinds: changed in place, and nothing under way is lost.
      if (before !== "" && kindsIn(before) !== kindsIn(wanted))
        await run([...tc, "del", "dev", device, "root"]);
      for (const { words } of disciplines) await run([...tc, "replace", "dev", device, ...words.split(" ")]);
    });
  }

  async #route(way: Way): Promise<void> {
    const { cluster: id, end } = way.sender;
    const cluster = this.#plan.clusters.find((candidate) => candidate.id === id);
    if (cluster === undefined) throw new Error(`the plan has no cluster ${id}`);
    const device = interfaceOf(way);
    await this.#once(`route ${id} ${end.interface}`, { wanted: device, atFirst: end.interface }, async () => {
      await ipBatch(id, [
        `route replace ${end.peerAddress}/32 dev ${device} src ${end.address}`,
        `route replace ${routeOverLink(this.#plan, { cluster, end, interface: device })}`,
      ]);
    });
  }

  async #drops(cluster: string, ways: readonly Way[]): Promise<void> {
    const text = dropTable(
      ways.map(({ receiver: { end }, means: { dropPercent } }) => ({
        interfaces: [end.interface, end.wireInterface],
        dropPercent,
      })),
    );
    await this.#once(`drops ${cluster}`, { wanted: text, atFirst: dropTable([]) }, async () => {
      await run([...inNetns(cluster), this.#plan.programs.nft, "-f", "-"], { input: text });
    });
  }

  /** Does what leads to `wanted`, unless it is so already; `atFirst` is what it is before anything was done. */
  async #once(
    key: string,
    { wanted, atFirst }: { readonly wanted: string; readonly atFirst: string },
    action: () => Promise<void>,
  ): Promise<void> {
    if ((this.#done.get(key) ?? atFirst) === wanted) return;
    await action();
    this.#done.set(key, wanted);
  }

  /** Replaces the file in one step; one writer at a time. */
  async #write(status: LinksStatus): Promise<void> {
    this.#status = status;
    const file = labFiles(this.#plan.runDir).linkStatus;
    this.#writing = this.#writing.then(async () => {
      await writeFile(`${file}.new`, JSON.stringify(this.#status));
      await rename(`${file}.new`, file);
    });
    await this.#writing;
  }
}

function noWire(reason: string): string {
  return `there is no user-space wire either: ${reason}`;
}

function interfaceOf({ wired, sender: { end } }: Way): string {
  return wired ? end.wireInterface : end.interface;
}

function isOf({ sender }: Way, link: Link): boolean {
  return link.ends.includes(sender);
}

/** Name of the wire's end of a link in its namespace. */
function wireEnd(index: number, place: number): string {
  return `l${index}${place === 0 ? "a" : "b"}`;
}

/** What the wire does for a direction: nothing for one that doesn't go through it any more. */
function wireQuality(way?: Way): WireQuality {
  const { delayMs = 0, jitterMs = 0, lossPercent = 0 } = way?.wired === true ? way.direction.quality : {};
  return { delayMs, jitterMs, lossPercent };
}

function kindsIn(words: string): string {
  return `${words.includes("netem")} ${words.includes("tbf")}`;
}
