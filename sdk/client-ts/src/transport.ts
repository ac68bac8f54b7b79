/**
 * One call over the wire: credentials, signature, time limit, retries, errors.
 *
 * Invariants: the idempotency key of a call is the same in all its attempts; a change is repeated only under such
 * a key; an expired token is renewed at most once per call; what a caller sees is a value, a `PlinthError`, or the
 * reason of their own abort.
 */
import { linkedAbort } from "./abort.js";
import { materialise, type EncodedBody } from "./body.js";
import type { Clock } from "./clock.js";
import type { Credentials } from "./credentials.js";
import { errorFromResponse, PlinthError, type CallSite } from "./errors.js";
import { nextWaitMs, type RetryPolicy } from "./retry.js";
import { signRequest } from "./signing.js";

export interface Call {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body: EncodedBody;
  readonly credentials: Credentials;
  readonly signal: AbortSignal | undefined;
  /** For one attempt, up to the end of `read`; 0 is no limit. */
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  /** `read` hands the answer out unread: it still ends with the caller's signal. */
  readonly keepsOpen: boolean;
}

/** Takes what is needed from an answer; `bearer` is the token that the platform accepted. */
export type Read<T> = (response: Response, bearer: string | null) => Promise<T>;

export interface TransportOptions {
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  /** Signs every request that carries credentials. */
  readonly signingSecret: string | undefined;
  /** Sees each answer that is not an error. */
  readonly onAnswer: (response: Response) => void;
}

export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** Makes the call until it succeeds or its error is final. `read` takes what is needed from the answer. */
  async send<T>(call: Call, read: Read<T>): Promise<T> {
    let renewed = false;
    for (let failures = 0; ; ) {
      call.signal?.throwIfAborted();
      const sent = await call.credentials.bearer(call.signal);
      try {
        return await this.#attempt(call, sent, read);
      } catch (error) {
        if (!(error instanceof PlinthError)) throw error;
        if (!renewed && call.body.replayable && (await call.credentials.renew(error, sent, call.signal))) {
          renewed = true;
          continue;
        }
        const wait = mayRepeat(call) ? nextWaitMs(error, failures, call.retry, this.#options.clock) : null;
        if (wait === null) throw error;
        failures += 1;
        await this.#options.clock.delay(wait, call.signal);
      }
    }
  }

  async #attempt<T>(call: Call, bearer: string | null, read: Read<T>): Promise<T> {
    const site: CallSite = { method: call.method, path: call.url.pathname };
    const request = await this.#prepare(call, bearer);
    const abort = linkedAbort(call.signal);
    let timedOut = false;
    const cancelLimit =
      call.timeoutMs > 0
        ? this.#options.clock.after(call.timeoutMs, () => {
            timedOut = true;
            abort.abort(new DOMException("the time limit has passed", "TimeoutError"));
          })
        : () => undefined;
    let finished = true;
    try {
      const response = await this.#options.fetch(call.url, { ...request, signal: abort.signal });
      if (!response.ok) throw await errorFromResponse(response, site, this.#options.clock.now());
      this.#options.onAnswer(response);
      const value = await read(response, bearer);
      finished = !call.keepsOpen;
      return value;
    } catch (error) {
      if (error instanceof PlinthError && !timedOut) throw error;
      if (call.signal?.aborted && !timedOut) throw call.signal.reason;
      throw timedOut ? timeoutError(call, site, error) : networkError(site, error);
    } finally {
      cancelLimit();
      if (finished) abort.release();
    }
  }

  async #prepare(call: Call, bearer: string | null): Promise<RequestInit> {
    const headers = new Headers(call.headers);
    if (bearer !== null) headers.set("authorization", `Bearer ${bearer}`);
    let { content, contentType } = call.body;
    const secret = this.#options.signingSecret;
    if (secret !== undefined && bearer !== null) {
      const exact = await materialise(call.body);
      if (content !== undefined) {
        content = exact.bytes;
        contentType = exact.contentType;
      }
      headers.set("plinth-signature", await this.#sign(call, secret, exact.bytes));
    }
    if (contentType !== null && !headers.has("content-type")) headers.set("content-type", contentType);
    const init: RequestInit & { duplex?: "half" } = { method: call.method, headers };
    if (content !== undefined) init.body = content;
    if (content instanceof ReadableStream) init.duplex = "half";
    if (call.credentials.cookies) init.credentials = "include";
    return init;
  }

  #sign(call: Call, secret: string, body: Uint8Array): Promise<string> {
    const timestamp = Math.floor(this.#options.clock.now() / 1000);
    const pathWithQuery = call.url.pathname + call.url.search;
    return signRequest({ secret, method: call.method, pathWithQuery, body, timestamp });
  }
}

/** A read has no effect; a change has one effect under its key; a body that is used up cannot be sent again. */
function mayRepeat(call: Call): boolean {
  const harmless = call.method === "GET" || call.headers.has("idempotency-key");
  return harmless && call.body.replayable;
}

function timeoutError(call: Call, site: CallSite, cause: unknown): PlinthError {
  const detail = `no complete answer within ${call.timeoutMs} ms`;
  return new PlinthError({ status: 0, code: "timeout", title: "Time limit passed", detail, cause, ...site });
}

function networkError(site: CallSite, cause: unknown): PlinthError {
  const detail = `no answer from the platform: ${cause instanceof Error ? cause.message : String(cause)}`;
  return new PlinthError({ status: 0, code: "network_error", title: "Network failure", detail, cause, ...site });
}
