/**
 * Loads all that `mcwan controller` runs, so that Node keeps it in its compile cache: the image is built with one. A process
 * that finds it neither loads the program that takes types out of sources (17 MB) nor parses what was parsed before.
 *
 *     NODE_COMPILE_CACHE=<folder> node src/cli/fill-compile-cache.ts
 *
 * The cache is bound to paths, to the version of Node and to the user; where one of these differs, it is not used.
 */

/** As the controller does, in its order. */
const modules = [
  "./commands/controller.ts",
  "../drivers/log/winston-log.ts",
  "../drivers/kube/kubeconfig.ts",
  "../drivers/kube/kube-client.ts",
  "../drivers/metrics/prometheus-metrics.ts",
  "../drivers/timing/real-timing.ts",
  "../drivers/net/tcp-probe.ts",
  "../drivers/x509/certificate-maker.ts",
  "./run.ts",
  "./status-pages.ts",
  "../reconcile/reconcile.ts",
  "./data-planes/envoy.ts",
  "./data-planes/gateway-api.ts",
  "../drivers/grpc/create-ads-server.ts",
  "../translate/translate.ts",
  "../reconcile/gateway-status.ts",
  "yaml",
];
for (const module of modules) await import(module);

// The command line itself, which runs as soon as it is loaded; it ends the process, and with it the cache is written.
process.argv.splice(2, Infinity, "controller", "--help");
await import("./main.ts");
