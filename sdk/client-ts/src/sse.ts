/** The text format of server-sent events (WHATWG HTML, 9.2.6), fed in pieces of any size. */

export interface SseFrame {
  /** Undefined when the frame named none; the id before it stays in force. */
  readonly id: string | undefined;
  readonly event: string;
  /** Undefined for a frame that only moves the id. */
  readonly data: string | undefined;
}

/** No event of the platform comes near; without a bound a broken proxy could fill the memory. */
export const LONGEST_FRAME = 8 * 1024 * 1024;

export class SseParser {
  /** What the server last asked for as the wait before a reconnection. */
  retryMs: number | undefined;
  #pending = "";
  #skipLineFeed = false;
  #size = 0;
  #id: string | undefined;
  #event = "";
  #data: string[] = [];

  /** The frames that `chunk` completes. What is incomplete at the end of the stream was never sent. */
  push(chunk: string): SseFrame[] {
    const frames: SseFrame[] = [];
    let text = this.#skipLineFeed && chunk.startsWith("\n") ? chunk.slice(1) : chunk;
    if (chunk !== "") this.#skipLineFeed = chunk.endsWith("\r");
    this.#size += text.length;
    if (this.#size > LONGEST_FRAME) throw new Error(`a frame of the stream is longer than ${LONGEST_FRAME} characters`);
    if (!/[\r\n]/.test(text)) {
      this.#pending += text;
      return frames;
    }
    text = this.#pending + text;
    const lines = text.split(/\r\n|\r|\n/);
    this.#pending = lines.pop() ?? "";
    for (const line of lines) {
      const frame = this.#line(line);
      if (frame) frames.push(frame);
    }
    return frames;
  }

  #line(line: string): SseFrame | undefined {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return undefined;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line.startsWith(" ", colon + 1) ? colon + 2 : colon + 1);
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
    return undefined;
  }

  #dispatch(): SseFrame | undefined {
    const id = this.#id;
    const event = this.#event;
    const data = this.#data;
    this.#id = undefined;
    this.#event = "";
    this.#data = [];
    this.#size = this.#pending.length;
    if (id === undefined && data.length === 0 && event === "") return undefined;
    return { id, event: event || "message", data: data.length === 0 ? undefined : data.join("\n") };
  }
}
