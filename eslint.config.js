import eslint from "@eslint/js";
import tseslint from "typescript-eslint";

/** What a pure stage may not touch: it is a function of its input alone. */
const pure = {
  "no-restricted-globals": [
    "error",
    "process",
    "setTimeout",
    "setInterval",
    "setImmediate",
    "fetch",
    "performance",
    "crypto",
  ],
  "no-restricted-properties": [
    "error",
    { object: "Math", property: "random" },
    { object: "Date", property: "now" },
    { property: "localeCompare", message: "Depends on the locale: use compare from model/order.ts." },
  ],
  "no-restricted-syntax": [
    "error",
    "AwaitExpression",
    "FunctionDeclaration[async=true]",
    "FunctionExpression[async=true]",
    "ArrowFunctionExpression[async=true]",
    "NewExpression[callee.name='Date'][arguments.length=0]",
  ],
};

export default tseslint.config(
  {
    ignores: [
      "node_modules/",
      "coverage/",
      "src/envoy/",
      "src/api/generated/",
      "*.config.js",
      ".dependency-cruiser.js",
      "src/cli/mcwan.js",
    ],
  },
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "no-console": "error",
      eqeqeq: "error",
      "max-lines": ["error", { max: 300, skipBlankLines: true, skipComments: true }],
      "max-params": ["error", 3],
    },
  },
  {
    files: ["src/{model,reconcile,translate}/**"],
    ignores: ["**/*.test.ts", "src/model/log.ts"],
    rules: pure,
  },
  {
    files: ["**/*.test.ts", "conformance/**", "e2e/**", "bench/**"],
    rules: {
      "@typescript-eslint/no-unused-expressions": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
      "max-lines": "off",
    },
  },
);
