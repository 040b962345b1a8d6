/**
 * A replica's report as bytes (JSON), and back: checked by schema, since it comes from outside of the process.
 * What a newer replica says beyond that is passed over.
 */
import { Ajv } from "ajv";
import type { Report } from "../../serve/replica-report.ts";

const schema = {
  type: "object",
  required: ["acknowledgements", "listening", "refusedRoutes"],
  properties: {
    acknowledgements: {
      type: "array",
      maxItems: 20_000,
      items: {
        type: "object",
        required: ["gateway", "generation"],
        properties: {
          gateway: { type: "string", maxLength: 320 },
          generation: { type: "integer", minimum: 0 },
          programmed: { type: "integer", minimum: 0 },
          refused: { type: "string", maxLength: 2_048 },
        },
      },
    },
    refusedRoutes: {
      type: "array",
      maxItems: 20_000,
      items: {
        type: "object",
        required: ["fleet", "kind", "key", "reason"],
        properties: {
          fleet: { type: "string", maxLength: 320 },
          kind: { enum: ["HTTPRoute", "GRPCRoute"] },
          key: { type: "string", maxLength: 512 },
          reason: { type: "string", maxLength: 2_048 },
        },
      },
    },
    listening: {
      type: "object",
      maxProperties: 5_000,
      additionalProperties: {
        type: "object",
        required: ["ports", "isConnected"],
        properties: {
          ports: {
            type: "array",
            maxItems: 20_000,
            items: { type: "integer", minimum: 1, maximum: 65_535 },
          },
          isConnected: { type: "boolean" },
          sendsTo: {
            type: "object",
            maxProperties: 1_000,
            additionalProperties: {
              type: "object",
              maxProperties: 1_000,
              additionalProperties: {
                type: "array",
                maxItems: 1_000,
                items: { type: "integer", minimum: 1, maximum: 65_535 },
              },
            },
          },
        },
      },
    },
  },
} as const;

const isReport = new Ajv().compile<Report>(schema);

/** The report in these bytes; undefined if they hold none. */
export function parseReport(bytes: Buffer): Report | undefined {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
  return isReport(value) ? value : undefined;
}

/** The bytes of a report. */
export function reportBytes(report: Report): Buffer {
  return Buffer.from(JSON.stringify(report));
}
