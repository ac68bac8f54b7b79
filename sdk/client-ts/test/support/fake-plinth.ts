/**
 * A small platform on a loopback port that keeps the rules which the client relies on: refresh tokens rotate and a
 * reuse revokes the family, the same refresh under the same key gives the same pair, lists have cursors, objects
 * have versions, the stream resumes. It also serves the built client, for the browser.
 */
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { FakeStream } from "./fake-stream.js";
import { FakeTokens } from "./fake-tokens.js";

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly url: URL;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export type Handler = (seen: Seen, response: ServerResponse) => void | Promise<void>;

const PAGE = "<!doctype html><meta charset=utf-8><title>client</title>";
const DIST = new URL("../../dist/", import.meta.url);
const JSON_TYPE = { "content-type": "application/json" };

export class FakePlinth {
  readonly seen: Seen[] = [];
  readonly tokens = new FakeTokens();
  readonly stream = new FakeStream();
  readonly users = Array.from({ length: 7 }, (_, index) => ({ id: `usr_${index + 1}`, name: `Person ${index + 1}` }));
  #version = 1;
  #position = 40;
  readonly #server: Server;
  readonly #overrides: { path: string; handler: Handler }[] = [];
  readonly #standing = new Map<string, Handler>();
  /** Called before a refresh is answered. */
  beforeRefresh: () => Promise<void> = async () => undefined;

  private constructor() {
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  static async start(): Promise<FakePlinth> {
    const fake = new FakePlinth();
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve));
    return fake;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** `localhost`, not its address: only then is a page from here a secure context under its own name. */
  get url(): string {
    return `http://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next request to `path` is answered by `handler` instead. */
  once(path: string, handler: Handler): void {
    this.#overrides.push({ path, handler });
  }

  /** Every request to `path` is answered by `handler` until what this returns is called. */
  always(path: string, handler: Handler): () => void {
    this.#standing.set(path, handler);
    return () => this.#standing.delete(path);
  }

  requests(path: string, method?: string): Seen[] {
    return this.seen.filter((seen) => seen.path === path && (method === undefined || seen.method === method));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const url = new URL(request.url ?? "/", this.url);
    const method = request.method ?? "GET";
    const seen: Seen = { method, path: url.pathname, url, headers: request.headers, body: Buffer.concat(chunks) };
    this.seen.push(seen);
    const index = this.#overrides.findIndex((override) => override.path === seen.path);
    const [override] = index < 0 ? [] : this.#overrides.splice(index, 1);
    const handler = override?.handler ?? this.#standing.get(seen.path);
    if (handler) await handler(seen, response);
    else await this.#route(seen, response);
  }

  async #route(seen: Seen, response: ServerResponse): Promise<void> {
    if (!seen.path.startsWith("/api/")) return this.#static(seen, response);
    switch (`${seen.method} ${seen.path}`) {
      case "POST /api/v1/auth/login":
      case "POST /api/v1/auth/register":
        return this.#signIn(seen, response);
      case "POST /api/v1/auth/refresh":
        await this.beforeRefresh();
        return this.#refresh(seen, response);
    }
    const refusal = this.tokens.check(seen.headers.authorization);
    if (refusal) return problem(response, 401, refusal);
    switch (`${seen.method} ${seen.path}`) {
      case "GET /api/v1/stream":
        return this.stream.open(seen, response);
      case "POST /api/v1/auth/logout":
        this.tokens.revoke();
        return json(response, 204);
      case "GET /api/v1/me":
        return json(response, 200, { user: this.users[0], tenant: null, roles: ["owner"], permissions: ["*"] });
      case "GET /api/v1/users":
        return json(response, 200, this.#page(seen.url.searchParams));
      case "GET /api/v1/users/usr_1":
        return json(response, 200, this.users[0], { etag: `"${this.#version}"` });
      case "PATCH /api/v1/users/usr_1":
        return this.#patch(seen, response);
      case "POST /api/v1/api-keys":
        this.#position += 1;
        return json(response, 201, { id: "key_1", key: "plk_once" }, { "plinth-position": String(this.#position) });
      default:
        return problem(response, 404, "not_found");
    }
  }

  #signIn(seen: Seen, response: ServerResponse): void {
    const { password } = JSON.parse(seen.body.toString()) as { password: string };
    if (password !== "correct horse") return problem(response, 401, "invalid_credentials");
    const tokens = this.tokens.issue();
    const cookie = { "set-cookie": cookieFor(tokens.refresh_token) };
    json(response, seen.path.endsWith("register") ? 201 : 200, { ...tokens, user: this.users[0], tenant: null }, cookie);
  }

  #refresh(seen: Seen, response: ServerResponse): void {
    const body = JSON.parse(seen.body.toString()) as { refresh_token?: string };
    const cookie = /plinth_refresh=([^;]+)/.exec(seen.headers.cookie ?? "")?.[1];
    const key = seen.headers["idempotency-key"];
    const outcome = this.tokens.refresh(body.refresh_token ?? cookie, typeof key === "string" ? key : undefined);
    if (typeof outcome === "string") return problem(response, 401, outcome);
    json(response, 200, outcome, { "set-cookie": cookieFor(outcome.refresh_token) });
  }

  #patch(seen: Seen, response: ServerResponse): void {
    const wanted = seen.headers["if-match"];
    if (wanted !== undefined && wanted !== `"${this.#version}"`) return problem(response, 412, "precondition_failed");
    this.#version += 1;
    const changes = JSON.parse(seen.body.toString()) as object;
    json(response, 200, { ...this.users[0], ...changes }, { etag: `"${this.#version}"` });
  }

  /** Cursors are the position of the item, so that both directions are easy to check by eye. */
  #page(query: URLSearchParams): object {
    const limit = Number(query.get("limit") ?? 3);
    const all = this.users;
    const backward = query.get("anchor") === "last" || query.has("before");
    const end = backward ? Number(query.get("before") ?? all.length) : undefined;
    const from = end === undefined ? Number(query.get("after") ?? 0) : Math.max(0, end - limit);
    const to = end ?? Math.min(all.length, from + limit);
    const has_more = backward ? from > 0 : to < all.length;
    return { data: all.slice(from, to), has_more, next: String(to), prev: String(from), total_estimate: all.length };
  }

  async #static(seen: Seen, response: ServerResponse): Promise<void> {
    const file = /^\/dist\/([\w-]+\.js)$/.exec(seen.path)?.[1];
    if (file === undefined) {
      response.writeHead(seen.path === "/" ? 200 : 404, { "content-type": "text/html" }).end(PAGE);
      return;
    }
    const text = await readFile(new URL(file, DIST));
    response.writeHead(200, { "content-type": "text/javascript" }).end(text);
  }
}

export function json(response: ServerResponse, status: number, body?: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { ...(body === undefined ? {} : JSON_TYPE), ...headers });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

export function problem(response: ServerResponse, status: number, code: string, more: object = {}, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/problem+json", ...headers });
  const body = { type: `/docs/errors#${code}`, title: code, status, code, request_id: "req_1", ...more };
  response.end(JSON.stringify(body));
}

function cookieFor(refreshToken: string): string {
  return `plinth_refresh=${refreshToken}; HttpOnly; SameSite=Strict; Path=/api/v1/auth`;
}
