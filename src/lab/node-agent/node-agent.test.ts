import { expect } from "chai";
import { setTimeout as sleep } from "node:timers/promises";
import { findBinary } from "../binaries/binaries.ts";
import { arrayAt, isObject, objectAt, stringAt, type JsonObject } from "./json.ts";
import { startTestCluster, type TestCluster } from "./test-cluster.ts";

const SERVER = `
  import http from "node:http";
  import { appendFileSync } from "node:fs";
  let ready = false;
  http.createServer((request, response) => {
    if (request.url === "/ready") { response.writeHead(ready ? 200 : 503).end(); ready = true; }
    else response.end(process.env.GREETING + " from " + process.env.POD_IP);
  }).listen(80, () => console.log("listening"));
  process.on("SIGTERM", () => { appendFileSync("/work/story", "SIGTERM\\n"); console.log("leaving"); setTimeout(() => process.exit(0), 200); });
`;

const WEB = [
  {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "app" },
    data: { "server.mjs": SERVER, color: "blue" },
  },
  { apiVersion: "v1", kind: "Secret", metadata: { name: "keys" }, stringData: { pin: "1234" } },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web" },
    spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
  },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: {
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web" } },
        spec: {
          initContainers: [
            {
              name: "prepare",
              image: "busybox",
              command: ["sh", "-c", "echo prepared > /work/story"],
              volumeMounts: [{ name: "work", mountPath: "/work" }],
            },
          ],
          containers: [
            {
              name: "web",
              image: "docker.io/library/node:24",
              args: ["node", "/app/server.mjs"],
              env: [
                { name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
                { name: "PIN", valueFrom: { secretKeyRef: { name: "keys", key: "pin" } } },
                { name: "GREETING", value: "hello $(PIN)" },
              ],
              ports: [{ name: "http", containerPort: 80 }],
              readinessProbe: { httpGet: { path: "/ready", port: "http" }, periodSeconds: 1 },
              livenessProbe: { exec: { command: ["test", "-e", "/work/story"] }, periodSeconds: 1 },
              lifecycle: {
                preStop: { exec: { command: ["sh", "-c", "echo preStop >> /work/story; sleep 0.3"] } },
              },
              securityContext: { runAsUser: 65532, readOnlyRootFilesystem: true },
              volumeMounts: [
                { name: "app", mountPath: "/app" },
                { name: "keys", mountPath: "/keys" },
                { name: "work", mountPath: "/work" },
              ],
            },
            // Outlives the server by a moment, to tell its story.
            {
              name: "witness",
              image: "busybox",
              command: ["sh", "-c", "trap 'sleep 1; exec cat /work/story' TERM; while :; do sleep 0.1; done"],
              volumeMounts: [{ name: "work", mountPath: "/work" }],
            },
          ],
          terminationGracePeriodSeconds: 10,
          volumes: [
            { name: "app", configMap: { name: "app" } },
            { name: "keys", secret: { secretName: "keys" } },
            { name: "work", emptyDir: {} },
          ],
        },
      },
    },
  },
];

function podNamed(name: string, spec: JsonObject): JsonObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { terminationGracePeriodSeconds: 1, ...spec },
  };
}

