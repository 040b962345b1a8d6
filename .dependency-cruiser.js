/** The layout is the data flow: a stage knows the shared words (model, api) and no other stage. */
const only = (stage, ...allowed) => ({
  name: `${stage}-imports`,
  severity: "error",
  comment: `src/${stage} may import only: ${allowed.join(", ") || "nothing of ours"}.`,
  from: { path: `^src/${stage}/`, pathNot: "[.]test[.]ts$" },
  to: { path: "^src/", pathNot: `^src/(${[stage, ...allowed].join("|")})/` },
});

export default {
  forbidden: [
    only("envoy"),
    only("api", "model"),
    only("model", "api", "envoy"),
    only("observe", "model", "api"),
    only("reconcile", "model", "api"),
    only("apply", "model", "api"),
    only("translate", "model", "api", "envoy"),
    only("serve", "model", "envoy"),
    only("drivers", "observe", "apply", "serve", "model", "api", "envoy"),
    only("clusterset", "model", "api", "drivers"),
    only("lab", "model", "api", "drivers", "clusterset"),
    {
      name: "no-circular",
      severity: "error",
      from: { pathNot: "^src/envoy/" },
      to: { circular: true, viaOnly: { pathNot: "^src/envoy/" } },
    },
    {
      name: "pure-stages",
      severity: "error",
      comment: "model, reconcile and translate are functions of their input: no I/O libraries.",
      from: { path: "^src/(model|reconcile|translate)/", pathNot: "[.]test[.]ts$" },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?crypto$" },
    },
    {
      name: "client-libraries-in-drivers",
      severity: "error",
      comment: "Only drivers (and the lab, which is one) speak to the outside world.",
      from: {
        path: "^src/(api|model|observe|reconcile|apply|translate|serve|cli)/",
        pathNot: "[.]test[.]ts$",
      },
      to: {
        path: "node_modules/(@kubernetes/client-node|@grpc/grpc-js|undici|winston|ws)/",
        dependencyTypesNot: ["type-only"],
      },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { extensions: [".ts", ".js"] },
  },
};
