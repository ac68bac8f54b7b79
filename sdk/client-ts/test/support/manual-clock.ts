/** A clock that a test moves. Waits on purpose pass at once and are written down; limits fire when time reaches them. */
import type { Clock } from "@plinth/client";

export class ManualClock implements Clock {
  /** What was waited for, in order. */
  readonly delays: number[] = [];
  /** What `random` gives: just below 1 makes a back-off as long as its bound. */
  chance = 0.5;
  /** When set, waits do not pass until their signal aborts. */
  frozen = false;
  #now = Date.parse("2026-01-31T12:00:00Z");
  #limits = new Set<{ due: number; callback: () => void }>();
  #arrivals = new Set<() => void>();

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.chance;
  }

  async delay(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.delays.push(ms);
    this.#announce();
    if (this.frozen) {
      await new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason), { once: true }));
    }
    this.#now += ms;
  }

  after(ms: number, callback: () => void): () => void {
    const limit = { due: this.#now + ms, callback };
    this.#limits.add(limit);
    this.#announce();
    return () => this.#limits.delete(limit);
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const limit of [...this.#limits]) {
      if (limit.due <= this.#now && this.#limits.delete(limit)) limit.callback();
    }
  }

  get openLimits(): number {
    return this.#limits.size;
  }

  /** Resolves as soon as `condition` holds; it is looked at whenever somebody begins to wait. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.#arrivals.delete(look);
        resolve();
      };
      this.#arrivals.add(look);
      look();
    });
  }

  #announce(): void {
    for (const look of [...this.#arrivals]) look();
  }
}
