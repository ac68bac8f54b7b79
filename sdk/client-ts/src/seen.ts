/** Which log positions a stream has handed out, so that what a reconnection repeats is told once. */

/** Repetitions come at the seam of two connections: a short memory is enough where positions are no numbers. */
const REMEMBERED = 4096;

export class SeenPositions {
  #highest: bigint | undefined;
  readonly #recent = new Set<string>();

  /** True the first time. Numbers rise along the stream, so a lower one has been seen or was not asked for. */
  isNew(id: string): boolean {
    const number = /^\d+$/.test(id) ? BigInt(id) : undefined;
    if (number !== undefined) {
      if (this.#highest !== undefined && number <= this.#highest) return false;
      this.#highest = number;
      return true;
    }
    if (this.#recent.has(id)) return false;
    this.#recent.add(id);
    if (this.#recent.size > REMEMBERED) {
      for (const oldest of this.#recent) {
        this.#recent.delete(oldest);
        break;
      }
    }
    return true;
  }
}
