import { expect } from "chai";
import { CHANNEL, exitStatusFrame, parseClientFrame } from "./exec-channels.ts";
import { selectLog } from "./container-log.ts";
import { etcFiles } from "./etc-files.ts";
import { findImage, ImageError, loadImages, normaliseImageName } from "./images.ts";
import { parseMountInfo } from "./mount-info.ts";
import { AddressPool } from "./network.ts";
import { parseNodeAgentConfig } from "./parse-config.ts";

describe("image names", () => {
  for (const [image, name] of [
    ["node:24", "docker.io/library/node"],
    ["envoyproxy/envoy:v1.40.0", "docker.io/envoyproxy/envoy"],
    ["ghcr.io/l7mp/mc-wan", "ghcr.io/l7mp/mc-wan"],
    ["localhost:5000/a/b@sha256:00", "localhost:5000/a/b"],
  ] as const) {
    it(`count ${image} as ${name}`, () => {
      expect(normaliseImageName(image)).to.equal(name);
    });
  }

  it("that nobody knows are refused with the names that are known", () => {
    expect(() => findImage(loadImages("/nowhere", ""), "nginx")).to.throw(
      ImageError,
      /nginx.*ghcr\.io\/l7mp\/mc-wan/,
    );
  });
});

describe("pod addresses", () => {
  it("are given to one holder at a time, without network, broadcast and reserved ones", () => {
    const pool = new AddressPool("198.18.1.0/29", ["198.18.1.1"]);
    const taken = Array.from({ length: 5 }, () => pool.take());
    expect(taken).to.deep.equal([2, 3, 4, 5, 6].map((last) => `198.18.1.${last}`));
    expect(() => pool.take()).to.throw("no pod address");
    pool.release("198.18.1.4");
    expect(pool.take()).to.equal("198.18.1.4");
  });

  it("are not used again at once", () => {
    const pool = new AddressPool("198.18.1.0/28", []);
    pool.release(pool.take());
    expect(pool.take()).to.equal("198.18.1.2");
  });
});

describe("the files of /etc", () => {
  const input = {
    namespace: "shop",
    hostname: "web-1",
    podIP: "198.18.1.70",
    dnsIP: "198.19.1.10",
    clusterDomain: "cluster.local",
    hostResolvConf: "nameserver 9.9.9.9\n",
    user: 65532,
  };

  it("send names to the cluster's DNS by default", () => {
    expect(etcFiles({ containers: [] }, input)["resolv.conf"]).to.equal(
      "nameserver 198.19.1.10\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n",
    );
  });

  it("follow dnsPolicy and dnsConfig", () => {
    expect(etcFiles({ containers: [], dnsPolicy: "Default" }, input)["resolv.conf"]).to.equal(
      "nameserver 9.9.9.9\n",
    );
    const own = etcFiles(
      {
        containers: [],
        dnsPolicy: "None",
        dnsConfig: { nameservers: ["198.18.1.2"], options: [{ name: "ndots", value: "1" }] },
      },
      input,
    );
    expect(own["resolv.conf"]).to.equal("nameserver 198.18.1.2\noptions ndots:1\n");
  });

  it("hold the Pod itself, its aliases and its user", () => {
    const files = etcFiles(
      { containers: [], hostAliases: [{ ip: "198.18.9.9", hostnames: ["a", "b"] }] },
      input,
    );
    expect(files["hosts"]).to.include("198.18.1.70\tweb-1\n198.18.9.9\ta\tb\n");
    expect(files["passwd"]).to.include(":65532:65532:");
  });
});

describe("logs", () => {
  const text =
    "2026-01-01T00:00:01.000Z one\n2026-01-01T00:00:02.000Z two words\n2026-01-01T00:00:03.000Z three\n";

  it("are cut by number of lines, by time and by bytes", () => {
    expect(selectLog(text, { timestamps: false, tailLines: 2 })).to.equal("two words\nthree\n");
    expect(selectLog(text, { timestamps: false, sinceTime: new Date("2026-01-01T00:00:02.500Z") })).to.equal(
      "three\n",
    );
    expect(selectLog(text, { timestamps: false, limitBytes: 5 })).to.equal("one\nt");
    expect(selectLog(text, { timestamps: true, tailLines: 1 })).to.equal("2026-01-01T00:00:03.000Z three\n");
    expect(selectLog("", { timestamps: false, tailLines: 0 })).to.equal("");
  });
});

describe("exec frames", () => {
  it("carry input, sizes and the end of input", () => {
    expect(parseClientFrame(Buffer.from("\u0000hi"))).to.deep.equal({
      kind: "stdin",
      data: Buffer.from("hi"),
    });
    expect(parseClientFrame(Buffer.from('\u0004{"Width":80,"Height":24}'))).to.deep.equal({
      kind: "resize",
      size: { columns: 80, rows: 24 },
    });
    expect(parseClientFrame(Buffer.from([CHANNEL.close, CHANNEL.stdin]))).to.deep.equal({
      kind: "close-stdin",
    });
    expect(parseClientFrame(Buffer.alloc(0))).to.deep.equal({ kind: "unknown" });
  });

  it("end with the exit code", () => {
    const frame = exitStatusFrame(7);
    expect(frame[0]).to.equal(CHANNEL.status);
    expect(JSON.parse(frame.subarray(1).toString())).to.deep.include({
      status: "Failure",
      reason: "NonZeroExitCode",
    });
  });
});

describe("the host's mounts", () => {
  it("are read with their locked flags and escapes", () => {
    const line = "36 35 98:0 / /mnt/my\\040disk rw,nosuid,noatime shared:1 - ext3 /dev/root rw";
    expect(parseMountInfo(`${line}\n`)).to.deep.equal([{ path: "/mnt/my disk", flags: ["nosuid"] }]);
  });
});

describe("the agent's configuration", () => {
  it("is refused with the name of the field that is wrong", () => {
    expect(() => parseNodeAgentConfig({ kubelet: {}, cluster: 1 })).to.throw("cluster");
  });
});
