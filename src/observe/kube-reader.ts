/**
 * What observe needs of a cluster: pages of lists, and raw watch streams. The implementation is in `drivers/kube`.
 *
 * Failures are thrown as UnavailableError or RefusedError (model/errors.ts).
 */
import { UnavailableError } from "../model/errors.ts";
import type { KindInfo } from "../model/kinds.ts";

/** Which objects of a kind. */
export interface Selection {
  /** Only this namespace. */
  readonly namespace?: string;
  /** A label selector, as the API takes it. */
  readonly labels?: string;
  /** A field selector, as the API takes it. */
  readonly fields?: string;
}

export interface ListOptions extends Selection {
  /** Most items in a page. */
  readonly limit?: number;
  /** Where the last page ended. */
  readonly continue?: string;
  readonly signal: AbortSignal;
}

export interface ListPage {
  readonly items: readonly unknown[];
  readonly resourceVersion: string;
  /** Set while there are more pages. */
  readonly continue?: string;
}

export interface WatchOptions extends Selection {
  readonly resourceVersion: string;
  /** After how long the server ends the stream. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

export interface KubeReader {
  /** Whether the account may list the kind in all namespaces, asked without trying. */
  mayList(kind: KindInfo, signal: AbortSignal): Promise<boolean>;
  /** One page of a list. */
  list(kind: KindInfo, options: ListOptions): Promise<ListPage>;
  /**
   * Begins a watch: resolves when the server has accepted it. Then its events, each one parsed line of JSON, bookmarks
   * included, until the server ends it.
   * @throws MalformedLineError on a line that is no JSON or longer than any object can be.
   */
  watch(kind: KindInfo, options: WatchOptions): Promise<AsyncIterable<unknown>>;
  /** Ends all connections at once. */
  close(): Promise<void>;
}

/** A watch stream that can't be understood: what came before may be incomplete, so only a new list helps. */
export class MalformedLineError extends UnavailableError {}
