/** Who calls: what goes into `Authorization`, and whether a refusal can be mended. */
import type { PlinthError } from "./errors.js";
import type { Session } from "./session.js";

export interface Credentials {
  /** The bearer token to send, if any. */
  bearer(signal: AbortSignal | undefined): Promise<string | null>;
  /** After a refusal of `sent`: true when the call is worth repeating with what `bearer` gives now. */
  renew(refusal: PlinthError, sent: string | null, signal: AbortSignal | undefined): Promise<boolean>;
  /** Send cookies along. */
  readonly cookies: boolean;
}

/** A string, or a function that is asked before each call, for tokens that somebody else keeps fresh. */
export type BearerSource = string | (() => string | Promise<string>);

export function fixedCredentials(source: BearerSource): Credentials {
  if (typeof source === "string") {
    return { bearer: async () => source, renew: async () => false, cookies: false };
  }
  return {
    bearer: async () => source(),
    renew: async (refusal, sent) => wantsAnother(refusal) && (await source()) !== sent,
    cookies: false,
  };
}

export function anonymousCredentials(cookies: boolean): Credentials {
  return { bearer: async () => null, renew: async () => false, cookies };
}

export function sessionCredentials(session: Session): Credentials {
  return {
    cookies: session.cookies,
    bearer: async (signal) => (await session.current(signal))?.accessToken ?? null,
    renew: async (refusal, sent, signal) => {
      const unknownCaller = refusal.status === 401 && sent === null && session.cookies;
      if (!wantsAnother(refusal) && !unknownCaller) return false;
      const tokens = await session.refresh(sent, signal);
      return tokens !== null && tokens.accessToken !== sent;
    },
  };
}

/**
 * Another token may be accepted. A revoked one means that the session is over or was replaced: the refresh finds out
 * which, so that the application learns of it now and not minutes later.
 */
const RENEWABLE = new Set(["token_expired", "token_revoked", "token_invalid"]);

function wantsAnother(refusal: PlinthError): boolean {
  return refusal.status === 401 && RENEWABLE.has(refusal.code);
}
