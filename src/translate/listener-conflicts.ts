/**
 * Listeners of one Gateway that can't be had together: on one port, or on one port of the Pod, and not to be told apart
 * there. Each is looked up among the others by what would clash: a Gateway may have thousands, in ListenerSets of anybody.
 *
 * Between listeners of one owner no order decides: neither is served. Between owners, who came before has the place, and what
 * gives way to it is in nobody's way.
 *
 * Source: Gateway API, ListenerConditionConflicted.
 */
import { reasons } from "../api/conditions.ts";
import type { Problem } from "../model/problem.ts";
import type { GatewayListener } from "./gateway-api.ts";
import type { JudgedListener } from "./judged-listener.ts";

/** Listeners by a place and, there, by a trait: of each trait the first two, in the order in which they came. */
class Shelf {
  readonly #places = new Map<string, Map<string, JudgedListener[]>>();

  add(place: string, trait: string, one: JudgedListener): void {
    const traits = this.#places.get(place) ?? new Map<string, JudgedListener[]>();
    this.#places.set(place, traits);
    const first = traits.get(trait);
    if (first === undefined) traits.set(trait, [one]);
    else if (first.length < 2) first.push(one);
  }

  /** The first at a place with this very trait that is not the one that asks. */
  findSame(place: string, trait: string, than: JudgedListener): JudgedListener | undefined {
    return this.#places
      .get(place)
      ?.get(trait)
      ?.find((one) => one !== than);
  }

  /** The first at a place with another trait. */
  findOther(place: string, trait: string): JudgedListener | undefined {
    // A Map keeps the order in which its keys came: only the first two traits are ever looked at.
    for (const [known, [one]] of this.#places.get(place) ?? []) if (known !== trait) return one;
    return undefined;
  }
}

/** Listeners that may be in the way of others. */
export class TakenPlaces {
  readonly #transports = new Shelf();
  readonly #ways = new Shelf();
  readonly #hostnames = new Shelf();
  readonly #ports = new Shelf();

  constructor(listeners: readonly JudgedListener[] = []) {
    for (const one of listeners) this.add(one);
  }

  /** Adds a listener behind all others. One that is refused takes no place. */
  add(one: JudgedListener): void {
    if (one.refusal !== undefined) return;
    const { port, place, pod, way, transport } = placeOf(one);
    this.#transports.add(port, transport, one);
    this.#ways.add(place, way, one);
    this.#hostnames.add(place, one.hostname, one);
    this.#ports.add(pod, port, one);
  }

  /** The first that has the listener's port and another transport. */
  otherTransport(one: JudgedListener): JudgedListener | undefined {
    const { port, transport } = placeOf(one);
    return this.#transports.findOther(port, transport);
  }

  /** The first at the listener's place of which one is in plain text, and the other is not of the same kind. */
  otherWay(one: JudgedListener): JudgedListener | undefined {
    const { place, way } = placeOf(one);
    return this.#ways.findOther(place, way);
  }

  /** The first other one at the listener's place with its hostname. */
  sameHostname(one: JudgedListener): JudgedListener | undefined {
    return this.#hostnames.findSame(placeOf(one).place, one.hostname, one);
  }

  /** The first that has another port, and the same in the Pod. */
  otherPort(one: JudgedListener): JudgedListener | undefined {
    const { pod, port } = placeOf(one);
    return this.#ports.findOther(pod, port);
  }
}

/** What a listener is found by. */
function placeOf({ listener, containerPort, way }: JudgedListener) {
  const port = String(listener.port);
  const pod = String(containerPort);
  return {
    port,
    pod,
    place: `${pod} ${port}`,
    way: way === "Http" || way === "Tcp" ? way : "not plain",
    transport: transportOf(listener),
  };
}

/** Listeners of one port have to be told apart by the same means. */
const transportOf = ({ protocol }: GatewayListener): string =>
  protocol === "HTTPS" || protocol === "TLS" ? "TLS" : protocol;

/**
 * The listeners of one owner with their conflicts: with those that came before, then among each other. One that gives way to
 * somebody before is in the way of none of its own.
 */
export function withConflicts(own: readonly JudgedListener[], before: TakenPlaces): JudgedListener[] {
  const settled = own.map((one) => {
    const other = before.otherTransport(one);
    if (other === undefined) return withConflict(one, before);
    const message = `Port ${one.listener.port} of the Gateway already speaks ${other.listener.protocol}: choose another port.`;
    const { refusal: _refusal, ...rest } = one;
    return { ...rest, conflict: { reason: reasons.ProtocolConflict, message } };
  });
  const left = new TakenPlaces(settled.filter(({ conflict }) => conflict === undefined));
  return settled.map((one) => (one.conflict === undefined ? withConflict(one, left) : one));
}

function withConflict(one: JudgedListener, places: TakenPlaces): JudgedListener {
  const conflict = conflictOf(one, places);
  return conflict === undefined ? one : { ...one, conflict };
}

/** Two listeners that no connection can tell apart. */
function conflictOf(one: JudgedListener, places: TakenPlaces): Problem | undefined {
  if (one.refusal !== undefined) return undefined;
  const { name, port, protocol } = one.listener;
  const plain = places.otherWay(one);
  if (plain !== undefined) {
    const message = `Listeners ${name} and ${plain.listener.name} have the same port, and protocols ${protocol} and ${plain.listener.protocol} can't be told apart there. Change one of them.`;
    return { reason: reasons.ProtocolConflict, message };
  }
  const twin = places.sameHostname(one);
  if (twin !== undefined) {
    const message = `Listeners ${name} and ${twin.listener.name} have the same port and hostname. Change one of them.`;
    const isSame = twin.listener.protocol === protocol;
    return { reason: isSame ? reasons.HostnameConflict : reasons.ProtocolConflict, message };
  }
  const mapped = places.otherPort(one);
  if (mapped === undefined) return undefined;
  const message = `Ports ${port} and ${mapped.listener.port} would both be port ${one.containerPort} of the gateway's Pod. Choose another port for one of them.`;
  return { reason: reasons.PortUnavailable, message };
}
