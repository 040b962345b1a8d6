/**
 * The authorities of two clusters, one that sends and one that receives, are replaced while requests go on between them: a
 * step in each claim. What would happen three minutes later is made to happen as soon as everybody knows.
 *
 *     current → current + next → (next is) current + previous → current
 */
import { createHash, X509Certificate } from "node:crypto";
import type { InstallTarget } from "../../src/lab/install.ts";
import { annotations, authoritySecret, ingressPool, labels, systemNamespace } from "../../src/model/names.ts";
import { identitySecretName } from "../../src/model/identity.ts";
import type { Claim, Evidence, Scenario } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import { rollout } from "../example.ts";
import { runInPod } from "../in-pod.ts";
import type { Knock } from "../inside/knock.ts";
import {
  closeSealed,
  openSealed,
  poolOf,
  sealedClient,
  sealedHost,
  sealedPolicies,
  sealedUrl,
} from "../sealed.ts";
import { Load } from "../traffic.ts";

const { business } = sealedPolicies;
const ratePerSecond = 20;
const stepTimeoutMs = 60_000;

const rotating = ({ consumer, exporters }: Environment): InstallTarget[] => [
  consumer,
  ...exporters.slice(0, 1),
];

/** The parts of a Secret of mc-wan, as text. */
async function partsOf(
  { kubectl }: Environment,
  { context }: InstallTarget,
  name: string,
): Promise<Readonly<Record<string, string>>> {
  const secret = (await kubectl.json(context, ["get", "secret", "-n", systemNamespace, name])) as {
    data?: Record<string, string>;
  };
  const parts = Object.entries(secret.data ?? {});
  return Object.fromEntries(parts.map(([key, value]) => [key, Buffer.from(value, "base64").toString()]));
}

/** Annotates the Secret of each authority that is replaced. */
const annotate = async (environment: Environment, note: string): Promise<void> => {
  const words = ["annotate", "secret", "--overwrite", "-n", systemNamespace, authoritySecret, note];
  await Promise.all(rotating(environment).map(({ context }) => environment.kubectl.run(context, words)));
};

/** Lets the time pass that new authorities are given to reach everybody; that they did was seen. */
const letTimePass = (environment: Environment): Promise<void> =>
  annotate(environment, `${annotations.authoritySince}=${new Date(Date.now() - 3_600_000).toISOString()}`);

/** Waits until the Secret of each authority holds these certificates and no others. */
async function holds(environment: Environment, expected: readonly string[]): Promise<void> {
  for (const cluster of rotating(environment))
    await eventually(`${expected.join(" and ")} in ${cluster.id}`, stepTimeoutMs, async () => {
      const keys = Object.keys(await partsOf(environment, cluster, authoritySecret));
      const found = keys.filter((key) => key.endsWith(".crt")).sort();
      return found.join() === [...expected].sort().join() ? true : undefined;
    });
}

/**
 * Waits until all clusters say that they trust these, and all gateways of these are those of their last template: the ones
 * before have left.
 */
async function isSpread(environment: Environment): Promise<void> {
  const { clusters } = environment;
  const turning = rotating(environment);
  for (const cluster of turning) {
    await eventually(`the trust of all others in ${cluster.id}`, stepTimeoutMs, async () => {
      const pools = await Promise.all(clusters.map((each) => poolOf(environment, each)));
      const own = pools[clusters.indexOf(cluster)]?.spec.identity?.bundle ?? "";
      const fingerprint = createHash("sha256").update(own).digest("hex");
      const others = pools.filter((_, index) => clusters[index] !== cluster);
      const trusting = others.filter(({ spec }) =>
        spec.identity?.trusted?.some(
          (known) => known.cluster === cluster.id && known.fingerprint === fingerprint,
        ),
      );
      return trusting.length === others.length ? true : undefined;
    });
  }
  for (const cluster of turning) {
    await Promise.all(
      ["mc-wan-ingress", "mc-wan-egress"].map((deployment) =>
        rollout(environment, { cluster, namespace: systemNamespace, deployment }),
      ),
    );
    await eventually(`the end of gateways in ${cluster.id}`, stepTimeoutMs, async () => {
      const words = ["get", "pods", "-n", systemNamespace, "-l", labels.fleet];
      const { items } = (await environment.kubectl.json(cluster.context, words)) as {
        items: { metadata: { deletionTimestamp?: string } }[];
      };
      return items.every(({ metadata }) => metadata.deletionTimestamp === undefined) ? true : undefined;
    });
  }
}

/** A step, under load from its start to its end. */
function losesNothing(title: string, step: (environment: Environment) => Promise<Evidence>): Claim {
  return {
    title: `${title}: no request fails at ${ratePerSecond} a second`,
    prove: async (environment) => {
      const load = new Load(environment, sealedClient(environment), [
        ...[`${sealedUrl}${business.path}`, "--rate", String(ratePerSecond), "--concurrency", "8"],
      ]);
      let seen: Evidence;
      try {
        seen = await step(environment);
      } catch (error) {
        await load.end().catch(() => undefined);
        throw error;
      }
      const evidence = { ...seen, ...(await load.end()) };
      must(
        evidence.requests >= evidence.seconds * ratePerSecond * 0.8,
        "too few requests were sent",
        evidence,
      );
      must(evidence.failed === 0, "requests failed", evidence);
      return evidence;
    },
  };
}

/** The certificate that a gateway shows at the policy's port. */
async function shownAt(environment: Environment, address: string): Promise<string> {
  const { fingerprint } = await runInPod<Knock>(environment, sealedClient(environment), {
    program: "knock.ts",
    args: ["tls", address, business.port, sealedHost],
  });
  return fingerprint;
}

const announces = losesNothing(
  "new authorities of a cluster that sends and of one that receives are announced beside those that sign",
  async (environment) => {
    await annotate(environment, `${annotations.rotateAuthority}=now`);
    await holds(environment, ["current.crt", "next.crt"]);
    await isSpread(environment);
    return {};
  },
);

const renews = losesNothing(
  "from then on they sign, and every certificate is renewed: the same gateway shows another one",
  async (environment) => {
    const [, receiver] = rotating(environment);
    must(receiver !== undefined, "there is no exporter", {});
    const address = (await poolOf(environment, receiver)).spec.endpoints[0]?.address ?? "";
    const before = await shownAt(environment, address);
    must(before !== "", "the gateway showed no certificate", {});
    await letTimePass(environment);
    await holds(environment, ["current.crt", "previous.crt"]);
    const { value: after, afterMs } = await eventually("another certificate", stepTimeoutMs, async () => {
      const shown = await shownAt(environment, address);
      return shown === before || shown === "" ? undefined : shown;
    });
    const { "tls.crt": leaf = "" } = await partsOf(environment, receiver, identitySecretName(ingressPool));
    const { "current.crt": root = "" } = await partsOf(environment, receiver, authoritySecret);
    const evidence = { address, before, after, afterMs };
    must(new X509Certificate(leaf).fingerprint256 === after, "it is not the one that was issued", evidence);
    must(
      new X509Certificate(leaf).verify(new X509Certificate(root).publicKey),
      "the new authority did not sign it",
      evidence,
    );
    await isSpread(environment);
    return evidence;
  },
);

const retires = losesNothing("the authorities before are trusted no more", async (environment) => {
  await letTimePass(environment);
  await holds(environment, ["current.crt"]);
  await isSpread(environment);
  return {};
});

export const rotation: Scenario = {
  title: "rotation: authorities are replaced under load",
  setUp: openSealed,
  claims: [announces, renews, retires],
  tearDown: closeSealed,
};
