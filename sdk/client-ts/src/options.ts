/** How to create a client, and what the options come to. */
import type { Clock } from "./clock.js";
import { systemClock } from "./clock.js";
import type { BearerSource } from "./credentials.js";
import { DEFAULT_RETRY, type RetryPolicy } from "./retry.js";
import type { SignedOut } from "./session.js";
import { memoryStore } from "./stores.js";
import type { TokenStore } from "./tokens.js";
import { resolveBaseUrl } from "./url.js";

/** Give one of `token`, `apiKey` and `tokenStore`; without any, sign in and the tokens stay in memory. */
export interface ClientOptions {
  /** Where the platform is, for instance `https://plinth.example.com`; in a browser also `/`. */
  readonly baseUrl: string;
  /** An access token that somebody else keeps fresh. */
  readonly token?: BearerSource | undefined;
  /** `plk_…` */
  readonly apiKey?: string | undefined;
  /** With `apiKey`: signs every request, for keys that demand it. Never in a browser: it would be public. */
  readonly signingSecret?: string | undefined;
  /** Where the tokens of a sign-in are kept. */
  readonly tokenStore?: TokenStore | undefined;
  /** Nobody is signed in any more: show the sign-in page. */
  readonly onSignedOut?: ((event: SignedOut) => void) | undefined;
  /** Operators: act in this tenant. */
  readonly tenant?: string | undefined;
  /** Every read asks for the state after your last write. */
  readonly consistent?: boolean | undefined;
  /** For one attempt, 30 seconds without it; 0 is no limit. For the whole of a call use `AbortSignal.timeout`. */
  readonly timeoutMs?: number | undefined;
  readonly retry?: Partial<RetryPolicy> | false | undefined;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly fetch?: typeof fetch | undefined;
  /** Time and chance, for tests. */
  readonly clock?: Clock | undefined;
}

export interface Settings {
  readonly baseUrl: string;
  readonly clock: Clock;
  readonly fetch: typeof fetch;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  readonly consistent: boolean;
  readonly tenant: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly signingSecret: string | undefined;
  /** A bearer that is given from outside, or the store of a session. */
  readonly access: { readonly bearer: BearerSource } | { readonly store: TokenStore };
}

const DEFAULT_TIMEOUT_MS = 30_000;

/** Throws a TypeError for options that contradict each other. */
export function resolveOptions(options: ClientOptions): Settings {
  const given = [options.token, options.apiKey, options.tokenStore].filter((option) => option !== undefined);
  if (given.length > 1) throw new TypeError("give only one of token, apiKey and tokenStore");
  if (options.signingSecret !== undefined && options.apiKey === undefined) {
    throw new TypeError("signingSecret belongs to an apiKey: give both");
  }
  const bearer = options.token ?? options.apiKey;
  return {
    baseUrl: resolveBaseUrl(options.baseUrl),
    clock: options.clock ?? systemClock,
    // Browsers refuse a fetch that has lost its window.
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    retry: resolveRetry(options.retry, DEFAULT_RETRY),
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    consistent: options.consistent ?? false,
    tenant: options.tenant,
    headers: options.headers ?? {},
    signingSecret: options.signingSecret,
    access: bearer === undefined ? { store: options.tokenStore ?? memoryStore() } : { bearer },
  };
}

export function resolveRetry(retry: Partial<RetryPolicy> | false | undefined, otherwise: RetryPolicy): RetryPolicy {
  if (retry === false) return { ...otherwise, attempts: 1 };
  return retry === undefined ? otherwise : { ...otherwise, ...retry };
}
