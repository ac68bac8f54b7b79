/** The platform's rules for tokens: rotation, reuse, and one answer per refresh and key. */

export interface Pair {
  access_token: string;
  refresh_token: string;
  token_type: "Bearer";
  expires_in: number;
}

export class FakeTokens {
  expiresIn = 600;
  #count = 0;
  #revoked = false;
  readonly #valid = new Set<string>();
  readonly #known = new Set<string>(["plk_test"]);
  #refreshToken: string | undefined;
  readonly #spent = new Map<string, { key: string | undefined; pair: Pair }>();

  issue(): Pair {
    this.#revoked = false;
    this.#count += 1;
    const pair: Pair = {
      access_token: `access-${this.#count}`,
      refresh_token: `refresh-${this.#count}`,
      token_type: "Bearer",
      expires_in: this.expiresIn,
    };
    this.#valid.add(pair.access_token);
    this.#known.add(pair.access_token);
    this.#refreshToken = pair.refresh_token;
    return pair;
  }

  /** What is wrong with an Authorization header, if anything. */
  check(header: string | undefined): string | undefined {
    const token = header?.replace(/^Bearer /, "");
    if (token === undefined) return "authentication_needed";
    if (!this.#known.has(token)) return "token_invalid";
    if (this.#revoked) return "token_revoked";
    return this.#valid.has(token) || token === "plk_test" ? undefined : "token_expired";
  }

  refresh(token: string | undefined, key: string | undefined): Pair | string {
    const earlier = this.#spent.get(token ?? "");
    if (earlier && earlier.key === key && key !== undefined) return earlier.pair;
    if (earlier) {
      this.#revoked = true;
      return "token_reused";
    }
    if (token === undefined) return "refresh_missing";
    if (this.#revoked) return "token_revoked";
    if (token !== this.#refreshToken) return "refresh_invalid";
    const pair = this.issue();
    this.#spent.set(token, { key, pair });
    return pair;
  }

  expireAll(): void {
    this.#valid.clear();
  }

  revoke(): void {
    this.#revoked = true;
  }
}
