/**
 * What one stream, and all of them, may ask of this server: far more than any Envoy needs, little enough that nobody can
 * use up its memory. Never says who may connect.
 */
import type { StreamRequest } from "../../serve/stream-state.ts";

/** Streams at once, of all connections: a replica serves some hundred Envoys, with one each. */
export const maxStreams = 1_024;
/** Streams at once over one connection: Envoy opens one for all types, and one more while it reconnects. */
export const maxStreamsOfConnection = 16;
/** How long a stream may take to say whose it is, in milliseconds: Envoy does so with its first bytes. */
export const introductionMs = 15_000;
/** Names of one type that a stream may ask for or say that it holds: several times what any fleet holds. */
const maxNames = 100_000;
/** Longest name, and longest version, in characters: ours are shorter than 2,000. */
const maxNameLength = 4_096;

/** Why a request is too much for a stream that has asked for so many `names` of its type; undefined if it isn't. */
export function excessOf(request: StreamRequest, names: number): string | undefined {
  const { subscribe, unsubscribe, initialVersions } = request;
  if (names + subscribe.length > maxNames || initialVersions.size > maxNames)
    return `More than ${maxNames} names of one type.`;
  const isLong = (text: string): boolean => text.length > maxNameLength;
  const hasLong =
    subscribe.some(isLong) ||
    unsubscribe.some(isLong) ||
    initialVersions.entries().some(([name, version]) => isLong(name) || isLong(version));
  return hasLong ? `A name or version of more than ${maxNameLength} characters.` : undefined;
}
