/**
 * Keeps the cluster's authority and its gateways' certificates as they should be: the one place that reads and writes the
 * authority's key. Runs where the Lease is held, and asks for it before every write.
 *
 *     World, Desired → planIdentities → keys, signatures → Secrets in mc-wan-system → World
 *
 * Knows nothing that is not in the Secrets: a restart issues nothing. Never logs what is in one.
 */
import { RefusedError, UnavailableError } from "../model/errors.ts";
import { identitySecretName } from "../model/identity.ts";
import type { IdentitySecret, KeyPairPem, WantedIdentity } from "../model/identity.ts";
import { kinds } from "../model/kinds.ts";
import type { KubeObject, OwnerReference } from "../model/kube-object.ts";
import type { Log } from "../model/log.ts";
import { authoritySecret, ownerCrd, systemNamespace } from "../model/names.ts";
import { isOlder } from "../model/resource-version.ts";
import { backOffMs } from "../model/timing.ts";
import type { Timing } from "../model/timing.ts";
import type { Desired } from "../model/desired.ts";
import type { World } from "../model/world.ts";
import type { CertificateMaker, Validity } from "./certificate-maker.ts";
import { planIdentities } from "./identity-plan.ts";
import type { AuthorityVerb, IdentityAction, IdentityTimes } from "./identity-plan.ts";
import {
  announced,
  authoritySecretOf,
  identityObject,
  retired,
  signerOf,
  switched,
} from "./identity-secrets.ts";
import type { KubeWriter } from "./kube-writer.ts";

const backOff = { firstMs: 500, longestMs: 60_000 };
/** The time of day may be set in between. */
const longestWaitMs = 3_600_000;
/** A write whose effect was not seen after this time is done again. */
const unseenMs = 5000;
/** Clocks of other clusters may be behind by so much. */
const clockSkewMs = 300_000;

export interface IdentityIssuerOptions {
  readonly writer: Pick<KubeWriter, "get" | "create" | "replace" | "delete">;
  readonly maker: CertificateMaker;
  readonly times: IdentityTimes;
  readonly timing: Timing;
  readonly log: Log;
  /** Whether this replica may write, at this very moment. */
  readonly mayWrite: () => boolean;
}

export interface IssuerInput {
  readonly world: Pick<World, "home">;
  readonly desired: Pick<Desired, "identities" | "unaware">;
}

/** A Secret that was written: until the World shows it, nothing more is done about it. */
interface Written {
  readonly atMs: number;
  /** Undefined: it was deleted. */
  readonly resourceVersion: string | undefined;
}

export class IdentityIssuer {
  readonly #options: IdentityIssuerOptions;
  readonly #written = new Map<string, Written>();
  #input: IssuerInput | undefined;
  #dueMs = -Infinity;
  #isRunning = false;
  #isStopped = false;
  #failures = 0;
  #cancel: (() => void) | undefined;

  constructor(options: IdentityIssuerOptions) {
    this.#options = options;
  }

  /** Takes the newest input. Cheap where nothing of it has changed. */
  update(input: IssuerInput): void {
    const before = this.#input;
    const isSame =
      before?.world.home.IdentitySecret === input.world.home.IdentitySecret &&
      before.desired.identities === input.desired.identities &&
      before.desired.unaware === input.desired.unaware;
    this.#input = input;
    if (!isSame || this.#options.timing.today() >= this.#dueMs) this.#begin();
  }

  /** Another replica leads. */
  leadershipLost(): void {
    this.#input = undefined;
    this.#cancel?.();
    this.#dueMs = -Infinity;
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #begin(): void {
    if (this.#isRunning || this.#isStopped) return;
    this.#isRunning = true;
    void this.#run().finally(() => {
      this.#isRunning = false;
    });
  }

