/** Short names for the parts of Gateway API objects that translation reads. Holds no behaviour. */
import type { ObjectTypes, StreamRouteKind } from "../model/kinds.ts";

export type HTTPRoute = ObjectTypes["HTTPRoute"];
export type GRPCRoute = ObjectTypes["GRPCRoute"];
/** A route whose rules choose by request. */
export type Route = HTTPRoute | GRPCRoute;
/** A route of any kind that is carried. */
export type AnyRoute = Route | ObjectTypes[StreamRouteKind];
export type ParentRef = NonNullable<HTTPRoute["spec"]["parentRefs"]>[number];
export type Rule = NonNullable<HTTPRoute["spec"]["rules"]>[number];
export type GRPCRule = NonNullable<GRPCRoute["spec"]["rules"]>[number];
export type GRPCMatch = NonNullable<GRPCRule["matches"]>[number];
export type Match = NonNullable<Rule["matches"]>[number];
export type Filter = NonNullable<Rule["filters"]>[number];
export type BackendRef = NonNullable<Rule["backendRefs"]>[number];
export type HeaderModifier = NonNullable<Filter["requestHeaderModifier"]>;
export type Redirect = NonNullable<Filter["requestRedirect"]>;
export type Rewrite = NonNullable<Filter["urlRewrite"]>;
export type PathModifier = NonNullable<Rewrite["path"]>;
export type Cors = NonNullable<Filter["cors"]>;
export type Mirror = NonNullable<Filter["requestMirror"]>;
export type GatewayListener = ObjectTypes["Gateway"]["spec"]["listeners"][number];

/** Gateway API's group: of Gateways and of routes. */
export const gatewayGroup = "gateway.networking.k8s.io";
