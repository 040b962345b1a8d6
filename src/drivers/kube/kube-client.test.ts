import { expect } from "chai";
import fc from "fast-check";
import { MalformedLineError } from "../../observe/kube-reader.ts";
import { peerAccess } from "./kubeconfig.ts";
import { answerError } from "./kube-error.ts";
import { kubePath } from "./kube-path.ts";
import { LineSplitter } from "./watch-lines.ts";
import { kinds } from "../../model/kinds.ts";

describe("LineSplitter", () => {
  it("gives every line whole, wherever the pieces are cut, inside of a character as well", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.array(fc.nat(40)), (values, cuts) => {
        const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(""));
        const splitter = new LineSplitter();
        const got: unknown[] = [];
        let start = 0;
        for (const cut of cuts) {
          got.push(...splitter.push(bytes.subarray(start, start + cut)));
          start += cut;
        }
        got.push(...splitter.push(bytes.subarray(start)));
        expect(JSON.stringify(got)).to.equal(JSON.stringify(values));
      }),
    );
  });

  it("refuses what is no JSON, no UTF-8, or longer than allowed, without quoting it", () => {
    expect(() => new LineSplitter().push(Buffer.from("<html>secret</html>\n"))).to.throw(
      MalformedLineError,
      /^(?!.*secret)/,
    );
    expect(() => new LineSplitter().push(Buffer.from([0x22, 0xff, 0x22, 0x0a]))).to.throw(MalformedLineError);
    const splitter = new LineSplitter({ maxLineBytes: 10 });
    splitter.push(Buffer.from("12345678"));
    expect(() => splitter.push(Buffer.from("901"))).to.throw(MalformedLineError);
  });
});

describe("kubePath", () => {
  it("tells core and other groups, namespaces, names, subresources and queries apart", () => {
    expect(kubePath(kinds.Service, {})).to.equal("/api/v1/services");
    expect(
      kubePath(kinds.HTTPRoute, {
        namespace: "n",
        name: "r",
        subresource: "status",
        query: { force: "true", x: undefined },
      }),
    ).to.equal("/apis/gateway.networking.k8s.io/v1/namespaces/n/httproutes/r/status?force=true");
  });
});

describe("answerError", () => {
  it("can be retried for 409, 429 and 5xx, with the time that the server asks for, and not otherwise", () => {
    const of = (status: number): Error =>
      answerError({ action: "get x", status, body: {}, retryAfter: "2", secret: false });
    expect([409, 429, 500, 503].map((status) => of(status).name)).to.deep.equal(
      Array(4).fill("UnavailableError"),
    );
    expect([400, 401, 403, 404, 410, 422, 302].map((status) => of(status).name)).to.deep.equal(
      Array(7).fill("RefusedError"),
    );
    expect(of(429)).to.have.property("retryAfterMs", 2000);
  });

  it("tells the API's message, short and on one line, and nothing where a Secret was asked for", () => {
    const body = { message: `bad\nthing ${"x".repeat(1000)}`, data: "hidden" };
    const told = answerError({
      action: "get x",
      status: 422,
      body,
      retryAfter: undefined,
      secret: false,
    }).message;
    expect(told).to.match(/^get x failed with status 422: bad thing x+\.\.\.$/);
    expect(told.length).to.be.below(400);
    expect(
      answerError({ action: "get secrets", status: 422, body, retryAfter: undefined, secret: true }).message,
    ).to.equal("get secrets failed with status 422");
  });
});

describe("peerAccess", function () {
  // The library takes its time to load.
  this.timeout(30_000);

  const good = {
    cluster: {
      server: "https://198.18.0.1:6443",
      "certificate-authority-data": Buffer.from("ca").toString("base64"),
    },
    user: { token: "t" },
  };
  const bytes = ({ cluster, user }: { cluster: object; user: object }): Buffer =>
    Buffer.from(
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: "c", cluster }],
        users: [{ name: "u", user }],
        contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
        "current-context": "x",
      }),
    );

  it("takes a token, or a certificate with its key, over TLS", async () => {
    const access = await peerAccess(bytes(good));
    if (!("server" in access)) throw new Error(JSON.stringify(access));
    expect(access.server.href).to.equal("https://198.18.0.1:6443/");
    expect(access.tls.ca?.toString()).to.equal("ca");
    expect(await access.authorization()).to.equal("Bearer t");
    const user = { "client-certificate-data": "Yw==", "client-key-data": "aw==" };
    expect(await peerAccess(bytes({ ...good, user }))).to.have.property("server");
  });

  const refused: readonly [name: string, change: { cluster?: object; user?: object }, says: RegExp][] = [
    [
      "a program to run",
      {
        user: { exec: { command: "touch", args: ["/tmp/x"], apiVersion: "client.authentication.k8s.io/v1" } },
      },
      /exec/,
    ],
    ["an auth-provider", { user: { "auth-provider": { name: "gcp" } } }, /auth-provider/],
    ["files of certificates", { user: { "client-certificate": "/c", "client-key": "/k" } }, /files/],
    ["the file of an authority", { cluster: { "certificate-authority": "/ca" } }, /files/],
    [
      "the file of a token",
      { user: { tokenFile: "/var/run/secrets/kubernetes.io/serviceaccount/token" } },
      /files/,
    ],
    ["a password", { user: { username: "u", password: "p" } }, /password/],
    ["impersonation", { user: { token: "t", as: "admin" } }, /impersonates/],
    ["plain http", { cluster: { server: "http://198.18.0.1:8080" } }, /https/],
    ["the metadata service", { cluster: { server: "https://169.254.169.254" } }, /link-local/],
    [
      "a link-local server, spelt as a number",
      { cluster: { server: "https://2852039166:6443" } },
      /link-local/,
    ],
    ["a link-local server of IPv6", { cluster: { server: "https://[fe80::1]:6443" } }, /link-local/],
    ["one that is mapped", { cluster: { server: "https://[::ffff:169.254.1.1]" } }, /link-local/],
    ["no verification", { cluster: { "insecure-skip-tls-verify": true } }, /insecure-skip-tls-verify/],
    ["a proxy", { cluster: { "proxy-url": "http://proxy:3128" } }, /proxy/],
    ["no credentials", { user: {} }, /credentials/],
    ["a certificate without its key", { user: { "client-certificate-data": "Yw==" } }, /without the other/],
  ];
  for (const [name, { cluster, user }, says] of refused) {
    it(`refuses ${name}, with what to do instead`, async () => {
      const result = await peerAccess(
        bytes({ cluster: { ...good.cluster, ...cluster }, user: user ?? good.user }),
      );
      expect(Array.isArray(result), JSON.stringify(result)).to.equal(true);
      expect(JSON.stringify(result)).to.match(says);
    });
  }

  it("refuses what is no kubeconfig, without quoting it and without throwing", async () => {
    for (const text of ["", "secret: [", "null", "[]", "42", "clusters: 7", "users:\n- secret", "{}"]) {
      const result = await peerAccess(Buffer.from(text));
      expect(Array.isArray(result), text).to.equal(true);
      expect(JSON.stringify(result)).not.to.contain("secret:");
    }
  });
});
