/** Read your own writes: remembers how far the log was at the last answer. */
export class PositionMemory {
  #last: string | undefined;

  get last(): string | undefined {
    return this.#last;
  }

  /** Answers may arrive out of order; numbers tell which is further, other positions count as they come. */
  note(position: string | null): void {
    if (position === null || position === "") return;
    const comparable = this.#last !== undefined && isNumber(this.#last) && isNumber(position);
    if (comparable && BigInt(position) < BigInt(this.#last ?? position)) return;
    this.#last = position;
  }

  /** Another person's log starts from nothing. */
  forget(): void {
    this.#last = undefined;
  }
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}