describe("the node agent, with a real API server", function () {
  this.timeout(60_000);
  let cluster: TestCluster;

  const apply = (objects: readonly unknown[]): Promise<string> =>
    cluster.kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
  const get = async (...words: string[]): Promise<JsonObject> =>
    objectAt(
      { answer: JSON.parse(await cluster.kubectl(["get", "-o", "json", ...words])) as unknown },
      "answer",
    );
  const inWeb = (command: string): Promise<string> =>
    cluster.kubectl(["exec", "deploy/web", "-c", "web", "--", "sh", "-c", command]);
  async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    const deadline = Date.now() + 20_000;
    while (Date.now() < deadline) {
      const found = await look();
      if (found !== undefined) return found;
      await sleep(100);
    }
    throw new Error(`not seen in 20 s: ${what}\n${await cluster.logs()}`);
  }
  const containerOf = async (pod: string): Promise<JsonObject> => {
    const [first] = arrayAt(objectAt(await get("pod", pod), "status"), "containerStatuses");
    return isObject(first) ? first : {};
  };

  before(async () => {
    cluster = await startTestCluster();
    await apply(WEB);
    await cluster.kubectl(["rollout", "status", "deploy/web", "--timeout=30s"]);
  });

  after(async () => {
    await (cluster as TestCluster | undefined)?.stop();
  });

  it("keeps its Node ready, with a Lease and a kubelet endpoint", async () => {
    const status = objectAt(await get("node", "n1"), "status");
    expect(status["declaredFeatures"]).to.deep.equal(["ExtendWebSocketsToKubelet"]);
    expect(
      arrayAt(status, "conditions").some(
        (entry) => isObject(entry) && entry["type"] === "Ready" && entry["status"] === "True",
      ),
    ).to.equal(true);
    expect(
      stringAt(objectAt(await get("-n", "kube-node-lease", "lease", "n1"), "spec"), "holderIdentity"),
    ).to.equal("n1");
  });

  it("gives a Pod an address of its own that a Service's slice carries as ready", async () => {
    const address = await inWeb('printf %s "$POD_IP"');
    expect(address).to.match(/^198\.18\.1\./);
    const slice = (await get("endpointslice", "-l", "kubernetes.io/service-name=web"))["items"];
    expect(JSON.stringify(slice)).to.include(`"addresses":["${address}"],"conditions":{"ready":true`);
    const { stdout } = await cluster.run(["curl", "-sS", `http://${address}/`]);
    expect(stdout).to.equal(`hello 1234 from ${address}`);
  });

  it("mounts ConfigMaps, Secrets and a token that the API server accepts", async () => {
    expect(await inWeb("cat /app/color /keys/pin")).to.equal("blue1234");
    const dir = "/var/run/secrets/kubernetes.io/serviceaccount";
    const who = await inWeb(
      `curl -sS --cacert ${dir}/ca.crt -H "Authorization: Bearer $(cat ${dir}/token)" https://198.18.1.1:6443/api/v1/pods`,
    );
    expect(who).to.include("system:serviceaccount:default:default");
  });

  it("runs programs as the user asked for, without capabilities, on a read-only root", async () => {
    expect(await inWeb("id -u")).to.equal("65532\n");
    expect(await inWeb("grep CapEff /proc/1/status")).to.include("0000000000000000");
    expect(await inWeb("touch /x 2>&1 || true")).to.include("Read-only file system");
    expect(await inWeb("tr '\\0' ' ' < /proc/1/cmdline")).to.equal("node /app/server.mjs ");
  });

  it("answers exec with output, input and the exit code", async () => {
    const error: unknown = await inWeb("echo to-stderr >&2; exit 7").catch((caught: unknown) => caught);
    expect(String(error)).to.include("to-stderr").and.to.include("exit code 7");
    const input = "0123456789".repeat(100_000);
    expect(
      await cluster.kubectl(["exec", "-i", "deploy/web", "-c", "web", "--", "sh", "-c", "wc -c"], input),
    ).to.equal("1000000\n");
  });

  it("serves logs with time stamps and tails", async () => {
    expect(await cluster.kubectl(["logs", "deploy/web", "-c", "web"])).to.equal("listening\n");
    expect(await cluster.kubectl(["logs", "deploy/web", "-c", "web", "--tail=1", "--timestamps"])).to.match(
      /^\d{4}-.*Z listening\n$/,
    );
  });

  it("forwards ports, also to what listens on the Pod's loopback only", async () => {
    const kubectl = `${findBinary("kubectl") ?? "kubectl"} --kubeconfig=${cluster.folder}/kubeconfig`;
    const forward = `${kubectl} port-forward deploy/web 18080:80 >/dev/null & trap "kill $!" EXIT
      for i in $(seq 50); do curl -sS http://127.0.0.1:18080/ 2>/dev/null && exit 0; sleep 0.1; done; exit 1`;
    const { exitCode, stdout } = await cluster.run(["bash", "-c", forward]);
    expect(exitCode).to.equal(0);
    expect(stdout).to.match(/^hello 1234 from/);
  });

  it("runs commands for clients that speak SPDY, with a terminal or without, and forwards ports for them", async () => {
    const kubectl = `KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false KUBECTL_PORT_FORWARD_WEBSOCKETS=false ${findBinary("kubectl") ?? "kubectl"} --kubeconfig=${cluster.folder}/kubeconfig`;
    const shell = async (script: string): Promise<string> => {
      const { exitCode, stdout, stderr } = await cluster.run(["bash", "-c", script]);
      return `${stdout}${stderr} ${exitCode}`;
    };
    const before = (await cluster.run(["sh", "-c", `wc -l < ${cluster.folder}/agent.log`])).stdout;
    const exec = `${kubectl} exec deploy/web -c web`;
    expect(await shell(`${exec} -- sh -c 'echo out; echo err >&2; exit 7' 2>&1 | sort`)).to.match(
      /command terminated with exit code 7\nerr\nout\n 0$/,
    );
    expect(await shell(`head -c 3000000 /dev/zero | ${exec} -i -- cat | wc -c`)).to.equal("3000000\n 0");
    expect(
      await shell(`script -qec "${exec} -it -- sh -c 'tty; echo err >&2'" /dev/null < /dev/null`),
    ).to.match(/\/dev\/pts\/\d+\r\nerr\r\n/);
    const forward = `${kubectl} port-forward deploy/web 18081:80 >/dev/null & trap "kill $!" EXIT
      for i in $(seq 50); do curl -sS http://127.0.0.1:18081/ 2>/dev/null && exit 0; sleep 0.1; done; exit 1`;
    expect(await shell(forward)).to.match(/^hello 1234 from [\d.]+ 0$/);
    expect((await cluster.run(["sh", "-c", `wc -l < ${cluster.folder}/agent.log`])).stdout).to.equal(before);
  });

  it("runs socat and the network tools by the names of their images", async () => {
    await apply([
      podNamed("hello", {
        containers: [
          {
            name: "tcp",
            image: "alpine/socat",
            args: ["TCP-LISTEN:42,crlf,reuseaddr,fork", "SYSTEM:echo pod ip $(MY_POD_IP)"],
            env: [{ name: "MY_POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
          },
        ],
      }),
      podNamed("request", {
        containers: [
          { name: "c", image: "nicolaka/netshoot", args: ["/bin/sh", "-ec", "while :; do sleep 5; done"] },
        ],
      }),
    ]);
    await cluster.kubectl(["wait", "--for=condition=Ready", "pod/hello", "pod/request", "--timeout=20s"]);
    const ip = stringAt(objectAt(await get("pod", "hello"), "status"), "podIP");
    const said = await until("an answer", async () => {
      const answer = await cluster.kubectl(["exec", "request", "--", "sh", "-c", `echo hi | nc ${ip} 42`]);
      return answer.includes("pod ip") ? answer : undefined;
    });
    expect(said.trim()).to.equal(`pod ip ${ip}`);
    expect(await cluster.kubectl(["exec", "request", "--", "sh", "-c", "nslookup -version 2>&1"])).to.include(
      "nslookup 9.",
    );
  });

  it("sees a changed ConfigMap in a running Pod", async () => {
    await cluster.kubectl(["patch", "configmap", "app", "-p", '{"data":{"color":"green"}}']);
    await until("the new color", async () =>
      (await inWeb("cat /app/color")) === "green" ? true : undefined,
    );
  });

  it("restarts what crashes, ever more slowly, and keeps the last run's log", async () => {
    await apply([
      podNamed("crash", {
        containers: [{ name: "c", image: "busybox", command: ["sh", "-c", "echo run; exit 3"] }],
      }),
    ]);
    const status = await until("CrashLoopBackOff", async () => {
      const found = await containerOf("crash");
      return JSON.stringify(found["state"] ?? "").includes("CrashLoopBackOff") ? found : undefined;
    });
    expect(objectAt(objectAt(status, "lastState"), "terminated")["exitCode"]).to.equal(3);
    expect(status["restartCount"]).to.be.at.least(1);
    expect(await cluster.kubectl(["logs", "crash", "--previous"])).to.equal("run\n");
  });

  it("says which images it knows when it doesn't know one", async () => {
    await apply([podNamed("unknown", { containers: [{ name: "c", image: "nginx" }] })]);
    const state = await until("ErrImagePull", async () => {
      const { state: found } = await containerOf("unknown");
      return isObject(found) && /ErrImagePull|ImagePullBackOff/.test(JSON.stringify(found))
        ? found
        : undefined;
    });
    expect(stringAt(objectAt(state, "waiting"), "message")).to.include("ghcr.io/l7mp/mc-wan");
  });

  it("ends Pods that are done, and stops their sidecars", async () => {
    const sidecar = {
      name: "s",
      image: "busybox",
      restartPolicy: "Always",
      command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"],
    };
    await apply([
      podNamed("task", {
        restartPolicy: "Never",
        initContainers: [sidecar],
        containers: [{ name: "c", image: "busybox", command: ["true"] }],
      }),
    ]);
    await until("Succeeded", async () =>
      objectAt(await get("pod", "task"), "status")["phase"] === "Succeeded" ? true : undefined,
    );
  });

  it("begins anew after its own crash, with nothing left of before", async () => {
    const spec = {
      containers: [
        { name: "c", image: "busybox", command: ["sleep", "98765"], securityContext: { runAsUser: 1000 } },
      ],
    };
    await apply([podNamed("survivor", spec)]);
    await cluster.kubectl(["wait", "--for=condition=Ready", "pod/survivor", "--timeout=20s"]);
    const pids = async (): Promise<string> =>
      (await cluster.run(["pgrep", "-x", "-f", "sleep 98765"])).stdout.trim();
    const before = await pids();
    expect(before).to.match(/^\d+$/);
    await cluster.run(["sh", "-c", `kill -9 $(cat ${cluster.folder}/agent.pid)`]);
    await until("a second run", async () =>
      (await containerOf("survivor"))["restartCount"] === 1 ? true : undefined,
    );
    await cluster.kubectl(["wait", "--for=condition=Ready", "pod/survivor", "--timeout=20s"]);
    expect(await pids())
      .to.match(/^\d+$/)
      .and.not.to.equal(before);
    await cluster.kubectl(["rollout", "status", "deploy/web", "--timeout=20s"]);
  });

  it("lets a deleted Pod finish: preStop, SIGTERM, exit, then the object is gone", async () => {
    const [pod = ""] = (
      await cluster.kubectl(["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.name}"])
    ).split(" ");
    const story = cluster.kubectl(["logs", "-f", pod, "-c", "witness"]);
    await cluster.kubectl(["delete", "deploy/web", "--wait=false"]);
    await until("terminating endpoints", async () => {
      const slices = JSON.stringify(
        (await get("endpointslice", "-l", "kubernetes.io/service-name=web"))["items"],
      );
      return slices.includes('"terminating":true') ? true : undefined;
    });
    expect(await story).to.equal("prepared\npreStop\nSIGTERM\n");
    await until("the Pod's end", async () =>
      (await cluster.kubectl(["get", "pods", "-l", "app=web", "-o", "name"])) === "" ? true : undefined,
    );
  });

  it("leaves no namespace, link or process of a Pod behind", async () => {
    await cluster.kubectl(["delete", "pods", "--all", "--wait=true", "--timeout=15s"]);
    await until("clean namespaces", async () =>
      (await cluster.run(["ls", "/run/netns"])).stdout === "" ? true : undefined,
    );
    expect((await cluster.run(["ip", "-o", "link", "show", "type", "veth"])).stdout).to.equal("");
    expect((await cluster.run(["sh", "-c", `ls ${cluster.folder}/pods`])).stdout).to.equal("");
  });
});
