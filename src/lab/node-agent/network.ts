/**
 * A network namespace per Pod, joined to the cluster's namespace by a veth pair and a /32 route: no bridge, no address
 * translation, so that a Pod's address is what others see.
 *
 *     pod eth0 $IP/32 ── veth ── cluster's namespace (next hop: podGatewayIP)
 */
import { readdirSync } from "node:fs";
import { run } from "./run-command.ts";

/** A Pod's place in the network. */
export interface PodNetwork {
  readonly ip: string;
  /** Path of the namespace, for nsenter. */
  readonly netnsPath: string;
  readonly netns: string;
}

const NETNS_DIR = "/run/netns";

/** Addresses of a CIDR, each given to one holder at a time; the lowest that was not used lately comes first. */
export class AddressPool {
  readonly #first: number;
  readonly #count: number;
  readonly #taken = new Set<number>();
  #next = 0;

  /** Network and broadcast address are left out, and whatever `reserved` names. Throws when the text is no IPv4 CIDR. */
  constructor(cidr: string, reserved: readonly string[]) {
    const match = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(cidr);
    if (match?.[1] === undefined) throw new Error(`${cidr} is not an IPv4 CIDR`);
    const size = 2 ** (32 - Number(match[2]));
    this.#first = toNumber(match[1]) + 1;
    this.#count = size - 2;
    for (const address of reserved) this.#taken.add(toNumber(address) - this.#first);
  }

  /** An address that nobody holds. Throws when all are taken. */
  take(): string {
    for (let tried = 0; tried < this.#count; tried += 1) {
      const index = (this.#next + tried) % this.#count;
      if (this.#taken.has(index)) continue;
      this.#taken.add(index);
      this.#next = index + 1;
      return toText(this.#first + index);
    }
    throw new Error("no pod address is left");
  }

  /** Gives an address back. */
  release(address: string): void {
    this.#taken.delete(toNumber(address) - this.#first);
  }
}

function toNumber(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toText(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** Makes the namespace, its link and its routes. `id` is at most 12 characters. Leaves nothing behind when it throws. */
export async function addPodNetwork(
  id: string,
  given: { ip: string; gatewayIP: string; prefix: string },
): Promise<PodNetwork> {
  const { ip, gatewayIP, prefix } = given;
  const netns = `${prefix}${id}`;
  const netnsPath = `${NETNS_DIR}/${netns}`;
  const link = `veth${id}`;
  const outside = [
    `netns add ${netns}`,
    `link add ${link} type veth peer name eth0 netns ${netns}`,
    `link set ${link} up`,
    `route replace ${ip}/32 dev ${link} src ${gatewayIP}`,
  ];
  const inside = [
    "link set lo up",
    `addr add ${ip}/32 dev eth0`,
    "link set eth0 up",
    `route add ${gatewayIP}/32 dev eth0 scope link`,
    `route add default via ${gatewayIP} dev eth0`,
  ];
  try {
    await run(["ip", "-batch", "-"], { input: `${outside.join("\n")}\n` });
    // Programs run without capabilities, so low ports are open to everybody.
    const low = "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start";
    await run(["nsenter", `--net=${netnsPath}`, "sh", "-ec", `${low}; exec ip -batch -`], {
      input: `${inside.join("\n")}\n`,
    });
  } catch (error) {
    await removeNetns(netns);
    throw error;
  }
  return { ip, netns, netnsPath };
}

/** Removes a Pod's namespace, its link and its route. Never throws. */
export async function removeNetns(netns: string): Promise<void> {
  // The kernel takes its time to clear a namespace, but a link and its route at once.
  const lines = [`link delete veth${netns.slice(netns.lastIndexOf(".") + 1)}`, `netns delete ${netns}`];
  await run(["ip", "-force", "-batch", "-"], { input: `${lines.join("\n")}\n` }).catch(() => undefined);
}

/** The namespaces whose name starts with `prefix`. */
export function listNetns(prefix: string): string[] {
  try {
    return readdirSync(NETNS_DIR).filter((name) => name.startsWith(prefix));
  } catch {
    return [];
  }
}
