/**
 * The signed-in person: hands out a usable access token and renews it, one refresh at a time.
 *
 * Invariants: one refresh is in flight per store, however many clients and calls share it; a refresh uses the key
 * that is kept beside the refresh token; what a refresh brings is discarded when somebody signed in or out in the
 * meantime; only a refusal by the platform ends the session, a network failure never does.
 */
import { abandonable } from "./abort.js";
import type { Clock } from "./clock.js";
import { PlinthError } from "./errors.js";
import { withTurn } from "./locks.js";
import { randomKey } from "./random-key.js";
import { isTransient } from "./retry.js";
import type { TokenSet, TokenStore } from "./tokens.js";

export interface SignedOut {
  /** `logout`: asked for here. `refused`: the platform ended the session. `elsewhere`: in another tab. */
  readonly reason: "logout" | "refused" | "elsewhere";
  /** Why the platform refused. */
  readonly error?: PlinthError | undefined;
}

/** What the platform answers to a sign-in or a refresh. */
export interface IssuedTokens {
  readonly access_token: string;
  readonly refresh_token?: string | null | undefined;
  readonly expires_in: number;
}

/** One call of `auth/refresh`, retries included. */
export type Exchange = (held: TokenSet, idempotencyKey: string, signal: AbortSignal) => Promise<IssuedTokens>;

/** Shared by all sessions over one store object. */
interface StoreState {
  inFlight: Promise<TokenSet | null> | undefined;
  /** A sign-out is being told; a store that reports our own change must not tell it twice. */
  ending: boolean;
  readonly listeners: Set<(event: SignedOut) => void>;
}

const states = new WeakMap<TokenStore, StoreState>();

/** Renewing shortly before expiry spares the round trip of a refusal; the time covers a slow call under way. */
const REFRESH_MARGIN_MS = 30_000;

/** Longer than a browser takes to tell the other tabs; lost only where the turn before brought nothing. */
const SETTLE_MS = 500;

/** Each round means that somebody else changed the tokens; more than a few in a row is a broken store. */
const MOST_ROUNDS = 5;

export class Session {
  readonly #store: TokenStore;
  readonly #exchange: Exchange;
  readonly #clock: Clock;
  readonly #state: StoreState;
  readonly #onSignedOut: (event: SignedOut) => void;
  readonly #unsubscribe: (() => void) | undefined;
  #signedIn = false;

  constructor(store: TokenStore, exchange: Exchange, clock: Clock, onSignedOut: (event: SignedOut) => void) {
    this.#store = store;
    this.#exchange = exchange;
    this.#clock = clock;
    this.#onSignedOut = (event) => {
      this.#signedIn = false;
      onSignedOut(event);
    };
    const state = states.get(store) ?? { inFlight: undefined, ending: false, listeners: new Set() };
    states.set(store, state);
    this.#state = state;
    state.listeners.add(this.#onSignedOut);
    this.#unsubscribe = store.subscribe?.(() => this.#look());
    // Knowing whether somebody was signed in lets a sign-out in another tab be told from a first look.
    if (store.subscribe) this.#look();
  }

  get cookies(): boolean {
    return this.#store.cookies === true;
  }

  /** What the store holds, without judging or renewing it. */
  async peek(): Promise<TokenSet | null> {
    return this.#store.get();
  }