  async #run(): Promise<void> {
    const input = this.#input;
    const { timing, log, mayWrite, times } = this.#options;
    if (input === undefined || !mayWrite()) return;
    const secrets = input.world.home.IdentitySecret;
    const { identities: wanted, unaware } = input.desired;
    const nowMs = timing.today();
    const plan = planIdentities({ secrets, wanted, isTrustedByAll: unaware.length === 0, times, nowMs });
    this.#dueMs = plan.dueMs;
    let isWaiting = false;
    try {
      for (const action of plan.actions) {
        if (this.#isUnseen(action)) isWaiting = true;
        else await this.#do(action, input);
      }
      this.#failures = 0;
      const isBehind = this.#input !== input;
      // What was written is seen in the next World; if that doesn't come, it is looked again.
      const nextMs = isWaiting || plan.actions.length > 0 ? nowMs + unseenMs : plan.dueMs;
      this.#lookAgain(isBehind ? 0 : nextMs - timing.today());
    } catch (error) {
      const isExpected = error instanceof UnavailableError || error instanceof RefusedError;
      if (!isExpected) log.error("identities were not issued, by a bug", { error });
      else if (this.#failures === 0) log.warn("identities were not issued", { error });
      this.#failures += 1;
      this.#lookAgain(backOffMs(this.#failures, backOff, timing.random()));
    }
  }

  #lookAgain(delayMs: number): void {
    this.#cancel?.();
    if (this.#isStopped || delayMs === Infinity) return;
    const restMs = Math.min(Math.max(delayMs, 0), longestWaitMs);
    this.#cancel = this.#options.timing.after(restMs, () => {
      this.#begin();
    });
  }

  /** Whether what the plan was made of is older than what was written. */
  #isUnseen(action: IdentityAction): boolean {
    const name = nameOf(action);
    const written = this.#written.get(name);
    if (written === undefined) return false;
    const version = "secret" in action ? action.secret?.metadata.resourceVersion : undefined;
    const isSeen =
      written.resourceVersion === undefined
        ? version === undefined
        : version !== undefined && !isOlder(version, written.resourceVersion);
    if (!isSeen && this.#options.timing.now() - written.atMs < unseenMs) return true;
    this.#written.delete(name);
    return false;
  }

  async #do(action: IdentityAction, { world }: IssuerInput): Promise<void> {
    if (!this.#options.mayWrite()) throw new UnavailableError("this replica does not lead");
    if (action.verb === "Remove") {
      await this.#remove(action.secret);
      return;
    }
    const owner = ownerOf(world);
    const object = await this.#made(action, owner);
    if (object === undefined) return;
    const { writer, log, timing, mayWrite } = this.#options;
    if (!mayWrite()) throw new UnavailableError("this replica does not lead");
    const isNew = object.metadata.resourceVersion === undefined;
    const written = await (isNew
      ? writer.create(kinds.Secret, object)
      : writer.replace(kinds.Secret, object));
    const { name, resourceVersion } = written.metadata;
    this.#written.set(name, { atMs: timing.now(), resourceVersion });
    if (action.verb === "Issue") log.info("certificate issued", { fleet: action.wanted.fleet });
    else log.info("authority changed", { step: action.verb });
  }

  async #remove({ metadata }: IdentitySecret): Promise<void> {
    const { uid = "", resourceVersion, name } = metadata;
    const preconditions = { uid, ...(resourceVersion !== undefined && { resourceVersion }) };
    await this.#options.writer.delete(kinds.Secret, metadata, preconditions);
    this.#written.set(name, { atMs: this.#options.timing.now(), resourceVersion: undefined });
    this.#options.log.info("identity removed", { secret: name });
  }

  /** The Secret as it is to be written; undefined if it is not as the plan saw it: the next World tells. */
  async #made(
    action: Exclude<IdentityAction, { verb: "Remove" }>,
    owner: OwnerReference | undefined,
  ): Promise<KubeObject | undefined> {
    if (action.verb === "CreateAuthority") return await this.#newAuthority(owner);
    const standing = await this.#options.writer.get(kinds.Secret, {
      namespace: systemNamespace,
      name: authoritySecret,
    });
    if (standing === undefined) return undefined;
    if (action.verb === "Issue") return await this.#issued(action, signerOf(standing), owner);
    const isAsSeen = standing.metadata.resourceVersion === action.secret.metadata.resourceVersion;
    return isAsSeen ? await this.#changedAuthority(action.verb, standing) : undefined;
  }

  async #newAuthority(owner: OwnerReference | undefined): Promise<KubeObject> {
    return authoritySecretOf(await this.#newPair(), { owner, nowIso: this.#nowIso() });
  }

  async #changedAuthority(verb: AuthorityVerb, standing: KubeObject): Promise<KubeObject> {
    const nowIso = this.#nowIso();
    if (verb === "AnnounceNext") return announced(standing, await this.#newPair(), nowIso);
    return verb === "SwitchAuthority" ? switched(standing, nowIso) : retired(standing, nowIso);
  }

  async #newPair(): Promise<KeyPairPem> {
    return await this.#options.maker.authority(this.#validity(this.#options.times.authorityMs));
  }

  async #issued(
    { wanted, secret }: { readonly wanted: WantedIdentity; readonly secret: IdentitySecret | undefined },
    authority: KeyPairPem,
    owner: OwnerReference | undefined,
  ): Promise<KubeObject> {
    const { maker, times } = this.#options;
    const { fleet, spiffeId, dnsNames } = wanted;
    const pair = await maker.issue(authority, {
      ...this.#validity(times.certificateMs),
      ...(spiffeId !== undefined && { spiffeId }),
      ...(dnsNames !== undefined && { dnsNames }),
    });
    return identityObject(fleet, pair, { owner, standing: secret });
  }

  #validity(lifeMs: number): Validity {
    const nowMs = this.#options.timing.today();
    return { fromMs: nowMs - clockSkewMs, untilMs: nowMs + lifeMs };
  }

  #nowIso(): string {
    return new Date(this.#options.timing.today()).toISOString();
  }
}

function nameOf(action: IdentityAction): string {
  if (action.verb === "Issue") return identitySecretName(action.wanted.fleet);
  return action.verb === "Remove" ? action.secret.metadata.name : authoritySecret;
}

/** The CRD whose deletion ends the installation. */
function ownerOf({ home }: IssuerInput["world"]): OwnerReference | undefined {
  const crd = home.CustomResourceDefinition.get(ownerCrd);
  const { uid, name } = crd?.metadata ?? {};
  if (crd === undefined || uid === undefined || name === undefined) return undefined;
  return { apiVersion: crd.apiVersion, kind: crd.kind, name, uid };
}
