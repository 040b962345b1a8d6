/** Versions of Kubernetes objects. */

/**
 * Whether a version is older than another. Resource versions are decimal numbers of one order (KEP-5504); what is not
 * can't be compared and is never older.
 */
export function isOlder(version: string | undefined, other: string | undefined): boolean {
  if (version === undefined || other === undefined || !/^\d+$/.test(version) || !/^\d+$/.test(other))
    return false;
  return BigInt(version) < BigInt(other);
}
