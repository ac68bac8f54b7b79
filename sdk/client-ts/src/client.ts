/** The client: puts options, session, transport and types together. */
import { Auth, issuedTokens } from "./auth.js";
import { encodeBody } from "./body.js";
import { anonymousCredentials, fixedCredentials, sessionCredentials, type Credentials } from "./credentials.js";
import { PlinthError } from "./errors.js";
import { resolveOptions, resolveRetry, type ClientOptions, type Settings } from "./options.js";
import { pager, type Page, type Pager } from "./paginate.js";
import { PositionMemory } from "./position.js";
import { randomKey } from "./random-key.js";
import { invalidResponse, readReply, type Reply } from "./reply.js";
import type { paths } from "./schema.js";
import { Session, type Exchange } from "./session.js";
import { EventStream, type StreamOptions } from "./stream.js";
import type { TokenStore } from "./tokens.js";
import { Transport, type Call } from "./transport.js";
import type { ArgumentsOf, CallOptions, DataOf, ItemOf, Method, Operation, PagedPaths, PathsWith } from "./typed.js";
import { buildUrl, type PathRecord, type QueryRecord } from "./url.js";

/** Creates a client. `Paths` is the schema of your platform when it differs from the one that comes with this package. */
export function createClient<Paths extends object = paths>(options: ClientOptions): Client<Paths> {
  return new Client<Paths>(options);
}

/** An operation's options without its types. */
export interface RawOptions extends CallOptions {
  readonly params?: PathRecord | undefined;
  readonly query?: QueryRecord | undefined;
  readonly body?: unknown;
}

type Answer<Paths, Path extends keyof Paths, M extends Method> = Promise<Reply<DataOf<Operation<Paths, Path, M>>>>;

const STREAM_PATH = "/api/v1/stream";
const REFRESH_PATH = "/api/v1/auth/refresh";

/** These change something and are repeated only under a key. PUT states a whole: the platform takes no key there. */
const KEYED_METHODS = new Set(["POST", "PATCH", "DELETE"]);

export class Client<Paths extends object = paths> {
  readonly auth: Auth;
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #session: Session | undefined;
  readonly #credentials: Credentials;
  /** For signing in: nobody's token, but the cookies that the answer may set. */
  readonly #nobody: Credentials;
  readonly #positions = new PositionMemory();

