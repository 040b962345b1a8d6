/**
 * Prints what one changed virtual host among 1,000 costs the ADS side: encoding, one stream's step, and bytes.
 *
 *     node bench/xds-push.ts
 */
import { create } from "@bufbuild/protobuf";
import { encodeResponse } from "../src/drivers/grpc/discovery-messages.ts";
import { VirtualHostSchema } from "../src/envoy/envoy/config/route/v3/route_components_pb.ts";
import type { FleetConfig } from "../src/model/envoy-config.ts";
import { xdsType } from "../src/model/xds-types.ts";
import { Fleets } from "../src/serve/fleets.ts";
import type { SnapshotType } from "../src/serve/snapshot.ts";
import type { StreamResponse } from "../src/serve/stream-state.ts";
import { envoyConfigOf, fleetName } from "../test/serve/small-config.ts";

const hosts = 1_000;
const rounds = 200;
const empty = { subscribe: [], unsubscribe: [], initialVersions: new Map<string, string>(), nonce: "" };

const names = Array.from({ length: hosts }, (_, index) => `service-${index}.shop.svc.clusterset.local`);
const first = envoyConfigOf({
  clusters: Object.fromEntries(names.map((name) => [name, 8080])),
  tables: { table: Object.fromEntries(names.map((name) => [name, name])) },
  listeners: { listener: { port: 31_111, table: "table" } },
}).fleets.get(fleetName);
if (first === undefined) throw new Error("There is no fleet.");

const fleets = new Fleets();
const inbox: StreamResponse[] = [];
let bytes = 0;
const stream = fleets.open("pod", fleetName, (responses) => inbox.push(...responses));
const ask = (type: SnapshotType, subscribe: readonly string[]): void => {
  fleets.request(stream, { ...empty, type, subscribe }, 0);
};
const settle = (): void => {
  for (let response = inbox.shift(); response !== undefined; response = inbox.shift()) {
    bytes += encodeResponse(response).length;
    fleets.request(stream, { ...empty, type: response.type, nonce: response.nonce }, 0);
  }
};

let config: FleetConfig = first;
const publish = (): void => {
  fleets.publish({ fleets: new Map([[fleetName, config]]) }, 0);
};
const startMs = performance.now();
publish();
ask(xdsType.cluster, []);
ask(xdsType.clusterLoadAssignment, names);
ask(xdsType.listener, []);
ask(xdsType.routeConfiguration, ["table"]);
settle();
print(`everything, first time: ${(performance.now() - startMs).toFixed(1)} ms, ${bytes} bytes`);

const times: number[] = [];
bytes = 0;
for (let round = 0; round < rounds; round += 1) {
  const table = config.routes.get("table");
  if (table === undefined) throw new Error("There is no table.");
  const virtualHosts = [...table.virtualHosts];
  const old = virtualHosts[round];
  if (old === undefined) throw new Error("There is no such host.");
  virtualHosts[round] = create(VirtualHostSchema, { ...old, requestHeadersToRemove: [`x-${round}`] });
  config = { ...config, routes: new Map([["table", { ...table, virtualHosts }]]) };
  const beganMs = performance.now();
  publish();
  settle();
  times.push(performance.now() - beganMs);
}
times.sort((one, other) => one - other);
const at = (share: number): string => (times[Math.floor(times.length * share)] ?? 0).toFixed(2);
print(
  `one of ${hosts} virtual hosts: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${Math.round(bytes / rounds)} bytes`,
);

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
