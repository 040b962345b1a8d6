import { expect } from "chai";
import { certificateMaker } from "../drivers/x509/certificate-maker.ts";
import type { Authority, IdentitySecret, KeyPairPem, WantedIdentity } from "../model/identity.ts";
import { annotations, authoritySecret, labels, systemNamespace } from "../model/names.ts";
import { planIdentities, usualIdentityTimes } from "./identity-plan.ts";
import type { IdentityPlan } from "./identity-plan.ts";

const hourMs = 3_600_000;
const bornMs = Date.UTC(2030, 0, 1);
const spiffeId = "spiffe://east.mc-wan.l7mp.io/cluster/east/gateway/ingress";
const wanted: readonly WantedIdentity[] = [{ fleet: "mc-wan-ingress", spiffeId }];

describe("planIdentities", () => {
  let first: KeyPairPem;
  let second: KeyPairPem;
  let certificate: KeyPairPem;

  before(async () => {
    const yearMs = usualIdentityTimes.authorityMs;
    first = await certificateMaker.authority({ fromMs: bornMs, untilMs: bornMs + yearMs });
    second = await certificateMaker.authority({ fromMs: bornMs, untilMs: bornMs + yearMs });
    certificate = await certificateMaker.issue(first, {
      fromMs: bornMs,
      untilMs: bornMs + 24 * hourMs,
      spiffeId,
    });
  });

  function secretOf(name: string, label: string, rest: Partial<IdentitySecret>): IdentitySecret {
    const metadata = { name, namespace: systemNamespace, labels: { [labels.identity]: label } };
    return { apiVersion: "v1", kind: "Secret", ...rest, metadata: { ...metadata, ...rest.metadata } };
  }
  const identity = (): IdentitySecret =>
    secretOf("mc-wan-identity-mc-wan-ingress", "mc-wan-ingress", {
      certificate: certificate.certificatePem,
      key: certificate.keyPem,
    });
  /** The authority as it stands since `bornMs`. */
  const authority = (held: Authority, notes: Record<string, string> = {}): IdentitySecret => {
    const since = { [annotations.authoritySince]: new Date(bornMs).toISOString() };
    const metadata = { name: authoritySecret, annotations: { ...since, ...notes } };
    return secretOf(authoritySecret, labels.identityOfAuthority, { authority: held, metadata });
  };
  function plan(
    secrets: readonly IdentitySecret[],
    changes: { afterMs?: number; isTrustedByAll?: boolean; wanted?: readonly WantedIdentity[] } = {},
  ): IdentityPlan {
    return planIdentities({
      secrets: new Map(secrets.map((secret) => [`${systemNamespace}/${secret.metadata.name}`, secret])),
      wanted,
      isTrustedByAll: true,
      times: usualIdentityTimes,
      ...changes,
      nowMs: bornMs + (changes.afterMs ?? hourMs),
    });
  }
  const verbs = ({ actions }: IdentityPlan): string[] => actions.map(({ verb }) => verb);

  it("makes the authority first, and certificates when it is seen", () => {
    expect(verbs(plan([]))).to.deep.equal(["CreateAuthority"]);
    expect(verbs(plan([authority({ current: first.certificatePem })]))).to.deep.equal(["Issue"]);
  });

  it("does nothing about what is as it should be, and looks again at half of the certificate's life", () => {
    const secrets = [authority({ current: first.certificatePem }), identity()];
    expect(plan(secrets)).to.deep.equal({ actions: [], dueMs: bornMs + 12 * hourMs });
    expect(verbs(plan(secrets, { afterMs: 12 * hourMs }))).to.deep.equal(["Issue"]);
  });

  it("issues again what has another name, is signed by another authority, or can't be read", () => {
    const held = authority({ current: first.certificatePem });
    const other = [{ fleet: "mc-wan-ingress", spiffeId: `${spiffeId}-2` }];
    expect(verbs(plan([held, identity()], { wanted: other }))).to.deep.equal(["Issue"]);
    expect(verbs(plan([authority({ current: second.certificatePem }), identity()]))).to.deep.equal(["Issue"]);
    expect(verbs(plan([held, { ...identity(), certificate: "none" }]))).to.deep.equal(["Issue"]);
  });

  it("removes what nobody wants, and everything where nothing is wanted", () => {
    const stranger = secretOf("mc-wan-identity-gone", "gone", {});
    const secrets = [authority({ current: first.certificatePem }), identity(), stranger];
    expect(plan(secrets).actions).to.deep.equal([{ verb: "Remove", secret: stranger }]);
    expect(verbs(plan(secrets, { wanted: [] }))).to.deep.equal(["Remove", "Remove", "Remove"]);
  });

  it("announces the next authority when it is asked for, or a third of the current one's life is left", () => {
    const held = { current: first.certificatePem };
    const asked = authority(held, { [annotations.rotateAuthority]: "now" });
    expect(verbs(plan([asked, identity()]))).to.deep.equal(["AnnounceNext"]);
    const late = { afterMs: (usualIdentityTimes.authorityMs * 2) / 3, wanted: [] as WantedIdentity[] };
    const actions = verbs(plan([authority(held), identity()], { ...late, wanted }));
    expect(actions).to.deep.equal(["Issue", "AnnounceNext"]);
  });

  it("lets the next authority sign when it had time to spread and every peer trusts it", () => {
    const secrets = [authority({ current: first.certificatePem, next: second.certificatePem }), identity()];
    const spreadMs = usualIdentityTimes.spreadMs;
    expect(plan(secrets, { afterMs: spreadMs - 1 })).to.deep.equal({ actions: [], dueMs: bornMs + spreadMs });
    expect(verbs(plan(secrets, { afterMs: spreadMs }))).to.deep.equal(["SwitchAuthority"]);
    expect(verbs(plan(secrets, { afterMs: spreadMs, isTrustedByAll: false }))).to.deep.equal([]);
    const patient = { afterMs: usualIdentityTimes.patienceMs, isTrustedByAll: false };
    expect(verbs(plan(secrets, patient))).to.deep.equal(["Issue", "SwitchAuthority"]);
  });

  it("retires the authority before when nothing is signed by it and that had time to spread", () => {
    const held = { current: second.certificatePem, previous: first.certificatePem };
    const { spreadMs } = usualIdentityTimes;
    expect(verbs(plan([authority(held), identity()], { afterMs: spreadMs }))).to.deep.equal(["Issue"]);
    const swapped = { current: first.certificatePem, previous: second.certificatePem };
    expect(verbs(plan([authority(swapped), identity()], { afterMs: spreadMs - 1 }))).to.deep.equal([]);
    expect(verbs(plan([authority(swapped), identity()], { afterMs: spreadMs }))).to.deep.equal([
      "RetirePrevious",
    ]);
  });
});
