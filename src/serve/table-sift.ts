/**
 * Finds the virtual hosts that make an Envoy refuse a route table, and leaves only these out: one bad object harms itself
 * only, even where a thousand services share a table.
 *
 *     refused ─→ the new virtual hosts are suspects ─→ tried in halves, the others as they were ─→ the bad ones are closed
 *
 * While it searches, what was good stays in force: a suspect that took the place of something is served as it was before,
 * one that is new is absent, as it was before. A bad virtual host is closed: its names get 500, or are left out if the
 * Envoy refuses even these names. It is tried again when its content changes, never before.
 *
 * What was found is noted in the version of the table. An Envoy that connects to another replica, or to a controller that
 * was restarted, tells that version: nothing has to be sought or sent again.
 */
import { closedPart } from "./route-table-parts.ts";
import type { HostPart, TableParts } from "./route-table-parts.ts";
import { tableResource } from "./resource.ts";
import type { Resource } from "./resource.ts";

/** So many refusals in one search, and the whole table counts as refused: no Envoy is kept busy for ever. */
export const maxSteps = 128;

/** Between the hash and the notes in a version, which are `c` (closed) or `d` (dropped) and the id of the part. */
const noteMark = "!";

/** Virtual hosts that were tried together or are to be. */
interface Group {
  /** Ids of parts. None: only what is beyond suspicion is tried. */
  ids: readonly string[];
  /** Set if at least one of them is bad: what the Envoy said. */
  reason?: string;
  /** What the Envoy said of this group and its sibling together: if this one is good, it is true of the other. */
  ofBoth?: string;
  /** The one in it is bad; tried is whether closing it helps. */
  isClosed?: true;
}

interface Verdict {
  readonly form: "Closed" | "Dropped";
  /** What the Envoy said; empty if it said so to another replica. */
  readonly reason: string;
}

interface Search {
  /** What is held back until it is tried. */
  readonly suspects: Set<string>;
  readonly queue: Group[];
  trying: Group;
  steps: number;
  /** Whether what other Envoys accepted is beyond suspicion. */
  trustsOthers: boolean;
}

/** What one stream knows of one route table. */
export class TableSift {
  /** Ids of parts that any Envoy of the fleet has accepted. */
  readonly #proven: Set<string>;
  readonly #verdicts = new Map<string, Verdict>();
  /** What the Envoy has accepted, as far as known. */
  #held: Resource | undefined;
  /** The version that the Envoy says it holds, until it is known what that is. */
  #heldVersion: string | undefined;
  #search: Search | undefined;
  /** Answers of `wanted`, until something is found out. */
  #answers = new WeakMap<Resource, Resource>();
  /** The whole tables from which answers were made. */
  readonly #wholes = new WeakMap<Resource, Resource>();

