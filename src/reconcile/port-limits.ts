/** How many ports of a service can be told to peers and carried, and what is said of those beyond. The lowest numbers come first. */
import { reasons } from "../api/conditions.ts";
import type { AdvertisedPort } from "../api/service-advertisement.ts";
import { firstOf, type Problem } from "../model/problem.ts";
import { carriageOf, type Carriage } from "./protocols.ts";

/** Schema of the ServiceAdvertisement. */
const maxAdvertised = 128;
/** Gateway API allows so many listeners on a Gateway; the egress Gateway of an import has one for every port. */
const maxListeners = 64;
/** Gateway API allows so many rules in a route. */
export const maxRules = 16;
/** More than this are counted, not named. */
const maxNamed = 20;

/** Ports of a service that can be carried, by how, in the order of `ports`. */
export interface CarriedPorts {
  readonly http: readonly AdvertisedPort[];
  readonly tcp: readonly AdvertisedPort[];
}

/** The ports that a data plane carries, which may not carry TCP. */
export function carriedPorts(ports: readonly AdvertisedPort[], carriesTcp: boolean): CarriedPorts {
  const carried = ports.filter((port) => isCarried(port, carriesTcp)).slice(0, maxListeners);
  const by = (carriage: Carriage): AdvertisedPort[] =>
    carried.filter((port) => carriageOf(port) === carriage);
  return { http: by("HTTP"), tcp: by("TCP") };
}

function isCarried(port: AdvertisedPort, carriesTcp: boolean): boolean {
  const carriage = carriageOf(port);
  return carriage === "HTTP" || (carriage === "TCP" && carriesTcp);
}

/** The ports that peers are told, out of all. */
export const advertisable = (ports: readonly AdvertisedPort[]): AdvertisedPort[] =>
  ports.slice(0, maxAdvertised);

/** A problem if there are ports that peers can't be told. */
export function unadvertisedProblems(ports: readonly AdvertisedPort[]): Problem[] {
  return beyond(ports, { limit: maxAdvertised, what: "ports can be exported" });
}

/** A problem if there are ports that can't be carried for their number. */
export function uncarriedProblems(ports: readonly AdvertisedPort[], carriesTcp: boolean): Problem[] {
  const what = carriesTcp ? "HTTP and TCP ports can be carried" : "HTTP ports can be carried";
  const carried = ports.filter((port) => isCarried(port, carriesTcp));
  return beyond(carried, { limit: maxListeners, what });
}

function beyond(
  ports: readonly AdvertisedPort[],
  { limit, what }: { readonly limit: number; readonly what: string },
): Problem[] {
  if (ports.length <= limit) return [];
  const left = ports.slice(limit).map(({ port, protocol }) => `${port}/${protocol}`);
  return [
    {
      reason: reasons.TooManyPorts,
      message: `At most ${limit} ${what}, those with the lowest numbers. Left out: ${firstOf(left, { most: maxNamed })}. Split the Service into several.`,
    },
  ];
}
