/**
 * The event stream as an async iterator that outlives its connections.
 *
 * Invariants: an event is handed out once and in order, whatever drops in between; only errors that waiting cannot
 * mend end it; a connection that goes silent for longer than the heartbeat allows is given up and made anew. Events
 * are read as fast as they are consumed, so a slow consumer holds the connection back instead of filling memory.
 */
import { linkedAbort } from "./abort.js";
import type { Clock } from "./clock.js";
import { PlinthError } from "./errors.js";
import { backoffMs, isTransient } from "./retry.js";
import { SeenPositions } from "./seen.js";
import { SseParser, type SseFrame } from "./sse.js";

/** An event of the platform (CloudEvents 1.0, JSON format). */
export interface CloudEvent<Data = unknown> {
  readonly specversion: string;
  readonly id: string;
  readonly source?: string;
  /** `noun.past_tense`, for instance `order.created`. */
  readonly type: string;
  readonly subject?: string | null;
  readonly time?: string;
  readonly data?: Data;
  readonly [attribute: string]: unknown;
}

export interface StreamOptions {
  /** For instance `["order.*", "payment.captured"]`; without it all that you may see. */
  readonly topics?: readonly string[] | undefined;
  readonly filter?: string | undefined;
  /** One event in so many. */
  readonly sample?: number | undefined;
  /** Go on after this position: `lastEventId` of an earlier stream. */
  readonly lastEventId?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long the connection may be silent; the platform sends a heartbeat every 10 seconds. */
  readonly heartbeatTimeoutMs?: number | undefined;
  /** Give up after so many failed connections in a row; without it never. */
  readonly mostFailures?: number | undefined;
  /** Operators: watch this tenant. */
  readonly tenant?: string | undefined;
  /** For an indicator: is what I show live? */
  readonly onState?: ((state: StreamState) => void) | undefined;
  /** What the platform says about the stream itself, such as `gap` with the count of events that you missed. */
  readonly onNotice?: ((name: string, data: unknown) => void) | undefined;
}

export type StreamState =
  | { readonly kind: "open" }
  | { readonly kind: "waiting"; readonly retryInMs: number; readonly error: unknown }
  | { readonly kind: "closed" };

/** What the stream needs of the client. */
export interface StreamPort {
  readonly clock: Clock;
  connect(lastEventId: string | undefined, signal: AbortSignal): Promise<Connection>;
  /** The token has expired: true when there is a new one. */
  renew(bearer: string | null, signal: AbortSignal): Promise<boolean>;
}

export interface Connection {
  readonly response: Response;
  readonly bearer: string | null;
}

const BASE_MS = 500;
const CAP_MS = 30_000;
const DEFAULT_HEARTBEAT_TIMEOUT_MS = 30_000;

export class EventStream<Data = unknown> implements AsyncIterable<CloudEvent<Data>> {
  readonly #port: StreamPort;
  readonly #options: StreamOptions;
  readonly #closing = new AbortController();
  readonly #seen = new SeenPositions();
  #lastEventId: string | undefined;
  #running = false;
  #failures = 0;
  #baseMs = BASE_MS;
  #expiredBearer: { bearer: string | null } | undefined;

  constructor(port: StreamPort, options: StreamOptions) {
    this.#port = port;
    this.#options = options;
    this.#lastEventId = options.lastEventId;
    if (options.lastEventId !== undefined) this.#seen.isNew(options.lastEventId);
  }

  /** The position of the event that was handed out last: keep it to go on after a restart. */
  get lastEventId(): string | undefined {
    return this.#lastEventId;
  }

