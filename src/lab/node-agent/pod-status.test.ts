import { expect } from "chai";
import type { IPod } from "kubernetes-models/v1/Pod";
import { podPhase, podStatus, type ContainerSnapshot, type ContainerState } from "./pod-status.ts";

const now = "2026-01-02T03:04:05Z";
const waiting: ContainerState = { waiting: { reason: "PodInitializing" } };
const running: ContainerState = { running: { startedAt: now } };

function ended(exitCode: number): ContainerState {
  return { terminated: { exitCode, reason: "x", startedAt: now, finishedAt: now, containerID: "" } };
}

function container(state: ContainerState, rest: Partial<ContainerSnapshot> = {}): ContainerSnapshot {
  const common = {
    name: "c",
    image: "i",
    role: "main",
    lastState: undefined,
    restartCount: 0,
    started: false,
    containerID: "",
  } as const;
  return { ...common, state, ready: false, ...rest };
}

function pod(policy: "Always" | "OnFailure" | "Never" = "Always", rest: Partial<IPod> = {}): IPod {
  return { apiVersion: "v1", kind: "Pod", spec: { containers: [], restartPolicy: policy }, ...rest };
}

function conditions(of: IPod, containers: readonly ContainerSnapshot[]): Record<string, string> {
  const status = podStatus(of, containers, {
    podIP: "198.18.1.70",
    nodeIP: "198.18.1.3",
    startTime: now,
    now,
  });
  const list = status["conditions"] as { type: string; status: string }[];
  return Object.fromEntries(list.map(({ type, status: value }) => [type, value]));
}

describe("a Pod's phase", () => {
  for (const [name, policy, containers, phase] of [
    ["is Pending before its containers ran", "Always", [container(waiting)], "Pending"],
    [
      "is Pending while an init container runs",
      "Always",
      [container(running, { role: "init" }), container(waiting)],
      "Pending",
    ],
    [
      "is Failed when an init container failed and nothing restarts it",
      "Never",
      [container(ended(1), { role: "init" }), container(waiting)],
      "Failed",
    ],
    ["is Running once a container runs", "Always", [container(running)], "Running"],
    ["stays Running in a crash loop", "Always", [container(waiting, { lastState: ended(1) })], "Running"],
    [
      "is Succeeded when all ended well for good",
      "OnFailure",
      [container(ended(0)), container(ended(0))],
      "Succeeded",
    ],
    [
      "is Failed when one ended badly for good",
      "Never",
      [container(ended(0)), container(ended(2))],
      "Failed",
    ],
    [
      "is Succeeded when its sidecar was stopped after it",
      "Never",
      [container(ended(137), { role: "sidecar" }), container(ended(0))],
      "Succeeded",
    ],
    [
      "counts a sidecar as initialised when it has started",
      "Always",
      [container(running, { role: "sidecar", started: true }), container(running)],
      "Running",
    ],
  ] as const) {
    it(name, () => {
      expect(podPhase(pod(policy), containers)).to.equal(phase);
    });
  }
});

describe("a Pod's conditions", () => {
  it("say Ready when every container is", () => {
    expect(conditions(pod(), [container(running, { ready: true })])).to.include({
      Ready: "True",
      ContainersReady: "True",
      Initialized: "True",
    });
    expect(conditions(pod(), [container(running, { ready: true }), container(running)])).to.include({
      Ready: "False",
      ContainersReady: "False",
    });
  });

  it("wait for readiness gates", () => {
    const gated = pod("Always", {
      spec: { containers: [], readinessGates: [{ conditionType: "x.io/open" }] },
    });
    expect(conditions(gated, [container(running, { ready: true })])).to.include({
      Ready: "False",
      ContainersReady: "True",
    });
    const open: IPod = { ...gated, status: { conditions: [{ type: "x.io/open", status: "True" }] } };
    expect(conditions(open, [container(running, { ready: true })])).to.include({ Ready: "True" });
  });

  it("keep the time of their last transition while the status stays", () => {
    const before = pod("Always", {
      status: { conditions: [{ type: "Ready", status: "True", lastTransitionTime: "2020-01-01T00:00:00Z" }] },
    });
    const status = podStatus(before, [container(running, { ready: true })], {
      podIP: "198.18.1.70",
      nodeIP: "198.18.1.3",
      startTime: now,
      now,
    });
    const ready = (status["conditions"] as { type: string; lastTransitionTime: string }[]).find(
      ({ type }) => type === "Ready",
    );
    expect(ready?.lastTransitionTime).to.equal("2020-01-01T00:00:00Z");
  });
});