  /** The tokens to call with, renewed when they are due. Null: nobody is signed in. */
  async current(signal?: AbortSignal): Promise<TokenSet | null> {
    const held = await this.#store.get();
    this.#signedIn = held !== null;
    if (held === null || !this.#isDue(held)) return held;
    try {
      return await this.refresh(held.accessToken, signal);
    } catch (error) {
      const stillUsable = held.accessToken !== null && this.#clock.now() < held.expiresAt;
      if (stillUsable && error instanceof PlinthError && isTransient(error)) return held;
      throw error;
    }
  }

  /** Tokens other than the refused ones: from a refresh, or because somebody else has just done it. */
  refresh(refused: string | null, signal?: AbortSignal): Promise<TokenSet | null> {
    const state = this.#state;
    state.inFlight ??= this.#takeTurn(refused).finally(() => {
      state.inFlight = undefined;
    });
    return abandonable(state.inFlight, signal);
  }

  /** Takes the tokens of a sign-in. */
  async adopt(issued: IssuedTokens): Promise<void> {
    await this.#store.set(this.#toSet(issued, undefined));
    this.#signedIn = true;
  }

  /** Forgets the tokens and tells everybody who shares the store. */
  async end(event: SignedOut): Promise<void> {
    this.#state.ending = true;
    try {
      const held = await this.#store.get();
      if (held === null) return;
      await this.#store.set(null);
      for (const listener of [...this.#state.listeners]) listener(event);
    } finally {
      this.#state.ending = false;
    }
  }

  close(): void {
    this.#unsubscribe?.();
    this.#state.listeners.delete(this.#onSignedOut);
  }

  async #takeTurn(refused: string | null): Promise<TokenSet | null> {
    const before = await this.#store.get();
    return withTurn(this.#store.lockName, async (waited) => {
      if (waited && before !== null) await this.#changeArrives(before);
      return this.#renew(refused);
    });
  }

  /** Whoever had the turn before has changed the store, but browsers tell other tabs of it a moment later. */
  #changeArrives(before: TokenSet): Promise<void> {
    return new Promise((resolve) => {
      const stop: (() => void)[] = [];
      const done = () => {
        for (const each of stop) each();
        resolve();
      };
      const unsubscribe = this.#store.subscribe?.(done);
      if (!unsubscribe) return resolve();
      stop.push(unsubscribe, this.#clock.after(SETTLE_MS, done));
      Promise.resolve(this.#store.get()).then((now) => sameGrant(now, before) || done(), done);
    });
  }

  async #renew(refused: string | null): Promise<TokenSet | null> {
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const held = await this.#heldWithKey();
      if (held === null) return null;
      const replaced = held.accessToken !== null && held.accessToken !== refused && !this.#isDue(held);
      if (replaced) return held;
      if (!held.refreshToken && !this.cookies) return null;
      const renewed = await this.#exchangeOnce(held);
      if (renewed !== undefined) return renewed;
    }
    throw new Error("the token store changes faster than a refresh takes: does it return what was stored last?");
  }

  /** Undefined: the store changed meanwhile, so look again. */
  async #exchangeOnce(held: TokenSet): Promise<TokenSet | undefined> {
    const changed = new AbortController();
    const stopWatching = this.#store.subscribe?.(() => {
      this.#stillHolds(held).then((same) => same || changed.abort(), ignored);
    });
    try {
      const issued = await this.#exchange(held, held.refreshKey ?? randomKey(), changed.signal);
      if (!(await this.#stillHolds(held))) return undefined;
      const fresh = this.#toSet(issued, held);
      await this.#store.set(fresh);
      return fresh;
    } catch (error) {
      if (!(await this.#stillHolds(held))) return undefined;
      if (error instanceof PlinthError && isRefusal(error)) await this.end({ reason: "refused", error });
      throw error;
    } finally {
      stopWatching?.();
    }
  }

  /** Keeps the key before it is used, so that whoever repeats this refresh uses the same. */
  async #heldWithKey(): Promise<TokenSet | null> {
    const held = await this.#store.get();
    if (held === null || held.refreshKey !== undefined) return held;
    const keyed = { ...held, refreshKey: randomKey() };
    await this.#store.set(keyed);
    return keyed;
  }

  async #stillHolds(held: TokenSet): Promise<boolean> {
    const now = await this.#store.get();
    // With a cookie the key changes whenever any tab refreshes, and each tab needs an access token of its own.
    return this.cookies ? now !== null : sameGrant(now, held);
  }

  #isDue(held: TokenSet): boolean {
    // A cookie may still be good where no token is at hand: only a refusal can tell.
    if (held.accessToken === null) return !this.cookies && held.refreshToken !== undefined;
    if (!held.refreshToken && !this.cookies) return false;
    return this.#clock.now() >= (held.refreshAt ?? held.expiresAt - REFRESH_MARGIN_MS);
  }

  #toSet(issued: IssuedTokens, before: TokenSet | undefined): TokenSet {
    const now = this.#clock.now();
    const lifetimeMs = issued.expires_in * 1000;
    return {
      accessToken: issued.access_token,
      refreshToken: issued.refresh_token ?? before?.refreshToken,
      expiresAt: now + lifetimeMs,
      // A token that lives only briefly must still be used for half of its life.
      refreshAt: now + Math.max(lifetimeMs - REFRESH_MARGIN_MS, lifetimeMs / 2),
      refreshKey: randomKey(),
    };
  }

  #look(): void {
    this.#noticeChange().catch(ignored);
  }

  async #noticeChange(): Promise<void> {
    if (this.#state.ending) return;
    const held = await this.#store.get();
    const ended = this.#signedIn && held === null;
    this.#signedIn = held !== null;
    if (ended) this.#onSignedOut({ reason: "elsewhere" });
  }
}

function sameGrant(a: TokenSet | null, b: TokenSet): boolean {
  return a !== null && a.refreshToken === b.refreshToken && a.refreshKey === b.refreshKey;
}

/** A store that cannot be read fails the next call, where somebody sees it; here nobody waits. */
const ignored = () => undefined;

/** The platform looked at the refresh token and said no. */
function isRefusal(error: PlinthError): boolean {
  return error.status >= 400 && error.status < 500 && error.status !== 408 && !isTransient(error);
}
