/**
 * The Kubernetes API of one cluster, typed by {@link KindInfo}: what observe reads and what apply writes.
 *
 * Holds no cache and no loop; each call is one request.
 */
import type { KubeWriter, ObjectRef, Preconditions } from "../../apply/kube-writer.ts";
import { RefusedError, UnavailableError } from "../../model/errors.ts";
import type { KindInfo } from "../../model/kinds.ts";
import type { KubeObject } from "../../model/kube-object.ts";
import { fieldManager } from "../../model/names.ts";
import { isRecord } from "../../model/record.ts";
import type { KubeReader, ListOptions, ListPage, WatchOptions } from "../../observe/kube-reader.ts";
import type { TokenKeys } from "../grpc/pod-token.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { kubePath } from "./kube-path.ts";
import type { PathTarget } from "./kube-path.ts";
import { Transport } from "./transport.ts";
import type { KubeRequest } from "./transport.ts";
import { LineSplitter } from "./watch-lines.ts";

const applyPatch = "application/apply-patch+yaml";
const mergePatch = "application/merge-patch+json";

/** One per cluster and credentials. */
export class KubeClient implements KubeReader, KubeWriter {
  readonly #transport: Transport;

  constructor(access: ClusterAccess) {
    this.#transport = new Transport(access);
  }

