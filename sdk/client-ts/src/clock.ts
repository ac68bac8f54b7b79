/**
 * Time and chance as one argument. Everything that waits, expires or rolls dice goes through a `Clock`,
 * so that a test moves time instead of sleeping.
 */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** At least 0, below 1. */
  random(): number;
  /** Waits on purpose, as between two attempts. Rejects with the signal's reason when that aborts first. */
  delay(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once after `ms` unless it is cancelled: the limit of something that should finish earlier. */
  after(ms: number, callback: () => void): () => void;
}

/** A longer timer overflows in every engine and would fire at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

function startTimer(ms: number, callback: () => void): () => void {
  const handle = setTimeout(callback, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS));
  return () => clearTimeout(handle);
}

export const systemClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  after: startTimer,
  delay(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = startTimer(ms, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
};
