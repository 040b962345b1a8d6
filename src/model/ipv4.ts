/**
 * IPv4 addresses in text: which of them can be a host's. Whatever reads an address that a peer or a tenant wrote asks here
 * first: Envoy must not be led to itself (its admin interface listens on the loopback), to a cloud's metadata, or to a text
 * that it refuses.
 */

const octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const ipv4 = new RegExp(`^${octet}\\.${octet}\\.${octet}\\.${octet}$`);

/**
 * Whether text is an IPv4 address of some one host that others can reach: four decimal numbers without leading zeros, not
 * unspecified (0/8), loopback, link-local (the metadata services of clouds among them), multicast or reserved (from 224).
 */
export function isReachable(address: string): boolean {
  const parts = ipv4.exec(address);
  if (parts === null) return false;
  const [first, second] = [Number(parts[1]), Number(parts[2])];
  return first !== 0 && first !== 127 && first < 224 && !(first === 169 && second === 254);
}
