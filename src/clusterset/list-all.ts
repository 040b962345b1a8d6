/** All objects of a kind, page by page. */
import type { KindInfo } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import type { MemberApi } from "./member.ts";

/** Which objects are listed. */
export interface Wanted {
  readonly kind: KindInfo;
  readonly namespace?: string;
  /** A label selector. */
  readonly labels?: string;
  readonly signal: AbortSignal;
}

const pageSize = 500;

/** Lists them, each with its kind: items of a list don't say what they are. */
export async function listAll(
  api: MemberApi,
  { kind, ...selection }: Wanted,
): Promise<readonly KubeObject[]> {
  const objects: KubeObject[] = [];
  let next: string | undefined;
  do {
    const page = await api.list(kind, {
      ...selection,
      limit: pageSize,
      ...(next !== undefined && { continue: next }),
    });
    for (const item of page.items as readonly KubeObject[])
      objects.push({ ...item, apiVersion: kind.apiVersion, kind: kind.kind });
    next = page.continue;
  } while (next !== undefined);
  return objects;
}