  /** `version`: what the Envoy holds from an earlier stream. */
  constructor(proven: Set<string>, version?: string) {
    this.#proven = proven;
    this.#heldVersion = version;
    for (const note of version?.split(noteMark)[1]?.split(",") ?? []) {
      if (!/^[cd][0-9a-f]{12}$/.test(note) || this.#verdicts.size >= maxSteps) continue;
      const form = note.startsWith("c") ? "Closed" : "Dropped";
      this.#verdicts.set(note.slice(1), { form, reason: "" });
    }
  }

  /** Whether the Envoy is being asked what is bad: then it is in force with parts of what it had before. */
  get isSearching(): boolean {
    return this.#search !== undefined;
  }

  /** What the Envoy should have now in place of the whole table. */
  wanted(whole: Resource): Resource {
    const { table } = whole;
    if (table === undefined) return whole;
    let answer = this.#answers.get(whole);
    if (answer === undefined) {
      this.#suspectNewcomers(table);
      answer =
        this.#verdicts.size === 0 && this.#search === undefined ? whole : this.#sifted(whole.name, table);
      this.#answers.set(whole, answer);
      this.#wholes.set(answer, whole);
    }
    if (answer.version === this.#heldVersion) this.#hold(answer);
    return answer;
  }

  /** The Envoy accepted it. */
  accepted(resource: Resource): void {
    this.#hold(resource);
    if (this.#search === undefined) return;
    const { trying, queue } = this.#search;
    const [sibling] = queue;
    const present = idsOf(this.#wholes.get(resource) ?? resource);
    // What left the table meanwhile was not tried, and may have been the bad one.
    if (!trying.ids.every((id) => present.has(id))) this.skip();
    else {
      if (trying.ofBoth !== undefined && sibling !== undefined) sibling.reason = trying.ofBoth;
      this.#clear(trying);
      this.#advance();
    }
  }

  /** The Envoy refused it. False: nothing can be left out that would help, the table is refused as a whole. */
  refused({ table }: Resource, reason: string): boolean {
    if (table === undefined) return false;
    if (this.#search === undefined) return this.#start(table, reason, { steps: 1, trustsOthers: true });
    const { trying, queue } = this.#search;
    this.#search.steps += 1;
    if (this.#search.steps > maxSteps) return this.#giveUp();
    if (trying.isClosed === true) {
      for (const id of trying.ids)
        this.#verdicts.set(id, { form: "Dropped", reason: trying.reason ?? reason });
    } else if (trying.ids.length === 0) {
      // Not even what is beyond suspicion is taken: then what others accepted is suspect too, or it is the head.
      const { trustsOthers, steps } = this.#search;
      this.#giveUp();
      return trustsOthers && this.#start(table, reason, { steps, trustsOthers: false });
    } else {
      queue.unshift({ ids: trying.ids, reason });
    }
    this.#advance();
    return true;
  }

  /** Whether the Envoy holds just this: it need not be sent to be known as good. */
  holds({ version }: Resource): boolean {
    return this.#held?.version === version;
  }

  /** There is nothing of what was to be tried next: on to the next. */
  skip(): void {
    const trying = this.#search?.trying;
    if (trying === undefined) return;
    if (trying.isClosed === true) for (const id of trying.ids) this.#verdicts.delete(id);
    this.#clear(trying);
    this.#advance();
  }

  #clear({ ids }: Group): void {
    for (const id of ids) this.#search?.suspects.delete(id);
  }

  /** The Envoy may have dropped the table. */
  forget(): void {
    this.#held = undefined;
    this.#heldVersion = undefined;
    this.#giveUp();
  }

  /** The virtual hosts of the table that are not served as they are, and why. */
  refusals({ table }: Resource): readonly { readonly host: HostPart; readonly reason: string }[] {
    if (this.#verdicts.size === 0) return [];
    return (table?.hosts ?? []).flatMap((host) => {
      const verdict = this.#verdicts.get(host.id);
      return verdict === undefined ? [] : [{ host, reason: verdict.reason }];
    });
  }

  #hold(resource: Resource): void {
    if (this.#held === resource) return;
    this.#held = resource;
    this.#heldVersion = resource.version;
    for (const { id } of resource.table?.hosts ?? []) this.#proven.add(id);
  }

  #start(
    table: TableParts,
    reason: string,
    { steps, trustsOthers }: Pick<Search, "steps" | "trustsOthers">,
  ): boolean {
    const held = this.#heldIds();
    const fresh = table.hosts.filter(({ id }) => !held.has(id));
    const doubtful = trustsOthers ? fresh.filter(({ id }) => !this.#proven.has(id)) : fresh;
    const suspects = doubtful.length > 0 ? doubtful : fresh;
    if (suspects.length === 0) return false;
    const ids = suspects.map(({ id }) => id);
    this.#search = {
      suspects: new Set(ids),
      queue: [{ ids, reason }],
      trying: { ids: [] },
      steps,
      trustsOthers: suspects.length < fresh.length,
    };
    this.#answers = new WeakMap();
    return true;
  }

  #giveUp(): false {
    this.#search = undefined;
    this.#answers = new WeakMap();
    return false;
  }

  /** To the next group that has to be tried; the search ends where there is none. */
  #advance(): void {
    this.#answers = new WeakMap();
    const search = this.#search;
    if (search === undefined) return;
    for (let group = search.queue.shift(); group !== undefined; group = search.queue.shift()) {
      const { ids, reason } = group;
      const [only] = ids;
      if (only === undefined) continue;
      if (reason !== undefined && ids.length > 1) {
        const middle = Math.ceil(ids.length / 2);
        search.queue.unshift({ ids: ids.slice(0, middle), ofBoth: reason }, { ids: ids.slice(middle) });
        continue;
      }
      if (reason !== undefined) {
        this.#verdicts.set(only, { form: "Closed", reason });
        search.suspects.delete(only);
        group.isClosed = true;
      }
      search.trying = group;
      return;
    }
    this.#search = undefined;
  }

  /** What comes into the table during a search waits for its turn, so that nothing else is blamed for it. */
  #suspectNewcomers({ hosts }: TableParts): void {
    const search = this.#search;
    if (search === undefined) return;
    const held = this.#heldIds();
    const isKnown = (id: string): boolean =>
      held.has(id) ||
      search.suspects.has(id) ||
      this.#verdicts.has(id) ||
      (search.trustsOthers && this.#proven.has(id));
    const ids = hosts.map(({ id }) => id).filter((id) => !isKnown(id));
    if (ids.length === 0) return;
    for (const id of ids) search.suspects.add(id);
    search.queue.push({ ids });
  }

  #sifted(name: string, { head, hosts }: TableParts): Resource {
    const notes: string[] = [];
    const placed = hosts.map((host) => {
      const verdict = this.#verdicts.get(host.id);
      if (verdict === undefined) return { host, part: this.#isHeldBack(host) ? undefined : host };
      notes.push(`${verdict.form === "Closed" ? "c" : "d"}${host.id}`);
      return { host: undefined, part: verdict.form === "Closed" ? closedPart(host) : undefined };
    });
    const taken = new Set(placed.flatMap(({ part }) => part?.domains ?? []));
    const before = new Map(
      (this.#held?.table?.hosts ?? []).flatMap((host) =>
        host.domains.map((domain) => [domain, host] as const),
      ),
    );
    const served = placed.flatMap(({ host, part }) => {
      if (part !== undefined || host === undefined) return part ?? [];
      // What was there before goes on for names that wait.
      const standing = new Set(host.domains.map((domain) => before.get(domain)));
      return [...standing].filter((old) => old?.domains.every((domain) => !taken.has(domain)) === true);
    });
    if (this.#verdicts.size > notes.length + maxSteps)
      this.#forgetVerdicts(new Set(hosts.map(({ id }) => id)));
    const note = notes.length === 0 ? "" : `${noteMark}${notes.sort().join(",")}`;
    const parts = { head, hosts: [...new Set(served)].filter((host) => host !== undefined) };
    return tableResource(name, parts, note);
  }

  #isHeldBack({ id }: HostPart): boolean {
    return this.#search?.suspects.has(id) === true && !this.#search.trying.ids.includes(id);
  }

  #forgetVerdicts(wanted: ReadonlySet<string>): void {
    for (const id of this.#verdicts.keys()) if (!wanted.has(id)) this.#verdicts.delete(id);
  }

  #heldIds(): ReadonlySet<string> {
    return this.#held === undefined ? new Set() : idsOf(this.#held);
  }
}

function idsOf({ table }: Resource): ReadonlySet<string> {
  return new Set(table?.hosts.map(({ id }) => id));
}
