/**
 * When another attempt is safe, and how long to wait before it.
 *
 * Safe means: the platform did not begin (429, 503), or nobody knows (no answer) but a repetition cannot have a
 * second effect, because the call only reads or carries an idempotency key.
 */
import type { Clock } from "./clock.js";
import type { PlinthError } from "./errors.js";

export interface RetryPolicy {
  /** How often to try at most, the first attempt included; 1 never repeats. */
  readonly attempts: number;
  /** The first wait lies between 0 and this; the bound doubles with each attempt. */
  readonly baseMs: number;
  /** The bound grows no further than this. */
  readonly capMs: number;
  /** Where the platform asks for a longer wait than this, the error is handed to the caller at once. */
  readonly longestRetryAfterMs: number;
}

export const DEFAULT_RETRY: RetryPolicy = { attempts: 4, baseMs: 250, capMs: 8_000, longestRetryAfterMs: 60_000 };

/** Exponential back-off with full jitter: anything from nothing to the bound, so that clients spread out. */
export function backoffMs(failures: number, baseMs: number, capMs: number, clock: Clock): number {
  const bound = Math.min(capMs, baseMs * 2 ** Math.min(failures, 30));
  return clock.random() * bound;
}

/** How long to wait before the next attempt, or null when the error is final. `failures` counts earlier ones. */
export function nextWaitMs(error: PlinthError, failures: number, policy: RetryPolicy, clock: Clock): number | null {
  if (failures + 1 >= policy.attempts || !isTransient(error)) return null;
  if (error.retryAfterMs === undefined) return backoffMs(failures, policy.baseMs, policy.capMs, clock);
  if (error.retryAfterMs > policy.longestRetryAfterMs) return null;
  // Never earlier than asked, and not all clients in the same instant.
  return error.retryAfterMs + backoffMs(0, policy.baseMs, policy.capMs, clock);
}

/** The same call may succeed later without anybody changing anything. */
export function isTransient(error: PlinthError): boolean {
  switch (error.status) {
    case 0:
      return error.code === "network_error" || error.code === "timeout";
    case 409:
      // The first attempt with this idempotency key still runs; its answer will be replayed.
      return error.code === "in_progress";
    case 429:
    case 503:
      return true;
    default:
      return false;
  }
}
