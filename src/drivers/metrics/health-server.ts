/**
 * Two small HTTP servers: health and metrics for the cluster, and debug pages that only processes beside the controller
 * (kubectl port-forward, exec) can reach. Reads only; never shows a Secret.
 */
import { createServer } from "node:http";
import type { RequestListener, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A page: its content type and text. */
export interface Page {
  readonly status?: number;
  readonly contentType: string;
  readonly text: string;
}

/** What a path answers. */
export type Pages = Readonly<Record<string, () => Page | Promise<Page>>>;

/** A running server. */
export interface PageServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Plain text. */
export const textPage = (text: string, status = 200): Page => ({
  status,
  contentType: "text/plain",
  text: `${text}\n`,
});

/** JSON, indented. Maps become objects, bigints strings, bytes base64. */
export const jsonPage = (value: unknown): Page => ({
  contentType: "application/json",
  text: `${JSON.stringify(value, plain, 2)}\n`,
});

function plain(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value as ReadonlyMap<string, unknown>);
  if (value instanceof Set) return [...(value as ReadonlySet<unknown>)];
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}

/** Serves pages until it is closed. Port 0 lets the system choose. */
export async function servePages(address: { host: string; port: number }, pages: Pages): Promise<PageServer> {
  const server = createServer(listener(pages));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(address.port, address.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return { port: (server.address() as AddressInfo).port, close: () => closed(server) };
}

function listener(pages: Pages): RequestListener {
  return (request, response) => {
    const [path = "/"] = (request.url ?? "/").split("?");
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    if (request.method !== "GET" && request.method !== "HEAD") {
      answer(response, textPage("method not allowed", 405));
    } else if (page === undefined) {
      answer(response, textPage(Object.keys(pages).join("\n"), 404));
    } else {
      void made(page).then((result) => {
        answer(response, result);
      });
    }
  };
}

async function made(page: () => Page | Promise<Page>): Promise<Page> {
  try {
    return await page();
  } catch {
    return textPage("failed", 500);
  }
}

function answer(response: ServerResponse, page: Page): void {
  response.writeHead(page.status ?? 200, { "content-type": page.contentType });
  response.end(page.text);
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}
