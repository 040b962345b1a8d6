/**
 * A Pod's volumes as folders of the host: configMap, secret, projected (with service-account tokens), downwardAPI, emptyDir.
 * Contents are kept fresh while the Pod runs. Any other kind of volume is refused by name.
 */
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { IPod } from "kubernetes-models/v1/Pod";
import type { IVolume } from "kubernetes-models/v1/Volume";
import { sameFiles, writeAtomicDirectory, type VolumeFile } from "./atomic-directory.ts";
import { downwardField, downwardResource, type PodAddresses } from "./downward-api.ts";
import { objectAt, stringAt } from "./json.ts";
import { readKeyedSource } from "./keyed-sources.ts";
import type { KubeApi } from "./kube-api.ts";

/** A volume that is missing something or can't be had here; trying again may help. */
class VolumeError extends Error {
  override readonly name = "VolumeError";
}

/** What volumes are made from. */
export interface VolumeContext {
  readonly api: KubeApi;
  readonly addresses: PodAddresses;
  /** The Pod's folder for volumes; exists. */
  readonly folder: string;
}

type Files = Map<string, VolumeFile>;
interface KeyToPath {
  readonly key: string;
  readonly path: string;
  readonly mode?: number;
}
interface KeyedReference {
  readonly kind: "ConfigMap" | "Secret";
  readonly name: string;
  readonly items?: readonly KeyToPath[];
  readonly optional?: boolean;
  readonly defaultMode: number;
}

/** The volumes of one Pod. */
export class PodVolumes {
  readonly #context: VolumeContext;
  readonly #written = new Map<string, Files>();
  readonly #tokens = new Map<string, { token: string; renewAt: number }>();

  constructor(context: VolumeContext) {
    this.#context = context;
  }

  /** The folder of a volume. */
  path(name: string): string {
    return join(this.#context.folder, name);
  }

  /** Makes or refreshes every volume; only what changed is written. Throws VolumeError. */
  async write(pod: IPod): Promise<void> {
    await Promise.all((pod.spec?.volumes ?? []).map((volume) => this.#writeVolume(pod, volume)));
  }

  async #writeVolume(pod: IPod, volume: IVolume): Promise<void> {
    const folder = this.path(volume.name);
    if (volume.emptyDir !== undefined) {
      await mkdir(folder, { recursive: true });
      await chmod(folder, 0o777);
      return;
    }
    const files = await this.#files(pod, volume);
    const before = this.#written.get(volume.name);
    if (before !== undefined && sameFiles(before, files)) return;
    await writeAtomicDirectory(folder, files);
    this.#written.set(volume.name, files);
  }

  async #files(pod: IPod, volume: IVolume): Promise<Files> {
    const { configMap, secret, downwardAPI, projected } = volume;
    if (configMap !== undefined) {
      return this.#keyed(pod, {
        ...configMap,
        kind: "ConfigMap",
        name: configMap.name ?? "",
        defaultMode: configMap.defaultMode ?? 0o644,
      });
    }
    if (secret !== undefined) {
      return this.#keyed(pod, {
        ...secret,
        kind: "Secret",
        name: secret.secretName ?? "",
        defaultMode: secret.defaultMode ?? 0o644,
      });
    }
    if (downwardAPI !== undefined)
      return this.#downward(pod, downwardAPI.items ?? [], downwardAPI.defaultMode ?? 0o644);
    if (projected !== undefined) return this.#projected(pod, volume.name, projected);
    const kind = Object.keys(volume).find((field) => field !== "name") ?? "nothing";
    throw new VolumeError(`volume "${volume.name}": ${kind} is not supported by the lab's node agent`);
  }

  async #projected(
    pod: IPod,
    volumeName: string,
    projected: NonNullable<IVolume["projected"]>,
  ): Promise<Files> {
    const defaultMode = projected.defaultMode ?? 0o644;
    const files: Files = new Map();
    for (const source of projected.sources ?? []) {
      const { configMap, secret, downwardAPI, serviceAccountToken } = source;
      if (serviceAccountToken !== undefined) {
        const token = await this.#token(pod, volumeName, serviceAccountToken);
        files.set(serviceAccountToken.path, { data: Buffer.from(token), mode: defaultMode });
      }
      const keyed = configMap ?? secret;
      const kind = configMap === undefined ? "Secret" : "ConfigMap";
      const parts = [
        keyed === undefined
          ? undefined
          : await this.#keyed(pod, { ...keyed, kind, name: keyed.name ?? "", defaultMode }),
        downwardAPI === undefined ? undefined : this.#downward(pod, downwardAPI.items ?? [], defaultMode),
      ];
      for (const part of parts) for (const [path, file] of part ?? []) files.set(path, file);
    }
    return files;
  }

  async #keyed(pod: IPod, reference: KeyedReference): Promise<Files> {
    const { kind, name, items, defaultMode } = reference;
    const namespace = pod.metadata?.namespace ?? "default";
    const source = await readKeyedSource(this.#context.api, kind, { namespace, name });
    if (source === undefined && reference.optional !== true)
      throw new VolumeError(`${kind.toLowerCase()} "${name}" not found`);
    const files: Files = new Map();
    const wanted: readonly KeyToPath[] =
      items ?? [...(source?.keys() ?? [])].map((key) => ({ key, path: key }));
    for (const { key, path, mode } of wanted) {
      const data = source?.get(key);
      if (data !== undefined) files.set(path, { data, mode: mode ?? defaultMode });
      else if (reference.optional !== true)
        throw new VolumeError(`${kind.toLowerCase()} "${name}" has no key "${key}"`);
    }
    return files;
  }

  #downward(
    pod: IPod,
    items: NonNullable<NonNullable<IVolume["downwardAPI"]>["items"]>,
    defaultMode: number,
  ): Files {
    const files: Files = new Map();
    for (const { path, fieldRef, resourceFieldRef, mode } of items) {
      const container = pod.spec?.containers[0];
      const text =
        fieldRef !== undefined
          ? downwardField(pod, fieldRef.fieldPath, this.#context.addresses)
          : resourceFieldRef !== undefined && container !== undefined
            ? downwardResource(pod, container, resourceFieldRef)
            : "";
      files.set(path, { data: Buffer.from(text), mode: mode ?? defaultMode });
    }
    return files;
  }

  async #token(
    pod: IPod,
    volumeName: string,
    wanted: { path: string; audience?: string; expirationSeconds?: number },
  ): Promise<string> {
    const cacheKey = `${volumeName}/${wanted.path}`;
    const cached = this.#tokens.get(cacheKey);
    if (cached !== undefined && cached.renewAt > Date.now()) return cached.token;
    const { namespace = "default", name = "", uid = "" } = pod.metadata ?? {};
    const account = pod.spec?.serviceAccountName ?? "default";
    const expirationSeconds = wanted.expirationSeconds ?? 3600;
    const answer = await this.#context.api.call(
      "POST",
      `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
      {
        body: {
          apiVersion: "authentication.k8s.io/v1",
          kind: "TokenRequest",
          spec: {
            audiences: wanted.audience === undefined ? [] : [wanted.audience],
            expirationSeconds,
            boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
          },
        },
      },
    );
    const token = stringAt(objectAt(objectAt({ answer }, "answer"), "status"), "token");
    this.#tokens.set(cacheKey, { token, renewAt: Date.now() + expirationSeconds * 800 });
    return token;
  }
}