  /** Ends the iteration without an error. */
  close(): void {
    this.#closing.abort(new DOMException("the stream was closed", "AbortError"));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<CloudEvent<Data>, void, undefined> {
    if (this.#running) throw new Error("this stream is being read already: open a second one");
    this.#running = true;
    const life = linkedAbort(this.#options.signal);
    const onClose = () => life.abort(this.#closing.signal.reason);
    this.#closing.signal.addEventListener("abort", onClose, { once: true });
    if (this.#closing.signal.aborted) onClose();
    try {
      while (!life.signal.aborted) yield* this.#oneConnection(life.signal);
    } catch (error) {
      if (!life.signal.aborted) throw error;
    } finally {
      this.#closing.signal.removeEventListener("abort", onClose);
      life.release();
      life.abort(new DOMException("the stream is not read any more", "AbortError"));
      this.#running = false;
      this.#options.onState?.({ kind: "closed" });
    }
    this.#options.signal?.throwIfAborted();
  }

  /** Until it ends; then waits for the time before the next one. */
  async *#oneConnection(life: AbortSignal): AsyncGenerator<CloudEvent<Data>> {
    const line = linkedAbort(life);
    let failure: unknown;
    try {
      await this.#renewIfExpired(line.signal);
      const connection = await this.#port.connect(this.#lastEventId, line.signal);
      // Where the log stood when the first connection was made: a drop before the first event loses nothing.
      this.#lastEventId ??= connection.response.headers.get("plinth-position") ?? undefined;
      this.#options.onState?.({ kind: "open" });
      for await (const frame of this.#frames(connection.response, line)) {
        if (frame.event === "auth_expired") {
          this.#expiredBearer = { bearer: connection.bearer };
          break;
        }
        const event = this.#accept(frame);
        if (event) yield event;
      }
    } catch (error) {
      if (life.aborted || !isMendable(error)) throw error;
      failure = error;
    } finally {
      line.release();
      // Also when the consumer leaves the loop: nobody reads this connection again.
      line.abort(new DOMException("the connection is not used any more", "AbortError"));
    }
    await this.#pause(failure, life);
  }

  async #renewIfExpired(signal: AbortSignal): Promise<void> {
    if (!this.#expiredBearer) return;
    if (!(await this.#port.renew(this.#expiredBearer.bearer, signal))) {
      const detail = "the stream ended because the token has expired, and there is nothing to renew it with";
      throw new PlinthError({ status: 401, code: "auth_expired", title: "Token expired", detail });
    }
    this.#expiredBearer = undefined;
  }

  /** The frames of one connection. Ends with it; fails when it breaks or goes silent. */
  async *#frames(response: Response, line: { readonly signal: AbortSignal; abort(reason: unknown): void }): AsyncGenerator<SseFrame> {
    const reader = response.body?.getReader();
    if (!reader) return;
    const silence = this.#options.heartbeatTimeoutMs ?? DEFAULT_HEARTBEAT_TIMEOUT_MS;
    const decoder = new TextDecoder();
    const parser = new SseParser();
    try {
      for (;;) {
        const cancelLimit = this.#port.clock.after(silence, () => line.abort(new SilentConnection(silence)));
        const { done, value } = await reader.read().finally(cancelLimit);
        if (done) return;
        const frames = parser.push(decoder.decode(value, { stream: true }));
        if (parser.retryMs !== undefined) this.#baseMs = Math.min(Math.max(parser.retryMs, 1), CAP_MS);
        // A heartbeat shows that the connection works.
        if (frames.length === 0) this.#failures = 0;
        yield* frames;
      }
    } finally {
      reader.cancel().catch(() => undefined);
    }
  }

  #accept(frame: SseFrame): CloudEvent<Data> | undefined {
    this.#failures = 0;
    const repeated = frame.id !== undefined && frame.data !== undefined && !this.#seen.isNew(frame.id);
    if (repeated) return undefined;
    if (frame.id !== undefined) this.#lastEventId = frame.id;
    if (frame.data === undefined && frame.event === "message") return undefined;
    const data = parseData(frame.data);
    if (isCloudEvent<Data>(data)) return data;
    this.#options.onNotice?.(frame.event, data);
    return undefined;
  }

  async #pause(failure: unknown, life: AbortSignal): Promise<void> {
    // A token that ran out in the normal course of things is no reason to wait.
    if (failure === undefined && this.#expiredBearer && this.#failures === 0) {
      this.#failures = 1;
      return;
    }
    this.#failures += 1;
    const { mostFailures } = this.#options;
    if (mostFailures !== undefined && this.#failures >= mostFailures) {
      throw failure ?? new PlinthError({ status: 0, code: "network_error", title: "The stream ends again and again" });
    }
    const asked = failure instanceof PlinthError ? (failure.retryAfterMs ?? 0) : 0;
    const retryInMs = asked + backoffMs(this.#failures - 1, this.#baseMs, CAP_MS, this.#port.clock);
    this.#options.onState?.({ kind: "waiting", retryInMs, error: failure });
    await this.#port.clock.delay(retryInMs, life);
  }
}

class SilentConnection extends Error {
  constructor(silence: number) {
    super(`the stream was silent for more than ${silence} ms`);
    this.name = "SilentConnection";
  }
}

/** Waiting may help: no connection, an overloaded or restarting platform. A refusal stays a refusal. */
function isMendable(error: unknown): boolean {
  if (!(error instanceof PlinthError)) return true;
  return isTransient(error) || error.status >= 500;
}

function parseData(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function isCloudEvent<Data>(data: unknown): data is CloudEvent<Data> {
  if (typeof data !== "object" || data === null) return false;
  const { specversion, type } = data as Partial<CloudEvent>;
  return typeof specversion === "string" && typeof type === "string";
}
