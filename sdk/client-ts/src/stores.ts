/** The token stores that come with the client. */
import { randomKey } from "./random-key.js";
import type { TokenSet, TokenStore } from "./tokens.js";

/** Keeps tokens until the page or process ends. */
export function memoryStore(initial: TokenSet | null = null): TokenStore {
  let held = initial;
  return {
    get: () => held,
    set: (tokens) => {
      held = tokens;
    },
  };
}

const DEFAULT_STORAGE_KEY = "plinth.tokens";

/**
 * Keeps tokens in `localStorage`: they survive a reload and all tabs share them. A script that gets into your
 * page can read them; `cookieStore` keeps at least the refresh token out of its reach.
 */
export function localStorageStore(storageKey: string = DEFAULT_STORAGE_KEY): TokenStore {
  requireLocalStorage("localStorageStore");
  return {
    lockName: `plinth:${storageKey}`,
    get: () => readTokens(localStorage.getItem(storageKey)),
    set: (tokens) => {
      if (tokens === null) localStorage.removeItem(storageKey);
      else localStorage.setItem(storageKey, JSON.stringify(tokens));
    },
    subscribe: (onChange) => onStorage(storageKey, onChange),
  };
}

/** The browser sends this event to the other tabs only; its `key` is null when everything was cleared. */
function onStorage(storageKey: string, listener: (value: string | null) => void): () => void {
  const hear = (event: StorageEvent) => {
    if (event.storageArea === localStorage && (event.key === storageKey || event.key === null)) listener(event.newValue);
  };
  addEventListener("storage", hear);
  return () => removeEventListener("storage", hear);
}

/** Anything that is not a token set counts as signed out: what else could the client do with it? */
function readTokens(text: string | null): TokenSet | null {
  if (text === null) return null;
  try {
    const parsed = JSON.parse(text) as Partial<TokenSet> | null;
    const complete = typeof parsed?.accessToken === "string" && typeof parsed.expiresAt === "number";
    return complete ? (parsed as TokenSet) : null;
  } catch {
    return null;
  }
}

/**
 * For a platform that keeps the refresh token in an HttpOnly cookie. The access token stays in memory; after a
 * reload the first refused call renews it by the cookie. What all tabs must share is only the key of the next
 * refresh, which is no secret: it lies in `localStorage`.
 */
export function cookieStore(name: string = "plinth.cookie"): TokenStore {
  requireLocalStorage("cookieStore");
  const unknown: TokenSet = { accessToken: null, expiresAt: 0 };
  let held: TokenSet | null = unknown;
  return {
    cookies: true,
    lockName: `plinth:${name}`,
    get: () => (held === null ? null : { ...held, refreshKey: sharedKey(name) }),
    subscribe: (onChange) =>
      onStorage(name, (key) => {
        // The key comes and goes with the session: another tab has signed out, or in again.
        held = key === null ? null : (held ?? unknown);
        onChange();
      }),
    set: (tokens) => {
      if (tokens === null) localStorage.removeItem(name);
      else if (tokens.refreshKey !== undefined) localStorage.setItem(name, tokens.refreshKey);
      // Should the platform send the refresh token in the body too: the cookie is its place.
      held = tokens === null ? null : { ...tokens, refreshToken: undefined };
    },
  };
}

function requireLocalStorage(store: string): void {
  if (globalThis.localStorage === undefined) throw new TypeError(`${store} needs a browser: use memoryStore or a store of your own`);
}

function sharedKey(name: string): string {
  const known = localStorage.getItem(name);
  if (known !== null) return known;
  const fresh = randomKey();
  localStorage.setItem(name, fresh);
  return fresh;
}
