/**
 * For whose requests the egress gateways say from whom they come: home Pods of the accounts that exporters ask for.
 *
 *     ClientPods ─────────────────────────→ addresses of each account ─┐
 *     clients in exporters' advertisements → which accounts ───────────┴→ VouchedClients of each import
 *
 * An address tells a Pod only if one live Pod has it, and it is not the node's. Where nobody asks, no Pod is looked at.
 */
import { reasons } from "../api/conditions.ts";
import type { AdvertisedClient } from "../api/service-advertisement.ts";
import type { ClientPod } from "../model/client-pod.ts";
import type { VouchedClients } from "../model/desired.ts";
import { KeyedMemo, MapMemo } from "../model/memo.ts";
import { compare } from "../model/order.ts";
import { firstOf, type Problem } from "../model/problem.ts";
import type { ClusterId, Store, World } from "../model/world.ts";
import type { Import } from "./import-side.ts";
import type { Merged } from "./imports.ts";

/** Most addresses that are told apart for one service, and for all: Envoy looks through a service's, one after the other. */
const maxAddresses = { ofService: 2_000, ofAll: 100_000 };

/** What egress gateways are told of clients. */
interface Clients {
  /** See {@link Desired.clients}. */
  readonly vouched: ReadonlyMap<string, VouchedClients>;
  /** What can't be told, by the key of the import. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
}

/** Addresses by account, by namespace. */
type Accounts = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;

/** Remembers from pass to pass. */
export class ClientDirectory {
  readonly #accounts = new KeyedMemo<Accounts>();
  readonly #vouched = new KeyedMemo<Vouched>();
  readonly #same = new MapMemo<VouchedClients>();

  /** For all imports of a World, in their order. */
  of({ home, homeId }: World, imports: readonly Import[]): Clients {
    const vouched = new Map<string, VouchedClients>();
    const problems = new Map<string, readonly Problem[]>();
    let left = maxAddresses.ofAll;
    // While nobody asks there are none, and no import needs to be looked at.
    for (const { key, merged } of home.ClientPod.size === 0 ? [] : imports) {
      const asked = askedOf(merged, homeId);
      if (asked.length === 0) continue;
      const accounts = this.#accounts.get("", [home.ClientPod], () => accountsOf(home.ClientPod));
      const limit = Math.min(left, maxAddresses.ofService);
      const { clients, count, omitted } = this.#vouched.get(
        key,
        [accounts, merged, homeId, limit],
        (before) => sameOr(before, vouchedOf(accounts, asked, limit)),
      );
      left -= count;
      if (count > 0) vouched.set(key, clients);
      if (omitted.length > 0) problems.set(key, [tooMany(omitted)]);
    }
    this.#accounts.endPass();
    this.#vouched.endPass();
    return { vouched: this.#same.same(vouched), problems };
  }
}

/** Clients of this cluster that exporters of a service ask for. */
function askedOf({ members }: Merged, homeId: ClusterId | undefined): readonly AdvertisedClient[] {
  return members.flatMap(({ spec: { clients = [] } }) =>
    clients.filter(({ cluster }) => cluster === undefined || cluster === homeId),
  );
}

/** The addresses of every account's Pods. */
function accountsOf(pods: Store<ClientPod>): Accounts {
  const owners = new Map<string, ClientPod | undefined>();
  for (const pod of pods.values())
    for (const address of pod.addresses) owners.set(address, owners.has(address) ? undefined : pod);
  const accounts = new Map<string, Map<string, string[]>>();
  for (const [address, pod] of owners) {
    if (pod === undefined || pod.isOfNode) continue;
    const { account, metadata } = pod;
    const namespace = metadata.namespace ?? "";
    const ofNamespace = accounts.get(namespace) ?? new Map<string, string[]>();
    accounts.set(namespace, ofNamespace);
    const ofAccount = ofNamespace.get(account);
    if (ofAccount === undefined) ofNamespace.set(account, [address]);
    else ofAccount.push(address);
  }
  return accounts;
}

interface Vouched {
  readonly clients: VouchedClients;
  /** Addresses in all. */
  readonly count: number;
  /** Accounts that there is no room for. */
  readonly omitted: readonly string[];
}

function vouchedOf(accounts: Accounts, asked: readonly AdvertisedClient[], limit: number): Vouched {
  const found = new Map<string, readonly string[]>();
  for (const { namespace, serviceAccount } of asked) {
    const ofNamespace = accounts.get(namespace);
    const names = serviceAccount === undefined ? [...(ofNamespace?.keys() ?? [])] : [serviceAccount];
    for (const name of names) {
      const addresses = ofNamespace?.get(name);
      if (addresses !== undefined) found.set(`${namespace}/${name}`, addresses);
    }
  }
  const clients: Record<string, readonly string[]> = {};
  const omitted: string[] = [];
  let count = 0;
  for (const [account, addresses] of [...found].sort(([a], [b]) => compare(a, b))) {
    if (count + addresses.length > limit) omitted.push(account);
    else {
      clients[account] = addresses.toSorted(compare);
      count += addresses.length;
    }
  }
  return { clients, count, omitted };
}

/** What was found before, if this is the same. */
const sameOr = (before: Vouched | undefined, found: Vouched): Vouched =>
  before !== undefined && JSON.stringify(before) === JSON.stringify(found) ? before : found;

function tooMany(accounts: readonly string[]): Problem {
  const message = `Pods of ${firstOf(accounts)} are not told apart: exporters ask for more than ${maxAddresses.ofService} addresses of this service, or ${maxAddresses.ofAll} of all. They get 403 where a rule asks for their namespace. Name service accounts with fewer Pods in the AccessPolicies there.`;
  return { reason: reasons.TooManyClients, message };
}
