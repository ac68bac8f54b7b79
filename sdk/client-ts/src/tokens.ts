/** What a sign-in yields, and where it is kept. */

export interface TokenSet {
  /** Null when the client holds none and only a cookie may tell the platform who calls. */
  readonly accessToken: string | null;
  /** Absent where a cookie keeps it. */
  readonly refreshToken?: string | undefined;
  /** Milliseconds since 1970, by this machine's clock. */
  readonly expiresAt: number;
  /** From when on the client renews before it calls; without it shortly before `expiresAt`. */
  readonly refreshAt?: number | undefined;
  /**
   * The Idempotency-Key of the one refresh that uses up `refreshToken`. It is kept beside the token, so a second
   * tab, a retry and a reloaded page repeat the same refresh: the platform then answers with the same pair
   * instead of taking the repetition for a theft.
   */
  readonly refreshKey?: string | undefined;
}

/**
 * Keeps the tokens. Implement it to keep them elsewhere; store the whole set, unknown fields included.
 * One refresh is in flight per store object.
 */
export interface TokenStore {
  get(): TokenSet | null | Promise<TokenSet | null>;
  /** Null: signed out. */
  set(tokens: TokenSet | null): void | Promise<void>;
  /** Tells of changes made by others, such as another tab. Returns how to stop it. */
  subscribe?(onChange: () => void): () => void;
  /** A name shared by all holders of these tokens; refreshes under one name take turns where Web Locks exist. */
  readonly lockName?: string;
  /** The platform keeps the refresh token in a cookie: requests include credentials. */
  readonly cookies?: boolean;
}