  constructor(options: ClientOptions) {
    const settings = resolveOptions(options);
    this.#settings = settings;
    this.#transport = new Transport({
      fetch: settings.fetch,
      clock: settings.clock,
      signingSecret: settings.signingSecret,
      onAnswer: (response) => this.#positions.note(response.headers.get("plinth-position")),
    });
    if ("store" in settings.access) {
      this.#session = this.#openSession(settings.access.store, options.onSignedOut);
      this.#credentials = sessionCredentials(this.#session);
    } else {
      this.#credentials = fixedCredentials(settings.access.bearer);
    }
    this.#nobody = anonymousCredentials(this.#credentials.cookies);
    this.auth = new Auth({
      session: this.#session,
      call: async (method, path, as, body, callOptions) =>
        (await this.#reply(method, path, { ...callOptions, body }, as === "nobody" ? this.#nobody : this.#credentials)).data,
    });
  }

  get<Path extends PathsWith<Paths, "get">>(path: Path, ...args: ArgumentsOf<Operation<Paths, Path, "get">>): Answer<Paths, Path, "get"> {
    return this.#reply("GET", path, args[0] as RawOptions);
  }

  post<Path extends PathsWith<Paths, "post">>(path: Path, ...args: ArgumentsOf<Operation<Paths, Path, "post">>): Answer<Paths, Path, "post"> {
    return this.#reply("POST", path, args[0] as RawOptions);
  }

  put<Path extends PathsWith<Paths, "put">>(path: Path, ...args: ArgumentsOf<Operation<Paths, Path, "put">>): Answer<Paths, Path, "put"> {
    return this.#reply("PUT", path, args[0] as RawOptions);
  }

  patch<Path extends PathsWith<Paths, "patch">>(path: Path, ...args: ArgumentsOf<Operation<Paths, Path, "patch">>): Answer<Paths, Path, "patch"> {
    return this.#reply("PATCH", path, args[0] as RawOptions);
  }

  delete<Path extends PathsWith<Paths, "delete">>(path: Path, ...args: ArgumentsOf<Operation<Paths, Path, "delete">>): Answer<Paths, Path, "delete"> {
    return this.#reply("DELETE", path, args[0] as RawOptions);
  }

  /** All items of a list, across its pages: `for await (const user of client.paginate("/api/v1/users"))`. */
  paginate<Path extends PagedPaths<Paths> & PathsWith<Paths, "get">>(
    path: Path,
    ...args: ArgumentsOf<Operation<Paths, Path, "get">>
  ): Pager<ItemOf<Operation<Paths, Path, "get">>> {
    type Item = ItemOf<Operation<Paths, Path, "get">>;
    const options = (args[0] ?? {}) as RawOptions;
    return pager<Item>(options.query ?? {}, async (query) => {
      const reply = await this.#reply<Page<Item>>("GET", path, { ...options, query });
      return reply.data;
    });
  }

  /**
   * The answer itself, for downloads and for what the schema does not know. Errors are thrown as everywhere; the
   * time limit covers the time until the headers.
   */
  fetchRaw(method: string, path: string, options: RawOptions = {}): Promise<Response> {
    const call = this.#call(method.toUpperCase(), path, options, this.#credentials);
    return this.#transport.send({ ...call, keepsOpen: true }, async (response) => response);
  }

  /** Events as they happen, without end: see `StreamOptions`. */
  stream<Data = unknown>(options: StreamOptions = {}): EventStream<Data> {
    const query = { topics: options.topics, filter: options.filter, sample: options.sample };
    return new EventStream<Data>(
      {
        clock: this.#settings.clock,
        connect: (lastEventId, signal) => this.#connect(query, options.tenant, lastEventId, signal),
        renew: (bearer, signal) => this.#credentials.renew(expiredToken(), bearer, signal),
      },
      options,
    );
  }

  /** How far the log was at the last answer: hand it to another process that must see your writes. */
  get position(): string | undefined {
    return this.#positions.last;
  }

  /** Stops listening for changes of the token store. Calls under way go on. */
  close(): void {
    this.#session?.close();
  }

  #reply<T>(
    method: string,
    path: string,
    options: RawOptions = {},
    credentials: Credentials = this.#credentials,
  ): Promise<Reply<T>> {
    const call = this.#call(method, path, options, credentials);
    return this.#transport.send(call, (response) => readReply<T>(response, { method, path: call.url.pathname }));
  }

  #call(method: string, path: string, options: RawOptions, credentials: Credentials): Call {
    const settings = this.#settings;
    return {
      method,
      url: buildUrl(settings.baseUrl, path, options.params, options.query),
      headers: this.#headers(method, options),
      body: encodeBody(options.body),
      credentials,
      signal: options.signal,
      timeoutMs: options.timeoutMs ?? settings.timeoutMs,
      retry: resolveRetry(options.retry, settings.retry),
      keepsOpen: false,
    };
  }

  #headers(method: string, options: RawOptions): Headers {
    const headers = new Headers({ accept: "application/json, */*;q=0.5", ...this.#settings.headers });
    for (const [name, value] of Object.entries(options.headers ?? {})) headers.set(name, value);
    const set = (name: string, value: string | undefined) => value !== undefined && headers.set(name, value);
    const given = options.idempotencyKey ?? headers.get("idempotency-key") ?? undefined;
    set("idempotency-key", given ?? (KEYED_METHODS.has(method) ? randomKey() : undefined));
    set("if-match", etagOf(options.ifMatch));
    set("plinth-tenant", options.tenant ?? this.#settings.tenant);
    if (method === "GET") set("plinth-min-position", this.#minPosition(options.consistent ?? this.#settings.consistent));
    return headers;
  }

  #minPosition(consistent: boolean | string): string | undefined {
    if (typeof consistent === "string") return consistent;
    return consistent ? this.#positions.last : undefined;
  }

  async #connect(query: QueryRecord, tenant: string | undefined, lastEventId: string | undefined, signal: AbortSignal) {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (lastEventId !== undefined) headers["last-event-id"] = lastEventId;
    const options = { query, headers, signal, tenant, retry: false } as const;
    const call = this.#call("GET", STREAM_PATH, options, this.#credentials);
    return this.#transport.send({ ...call, keepsOpen: true }, async (response, bearer) => {
      const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
      if (!isStream) throw invalidResponse("the answer is no event stream", response, { method: "GET", path: STREAM_PATH });
      return { response, bearer };
    });
  }

  #openSession(store: TokenStore, onSignedOut: ClientOptions["onSignedOut"]): Session {
    const exchange: Exchange = async (held, idempotencyKey, signal) => {
      const body = held.refreshToken === undefined ? {} : { refresh_token: held.refreshToken };
      const reply = await this.#reply("POST", REFRESH_PATH, { body, idempotencyKey, signal }, this.#nobody);
      return issuedTokens(reply.data);
    };
    return new Session(store, exchange, this.#settings.clock, (event) => {
      this.#positions.forget();
      onSignedOut?.(event);
    });
  }
}

function etagOf(version: CallOptions["ifMatch"]): string | undefined {
  if (version === undefined || typeof version === "string") return version;
  if (version.etag === null) throw new TypeError("ifMatch was given a reply without an ETag");
  return version.etag;
}

/** What a refusal of the stream's token would have been, had it come as an answer. */
function expiredToken(): PlinthError {
  return new PlinthError({ status: 401, code: "token_expired", title: "Token expired" });
}
