/** Turns between tabs, by Web Locks where the browser has them. */

/**
 * Runs `work` while no other holder of `name` does. Without Web Locks (Node before 24, plain HTTP pages) it just
 * runs: two refreshes at once then carry the same idempotency key and get the same tokens.
 */
export function withTurn<T>(name: string | undefined, work: () => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks;
  if (name === undefined || locks === undefined) return work();
  return locks.request(name, work) as Promise<T>;
}
