/**
 * What can go wrong, as one class: match on `code`, which is stable.
 *
 * A refusal by the platform carries the status and the problem document (RFC 9457). A call that got no usable
 * answer has status 0 and one of the codes in `LocalCode`. An abort by the caller is no error of ours: the
 * signal's own reason is thrown.
 */

/** One refused field of the request. */
export interface FieldError {
  /** JSON pointer into the body, or the name of a query parameter. */
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

/** Codes that this client gives where the platform gave none. */
export type LocalCode =
  /** No connection, or it broke before the answer was complete. */
  | "network_error"
  /** No complete answer within `timeoutMs`. */
  | "timeout"
  /** The answer is not what the API promises, for instance cut JSON from a proxy. */
  | "invalid_response"
  /** The token that the client was given has expired and it holds nothing to renew it with. */
  | "auth_expired";

export interface PlinthErrorInit {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail?: string | undefined;
  readonly type?: string | undefined;
  readonly requestId?: string | undefined;
  readonly errors?: readonly FieldError[] | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly method?: string | undefined;
  readonly path?: string | undefined;
  readonly cause?: unknown;
}

export class PlinthError extends Error {
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Stable: match on it. */
  readonly code: string;
  readonly title: string;
  readonly detail: string | undefined;
  /** A link to the description of `code`. */
  readonly type: string | undefined;
  /** Quote it when you ask for help. */
  readonly requestId: string | undefined;
  /** The fields that were refused. */
  readonly errors: readonly FieldError[];
  /** How long the platform asks to wait before another attempt. */
  readonly retryAfterMs: number | undefined;
  readonly method: string | undefined;
  readonly path: string | undefined;

  constructor(init: PlinthErrorInit) {
    super(describe(init), init.cause === undefined ? undefined : { cause: init.cause });
    this.name = "PlinthError";
    this.status = init.status;
    this.code = init.code;
    this.title = init.title;
    this.detail = init.detail;
    this.type = init.type;
    this.requestId = init.requestId;
    this.errors = init.errors ?? [];
    this.retryAfterMs = init.retryAfterMs;
    this.method = init.method;
    this.path = init.path;
  }

  /** The refusal of one field, by its JSON pointer or query parameter: for a message beside an input. */
  field(pointer: string): FieldError | undefined {
    return this.errors.find((error) => error.pointer === pointer);
  }
}

function describe(init: PlinthErrorInit): string {
  const fields = (init.errors ?? []).map((error) => `; ${error.pointer}: ${error.message}`).join("");
  return `${init.detail ?? init.title} (${init.code}${fields})`;
}

/** Where a failed call was going. */
export interface CallSite {
  readonly method: string;
  readonly path: string;
}

/** Proxies answer with pages; a piece of one is enough to recognise it. */
const LONGEST_FOREIGN_DETAIL = 300;

/** Reads a refusal. Never fails: an answer that is no problem document still becomes an error with its status. */
export async function errorFromResponse(response: Response, site: CallSite, now: number): Promise<PlinthError> {
  const text = await response.text().catch(() => "");
  const problem = readProblem(text);
  const headers = response.headers;
  return new PlinthError({
    status: response.status,
    code: stringOr(problem["code"], `http_${response.status}`),
    title: stringOr(problem["title"], response.statusText || `HTTP ${response.status}`),
    detail: optionalString(problem["detail"]) ?? foreignDetail(text, problem),
    type: optionalString(problem["type"]),
    requestId: optionalString(problem["request_id"]) ?? requestIdOf(headers),
    errors: fieldErrors(problem["errors"]),
    retryAfterMs: retryAfterMs(headers.get("retry-after"), now),
    ...site,
  });
}

/** The id that a successful or foreign answer names in a header. */
export function requestIdOf(headers: Headers): string | undefined {
  return headers.get("request-id") ?? headers.get("x-request-id") ?? undefined;
}

/** Seconds or an HTTP date (RFC 9110, 10.2.3) as milliseconds from now. */
export function retryAfterMs(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  const text = value.trim();
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function readProblem(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function foreignDetail(text: string, problem: Record<string, unknown>): string | undefined {
  const isProblem = typeof problem["code"] === "string";
  return isProblem || text === "" ? undefined : text.slice(0, LONGEST_FOREIGN_DETAIL);
}

function fieldErrors(value: unknown): FieldError[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isRecord).map((entry) => ({
    pointer: stringOr(entry["pointer"], ""),
    code: stringOr(entry["code"], ""),
    message: stringOr(entry["message"], ""),
  }));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function optionalString(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function stringOr(value: unknown, otherwise: string): string {
  return optionalString(value) ?? otherwise;
}
