/** Turns between tabs, by Web Locks where the browser has them. */

/**
 * Runs `work` while no other holder of `name` does; `waited` tells that somebody else had a turn first. Without Web
 * Locks (Node before 24, plain HTTP pages) it just runs: two refreshes at once then carry the same idempotency key
 * and get the same tokens.
 */
export async function withTurn<T>(name: string | undefined, work: (waited: boolean) => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks;
  if (name === undefined || locks === undefined) return work(false);
  const atOnce = await locks.request(name, { ifAvailable: true }, async (lock) => (lock ? { value: await work(false) } : undefined));
  if (atOnce) return atOnce.value;
  return (await locks.request(name, () => work(true))) as T;
}
