/**
 * Who takes part in the comparison: a controller that runs outside of the cluster and programs an Envoy through the
 * Gateway API. Nothing here measures.
 */
import { join } from "node:path";
import type { KubeObject } from "../src/model/kube-object.ts";
import type { HomeCluster } from "../test/home-cluster.ts";
import type { BenchContext } from "./measurement.ts";
import type { Program } from "./program.ts";

/** Where contenders meet: one API server, and a network namespace of its own for all. */
export interface Arena extends BenchContext {
  readonly home: HomeCluster;
  /** For files of this run. */
  readonly folder: string;
  /** Path of the Envoy that both use. */
  readonly envoyProgram: string;
  readonly namespace: string;
  /** The name of the Gateway. */
  readonly gateway: string;
}

/** An Envoy as its Deployment says, made to run beside others. */
export interface EnvoyStart {
  readonly args: readonly string[];
  /** `host:port` of its admin interface. */
  readonly admin: string;
  /** The cluster of its bootstrap through which its configuration comes. */
  readonly xdsCluster: string;
}

/** One of them. */
export interface Contender {
  readonly name: string;
  readonly gatewayClass: string;
  /** Once, before the first start: its CRDs, class and namespaces. */
  readonly install: (arena: Arena) => Promise<void>;
  readonly start: (arena: Arena) => Program;
  /** From the Deployment that it has written for the Gateway; undefined while there is none. */
  readonly envoyOf: (arena: Arena) => Promise<EnvoyStart | undefined>;
}

/** Where a program of a contender writes. */
export function logOf(arena: Arena, name: string): string {
  return join(arena.folder, `${name}.log`);
}

/** The arguments of the container that has the bootstrap, with `$(NAME)` replaced as the kubelet would. */
export function envoyArgs(deployment: KubeObject): string[] {
  const { template } = deployment["spec"] as {
    template: { spec: { containers: { args?: string[] }[] } };
  };
  const args = template.spec.containers.map((container) => container.args ?? []);
  const found = args.find((words) => words.some((word) => word.startsWith("--config-yaml")));
  if (found === undefined) throw new Error(`no container of ${deployment.metadata.name} has a bootstrap`);
  return found.map((word) => word.replaceAll(/\$\((\w+)\)/g, (_, name: string) => `bench-${name}`));
}
