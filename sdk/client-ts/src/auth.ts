/** Sign-up, sign-in and what belongs to it. Tokens that an answer brings are taken into the store at once. */
import { PlinthError } from "./errors.js";
import type { paths } from "./schema.js";
import type { IssuedTokens, Session, SignedOut } from "./session.js";
import type { BodyOf, CallOptions, DataOf, Operation } from "./typed.js";

export type SignedIn = DataOf<Operation<paths, "/api/v1/auth/login", "post">>;
export type Registration = BodyOf<Operation<paths, "/api/v1/auth/register", "post">>;
export type Login = BodyOf<Operation<paths, "/api/v1/auth/login", "post">>;
export type Me = DataOf<Operation<paths, "/api/v1/me", "get">>;

/** How the client makes the calls of this file. */
export interface AuthPort {
  /** Undefined where the client got its token from outside. */
  readonly session: Session | undefined;
  /** As the signed-in person, or as nobody: signing in must not depend on an old token. */
  call(method: string, path: string, as: "caller" | "nobody", body: unknown, options: CallOptions): Promise<unknown>;
}

export class Auth {
  readonly #port: AuthPort;

  constructor(port: AuthPort) {
    this.#port = port;
  }

  /** Creates a person with a tenant of their own, and signs in. */
  async register(body: Registration, options: CallOptions = {}): Promise<SignedIn> {
    return this.#signIn("/api/v1/auth/register", body, options);
  }

  /** Code `mfa_required`: call again with `totp`. */
  async login(body: Login, options: CallOptions = {}): Promise<SignedIn> {
    return this.#signIn("/api/v1/auth/login", body, options);
  }

  /** Ends the session. Here it ends in any case; an error says that the platform could not be told. */
  async logout(options: CallOptions = {}): Promise<void> {
    const session = this.#requireSession("logout");
    const event: SignedOut = { reason: "logout" };
    try {
      await this.#port.call("POST", "/api/v1/auth/logout", "caller", undefined, options);
    } catch (error) {
      // Already over: that is what was wanted.
      if (!(error instanceof PlinthError && error.status === 401)) throw error;
    } finally {
      await session.end(event);
    }
  }

  /** Renews the tokens now; false when nobody is signed in. The client does this by itself. */
  async refresh(options: Pick<CallOptions, "signal"> = {}): Promise<boolean> {
    const session = this.#requireSession("refresh");
    const held = await session.peek();
    if (held === null) return false;
    return (await session.refresh(held.accessToken, options.signal)) !== null;
  }

  /** True when there are tokens, or a cookie may hold some. The platform has the last word: see `me`. */
  async isSignedIn(): Promise<boolean> {
    return this.#port.session === undefined || (await this.#port.session.peek()) !== null;
  }

  /** Who calls, where, and what they may do. */
  async me(options: CallOptions = {}): Promise<Me> {
    return (await this.#port.call("GET", "/api/v1/me", "caller", undefined, options)) as Me;
  }

  /** With the token of the mail that registration sends. */
  async verifyEmail(token: string, options: CallOptions = {}): Promise<void> {
    await this.#port.call("POST", "/api/v1/auth/verify-email", "nobody", { token }, options);
  }

  /** Sends a mail with a link to reset the password. Tells nobody whether the account exists. */
  async forgot(email: string, options: CallOptions = {}): Promise<void> {
    await this.#port.call("POST", "/api/v1/auth/password/forgot", "nobody", { email }, options);
  }

  /** With the token of that mail. */
  async reset(body: { token: string; password: string }, options: CallOptions = {}): Promise<void> {
    await this.#port.call("POST", "/api/v1/auth/password/reset", "nobody", body, options);
  }

  async changePassword(body: { current_password?: string; new_password: string }, options: CallOptions = {}): Promise<void> {
    await this.#port.call("POST", "/api/v1/auth/password/change", "caller", body, options);
  }

  /** Sends a mail with a link that signs in. Tells nobody whether the account exists. */
  async magicLink(email: string, options: CallOptions = {}): Promise<void> {
    await this.#port.call("POST", "/api/v1/auth/magic-link", "nobody", { email }, options);
  }

  /** With the token of that mail. */
  async redeemMagicLink(token: string, options: CallOptions = {}): Promise<SignedIn> {
    return this.#signIn("/api/v1/auth/magic-link/redeem", { token }, options);
  }

  /** Takes tokens that another call brought, such as the acceptance of an invitation or a change of the tenant. */
  async adopt(tokens: IssuedTokens): Promise<void> {
    await this.#requireSession("take tokens").adopt(issuedTokens(tokens));
  }

  async #signIn(path: string, body: unknown, options: CallOptions): Promise<SignedIn> {
    const session = this.#requireSession("sign in");
    const answer = await this.#port.call("POST", path, "nobody", body, options);
    await session.adopt(issuedTokens(answer));
    return answer as SignedIn;
  }

  #requireSession(wish: string): Session {
    if (this.#port.session) return this.#port.session;
    throw new TypeError(`this client was given a token or an API key: to ${wish}, create one with a tokenStore`);
  }
}

/** The tokens in an answer; an answer without them must not end up in the store. */
export function issuedTokens(answer: unknown): IssuedTokens {
  const tokens = answer as Partial<IssuedTokens> | null | undefined;
  if (typeof tokens?.access_token === "string" && typeof tokens.expires_in === "number") return tokens as IssuedTokens;
  const detail = "the answer to a sign-in holds no tokens";
  throw new PlinthError({ status: 0, code: "invalid_response", title: "Invalid answer", detail });
}
