/**
 * How often an object is written. Ready backends of a service change with every Pod, and each change is a write here and
 * an event at every peer: five a second are enough. But that none is left, or the first is back, goes out at once.
 */
import type { ServiceAdvertisementSpec } from "../api/service-advertisement.ts";
import type { DesiredObject } from "../model/desired.ts";
import type { KubeObject } from "../model/kube-object.ts";

/** Between two writes of one ServiceAdvertisement (section 4 of the specification). */
const advertisementPauseMs = 200;

/** Least time since the object's last write, in ms; 0: it is written at once. `observed` is what stands. */
export function pauseMs({ kind, object }: DesiredObject, observed: KubeObject | undefined): number {
  if (kind !== "ServiceAdvertisement") return 0;
  return readyCount(object) === 0 || readyCount(observed) === 0 ? 0 : advertisementPauseMs;
}

/** Of what does not stand: 0. */
function readyCount(advertisement: KubeObject | undefined): number {
  const spec = advertisement?.["spec"] as Partial<ServiceAdvertisementSpec> | undefined;
  return (spec?.readyBackends ?? []).reduce((sum, { count }) => sum + count, 0);
}