  /** By a SelfSubjectAccessReview, which every account may make: a refused list would stand in the audit log as an attack. */
  async mayList(kind: KindInfo, signal: AbortSignal): Promise<boolean> {
    const [group, version] = kind.apiVersion.includes("/")
      ? kind.apiVersion.split("/")
      : ["", kind.apiVersion];
    const body = await this.#transport.json({
      method: "POST",
      path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
      action: `ask whether it may list ${kind.plural}`,
      signal,
      body: {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        spec: { resourceAttributes: { group, version, resource: kind.plural, verb: "list" } },
      },
    });
    const status = isRecord(body) ? body["status"] : undefined;
    return isRecord(status) && status["allowed"] === true;
  }

  async list(kind: KindInfo, options: ListOptions): Promise<ListPage> {
    const body = await this.#transport.json({
      method: "GET",
      path: kubePath(kind, {
        namespace: options.namespace,
        query: {
          labelSelector: options.labels,
          fieldSelector: options.fields,
          limit: options.limit?.toString(),
          continue: options.continue,
        },
      }),
      action: `list ${kind.plural}`,
      signal: options.signal,
      secret: isSecret(kind),
    });
    return listPage(body, kind);
  }

  async watch(kind: KindInfo, options: WatchOptions): Promise<AsyncIterable<unknown>> {
    const path = kubePath(kind, {
      namespace: options.namespace,
      query: {
        watch: "true",
        allowWatchBookmarks: "true",
        resourceVersion: options.resourceVersion,
        timeoutSeconds: options.timeoutSeconds.toString(),
        labelSelector: options.labels,
        fieldSelector: options.fields,
      },
    });
    const action = `watch ${kind.plural}`;
    const request = { method: "GET", path, action, signal: options.signal, secret: isSecret(kind) } as const;
    return linesOf(await this.#transport.pieces(request));
  }

  async get(kind: KindInfo, ref: ObjectRef): Promise<KubeObject | undefined> {
    try {
      return await this.#object(kind, ref, { method: "GET", action: `get ${kind.plural}` });
    } catch (error) {
      if (error instanceof RefusedError && error.status === 404) return undefined;
      throw error;
    }
  }

  async apply(kind: KindInfo, object: KubeObject): Promise<KubeObject> {
    return await this.#patch(kind, object, { contentType: applyPatch });
  }

  async applyStatus(kind: KindInfo, object: KubeObject): Promise<KubeObject> {
    return await this.#patch(kind, object, { contentType: applyPatch, subresource: "status" });
  }

  async mergeStatus(kind: KindInfo, object: KubeObject): Promise<KubeObject> {
    return await this.#patch(kind, object, { contentType: mergePatch, subresource: "status" });
  }

  async create(kind: KindInfo, object: KubeObject): Promise<KubeObject> {
    const { namespace } = object.metadata;
    return await this.#object(
      kind,
      { namespace, query: { fieldManager } },
      {
        method: "POST",
        action: `create ${kind.plural}`,
        body: object,
      },
    );
  }

  async replace(kind: KindInfo, object: KubeObject): Promise<KubeObject> {
    const { namespace, name } = object.metadata;
    return await this.#object(
      kind,
      { namespace, name, query: { fieldManager } },
      {
        method: "PUT",
        action: `replace ${kind.plural}`,
        body: object,
      },
    );
  }

  async delete(kind: KindInfo, ref: ObjectRef, preconditions: Preconditions): Promise<void> {
    try {
      await this.#transport.json({
        method: "DELETE",
        path: kubePath(kind, ref),
        action: `delete ${kind.plural}`,
        body: { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Background", preconditions },
        secret: isSecret(kind),
      });
    } catch (error) {
      if (!(error instanceof RefusedError) || error.status !== 404) throw error;
    }
  }

  /** Issuer and public keys of the cluster's ServiceAccount tokens. Throws as every request does. */
  async tokenKeys(): Promise<TokenKeys> {
    // Keys come as application/jwk-set+json, and as nothing else.
    const get = async (path: string): Promise<unknown> =>
      await this.#transport.json({ method: "GET", path, action: `get ${path}`, accept: "*/*" });
    const [configuration, keys] = await Promise.all([
      get("/.well-known/openid-configuration"),
      get("/openid/v1/jwks"),
    ]);
    const issuer = isRecord(configuration) ? configuration["issuer"] : undefined;
    if (typeof issuer !== "string" || !isRecord(keys) || !Array.isArray(keys["keys"]))
      throw new UnavailableError("the API server doesn't tell by what its tokens are checked");
    return { issuer, keys: keys as unknown as TokenKeys["keys"] };
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  async #patch(
    kind: KindInfo,
    object: KubeObject,
    how: { readonly contentType: string; readonly subresource?: "status" },
  ): Promise<KubeObject> {
    const { namespace, name } = object.metadata;
    const isApply = how.contentType === applyPatch;
    const query = { fieldManager, force: isApply ? "true" : undefined };
    const target = { namespace, name, query, ...(how.subresource && { subresource: how.subresource }) };
    const action = `${isApply ? "apply" : "patch"} ${kind.plural}${how.subresource ? " status" : ""}`;
    return await this.#object(kind, target, {
      method: "PATCH",
      action,
      body: object,
      contentType: how.contentType,
    });
  }

  async #object(kind: KindInfo, target: PathTarget, request: Omit<KubeRequest, "path">): Promise<KubeObject> {
    const secret = isSecret(kind);
    const body = await this.#transport.json({ ...request, path: kubePath(kind, target), secret });
    if (!isRecord(body) || !isRecord(body["metadata"]) || typeof body["metadata"]["name"] !== "string") {
      throw new UnavailableError(`${request.action} got an answer that is no object`);
    }
    return body as unknown as KubeObject;
  }
}

async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<unknown, void> {
  const lines = new LineSplitter();
  for await (const piece of pieces) yield* lines.push(piece);
}

function listPage(body: unknown, kind: KindInfo): ListPage {
  const metadata = isRecord(body) ? body["metadata"] : undefined;
  const items = isRecord(body) ? (body["items"] ?? []) : undefined;
  if (!isRecord(metadata) || !Array.isArray(items) || typeof metadata["resourceVersion"] !== "string") {
    throw new UnavailableError(`list ${kind.plural} got an answer that is no list`);
  }
  const next = metadata["continue"];
  return {
    items: items as unknown[],
    resourceVersion: metadata["resourceVersion"],
    ...(typeof next === "string" && next !== "" ? { continue: next } : {}),
  };
}

function isSecret(kind: KindInfo): boolean {
  return kind.plural === "secrets";
}
