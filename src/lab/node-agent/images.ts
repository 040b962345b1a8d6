/**
 * The images that the node agent knows, by name: what to bind into the container and what to run. There is no registry and no
 * unpacking: an "image" here is programs of this machine. Tags and digests are not looked at.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { findBinary, type BinaryName, type imageToolNames } from "../binaries/binaries.ts";
import { arrayAt, isObject, objectAt, optionalStringAt, stringAt, stringMapAt, stringsAt } from "./json.ts";

/** A folder or file of the host that the container sees, read-only. */
interface ImageBind {
  readonly source: string;
  readonly target: string;
}

/** What stands for an image. `/usr` of the host is always there. */
export interface ImageRecipe {
  readonly binds: readonly ImageBind[];
  readonly entrypoint: readonly string[];
  /** Used when the container gives no `args`; default none. */
  readonly cmd?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the usual PATH. */
  readonly path?: readonly string[];
  readonly workingDir?: string;
}

/** Recipes by normalised name. */
export type ImageTable = ReadonlyMap<string, ImageRecipe>;

/** `envoyproxy/envoy:v1.40` becomes `docker.io/envoyproxy/envoy`: registry and `library/` written out, tag and digest gone. */
export function normaliseImageName(image: string): string {
  const name = image.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
  const [first = "", ...rest] = name.split("/");
  if (rest.length === 0) return `docker.io/library/${first}`;
  return /[.:]|^localhost$/.test(first) ? name : `docker.io/${name}`;
}

/** The Node binary and the checkout this process itself runs from. */
const NODE: ImageBind = { source: process.execPath, target: "/opt/node/bin/node" };
const CHECKOUT = resolve(import.meta.dirname, "../../..");

function builtIn(cacheDir: string): [string, ImageRecipe][] {
  const node = { binds: [NODE], path: ["/opt/node/bin"] };
  const shell: ImageRecipe = { binds: [], entrypoint: [], cmd: ["sh"] };
  return [
    [
      "ghcr.io/l7mp/mc-wan",
      {
        ...node,
        binds: [NODE, { source: CHECKOUT, target: "/opt/mc-wan" }],
        entrypoint: ["node", "/opt/mc-wan/src/cli/main.ts"],
        workingDir: "/opt/mc-wan",
        env: { NODE_ENV: "production" },
      },
    ],
    ["docker.io/envoyproxy/envoy", program("envoy", cacheDir)],
    ["registry.k8s.io/coredns/coredns", program("coredns", cacheDir)],
    ["registry.k8s.io/gateway-api/echo-basic", program("echo-basic", cacheDir)],
    ["registry.k8s.io/pause", { binds: [], entrypoint: ["sleep", "infinity"] }],
    ["docker.io/library/node", { ...node, entrypoint: [], cmd: ["node"] }],
    ["docker.io/library/debian", shell],
    ["docker.io/library/busybox", shell],
    ["docker.io/curlimages/curl", { binds: [], entrypoint: ["curl"] }],
    ["docker.io/alpine/socat", { ...tools(["socat"], cacheDir), entrypoint: ["socat"] }],
    ["docker.io/nicolaka/netshoot", { ...shell, ...tools(["nc", "nslookup", "socat"], cacheDir) }],
  ];
}

/** An image of one program of the lab's: from the binaries' cache, else from the lab's own folder. */
function program(name: BinaryName, cacheDir: string): ImageRecipe {
  const folder = `/opt/${name}/bin`;
  return {
    binds: [{ source: findBinary(name) ?? join(cacheDir, name), target: `${folder}/${name}` }],
    path: [folder],
    entrypoint: [name],
  };
}

/** Programs that a package of the machine has, or the binaries' cache with the libraries beside them. */
function tools(
  names: readonly (typeof imageToolNames)[number][],
  cacheDir: string,
): Required<Pick<ImageRecipe, "binds" | "path">> {
  const elsewhere = names
    .map((name) => ({ name, file: findBinary(name) ?? join(cacheDir, name, name) }))
    .filter(({ file }) => !/^\/(usr|bin|sbin)\//.test(file));
  const target = (name: string): string => `/opt/${name}`;
  return {
    binds: elsewhere.map(({ name, file }) => ({ source: dirname(file), target: target(name) })),
    path: elsewhere.map(({ name }) => target(name)),
  };
}

function parseRecipe(value: unknown, base: string): ImageRecipe {
  const recipe = objectAt({ recipe: value }, "recipe");
  const binds = arrayAt(recipe, "binds").map((entry) => {
    const bind = objectAt({ bind: entry }, "bind");
    return { source: resolve(base, stringAt(bind, "source")), target: stringAt(bind, "target") };
  });
  const workingDir = optionalStringAt(recipe, "workingDir");
  return {
    // `node: true` gives the container the Node that runs the lab.
    binds: recipe["node"] === true ? [NODE, ...binds] : binds,
    entrypoint: stringsAt(recipe, "entrypoint"),
    cmd: stringsAt(recipe, "cmd"),
    env: stringMapAt(recipe, "env"),
    path:
      recipe["node"] === true ? ["/opt/node/bin", ...stringsAt(recipe, "path")] : stringsAt(recipe, "path"),
    ...(workingDir === undefined ? {} : { workingDir }),
  };
}

/**
 * The built-in table, and over it the entries of `imagesFile` (none if empty): a JSON object from image name to
 * `{binds: [{source, target}], entrypoint, cmd, env, path, workingDir, node}`; sources count from the file's folder,
 * `node: true` adds Node. Throws when the file is no such thing.
 */
export function loadImages(cacheDir: string, imagesFile: string): ImageTable {
  const table = new Map(builtIn(cacheDir));
  if (imagesFile === "") return table;
  const extra = JSON.parse(readFileSync(imagesFile, "utf8")) as unknown;
  if (!isObject(extra)) throw new TypeError(`${imagesFile} is not a JSON object`);
  for (const [name, value] of Object.entries(extra)) {
    table.set(normaliseImageName(name), parseRecipe(value, dirname(imagesFile)));
  }
  return table;
}

/** An image that can't be run here, with the reason for the container's status. */
export class ImageError extends Error {
  override readonly name = "ImageError";
}

/** The recipe for an image. Throws ImageError with a message that names the known ones. */
export function findImage(table: ImageTable, image: string): ImageRecipe {
  const recipe = table.get(normaliseImageName(image));
  if (recipe === undefined) {
    throw new ImageError(
      `the lab's node agent is no container runtime and doesn't know the image "${image}"; it knows ${[...table.keys()].join(", ")}`,
    );
  }
  const missing = recipe.binds.find(({ source }) => !existsSync(source));
  if (missing !== undefined)
    throw new ImageError(`the image "${image}" needs ${missing.source}, which is not there`);
  return recipe;
}
