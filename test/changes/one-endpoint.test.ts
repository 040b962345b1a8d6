/** What one EndpointSlice that changes among a thousand Services costs on the wire: from the object to an ADS client. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { expect } from "chai";
import { setTimeout as sleep } from "node:timers/promises";
import { adsDefinition } from "../../src/drivers/grpc/ads-service.ts";
import { rawBytes } from "../../src/drivers/grpc/raw-bytes.ts";
import { ClusterLoadAssignmentSchema } from "../../src/envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from "../../src/envoy/envoy/service/discovery/v3/discovery_pb.ts";
import type { DeltaDiscoveryResponse } from "../../src/envoy/envoy/service/discovery/v3/discovery_pb.ts";
import { xdsType } from "../../src/model/xds-types.ts";
import { bearer } from "../serve/test-door.ts";
import { until } from "../serve/test-envoy.ts";
import { cluster, fleet, route, service, servicePort, slices } from "./objects.ts";
import { ServedWorld } from "./served-world.ts";

const count = 1_000;
const pod = "pod-1";
/** In front of each message: whether it is compressed, and its length. */
const grpcHeadBytes = 5;

describe("one EndpointSlice that changes among a thousand Services", function () {
  this.timeout(60_000);
  let world: ServedWorld;
  let call: ClientDuplexStream<Buffer, Buffer>;
  let close: () => void;
  const messages: { readonly response: DeltaDiscoveryResponse; readonly bytes: number }[] = [];

  const ask = (typeUrl: string, more: { names?: string[]; nonce?: string } = {}): void => {
    const request = create(DeltaDiscoveryRequestSchema, {
      typeUrl,
      node: { id: pod, cluster: fleet },
      resourceNamesSubscribe: more.names ?? [],
      responseNonce: more.nonce ?? "",
    });
    call.write(Buffer.from(toBinary(DeltaDiscoveryRequestSchema, request)));
  };
  const answerTo = async (typeUrl: string): Promise<DeltaDiscoveryResponse> =>
    await until(typeUrl, () =>
      Promise.resolve(messages.find(({ response }) => response.typeUrl === typeUrl)?.response),
    );

  before(async () => {
    const names = Array.from({ length: count }, (_, index) => `s${index}`);
    world = await ServedWorld.start(
      cluster(
        31_999,
        { high: 31_111, low: 31_112 },
        names.flatMap((name) => [
          service(name),
          ...slices(name, 9_000),
          route(name, `${name}.test`, { backendRefs: [{ name, port: servicePort }] }),
        ]),
      ),
    );
    const token = await world.door.token({ account: fleet, pod });
    const client = world.door.client(world.port);
    const { path } = adsDefinition.DeltaAggregatedResources;
    call = client.makeBidiStreamRequest(
      path,
      rawBytes.requestSerialize,
      rawBytes.responseDeserialize,
      bearer(token),
    );
    call.on("error", () => undefined);
    call.on("data", (bytes: Buffer) => {
      const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
      messages.push({ response, bytes: grpcHeadBytes + bytes.length });
      ask(response.typeUrl, { nonce: response.nonce });
    });
    close = () => {
      call.cancel();
      client.close();
    };
    ask(xdsType.cluster);
    const clusters = (await answerTo(xdsType.cluster)).resources.map(({ name }) => name);
    expect(clusters.length).to.equal(count);
    ask(xdsType.clusterLoadAssignment, { names: clusters });
    expect((await answerTo(xdsType.clusterLoadAssignment)).resources.length).to.equal(count);
    ask(xdsType.listener);
    await answerTo(xdsType.listener);
    ask(xdsType.routeConfiguration, { names: [...world.config().routes.keys()] });
    await answerTo(xdsType.routeConfiguration);
  });

  after(async () => {
    close();
    await world.stop();
  });

  it("is one message with one resource, of at most its size and 300 bytes", async () => {
    messages.length = 0;
    world.apply(...slices("s7", 9_001));
    await answerTo(xdsType.clusterLoadAssignment);
    // What comes second comes late.
    await sleep(300);
    const told = messages.map(({ response }) => response.resources.map(({ name }) => name));
    const name = `service/secure/s7/${servicePort}`;
    expect(told).to.deep.equal([[name]]);
    const [message] = messages;
    expect(message?.response.removedResources).to.deep.equal([]);
    const size = toBinary(ClusterLoadAssignmentSchema, world.config().endpoints.get(name)!).length;
    process.stderr.write(`      ${size} bytes of endpoints are ${message?.bytes ?? 0} on the wire\n`);
    expect(message?.bytes).to.be.at.most(size + 300);
  });

  it("is nothing if only what Envoys aren't told of has changed", async () => {
    messages.length = 0;
    const [slice] = slices("s7", 9_001);
    world.apply({ ...slice!, metadata: { ...slice!.metadata, annotations: { seen: "yes" } } });
    await sleep(300);
    expect(messages).to.deep.equal([]);
  });
});
