/**
 * What the wire and the lab say to each other over the wire's standard input and output, a JSON line each.
 *
 *     lab ── WireOrder ──> wire ── WireReport ──> lab
 */
import type { WireQuality } from "./packet-queue.ts";

/** One link: two interfaces of the wire's namespace, and the quality of each direction between them. */
export interface WireLink {
  /** Interface whose other end is in the one cluster. */
  readonly a: string;
  /** Interface whose other end is in the other cluster. */
  readonly b: string;
  readonly fromA: WireQuality;
  readonly fromB: WireQuality;
}

/** All links of a wire, from now on. */
export interface WireOrder {
  /** Counted up by the lab; the report names it. */
  readonly generation: number;
  readonly links: readonly WireLink[];
}

/** What the wire says: that it can't be, that so many more packets were lost because they came too fast, or what came of an order. */
export type WireReport =
  | { readonly kind: "unavailable"; readonly reason: string }
  | { readonly kind: "overrun"; readonly packets: number }
  | { readonly kind: "applied"; readonly generation: number }
  | { readonly kind: "failed"; readonly generation: number; readonly reason: string };
