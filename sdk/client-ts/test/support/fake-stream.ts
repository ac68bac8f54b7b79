/** The platform's stream: a log that a connection reads from behind its Last-Event-ID. */
import type { ServerResponse } from "node:http";
import type { Seen } from "./fake-plinth.js";

export class FakeConnection {
  readonly seen: Seen;
  readonly closed: Promise<void>;
  readonly #response: ServerResponse;

  constructor(seen: Seen, response: ServerResponse) {
    this.seen = seen;
    this.#response = response;
    this.closed = new Promise((resolve) => this.#response.once("close", resolve));
    this.#response.writeHead(200, { "content-type": "text/event-stream" });
    this.#response.flushHeaders();
  }

  get lastEventId(): string | undefined {
    const header = this.seen.headers["last-event-id"];
    return typeof header === "string" ? header : undefined;
  }

  /** Text as it is, to break frames wherever a test wants. */
  raw(text: string): void {
    this.#response.write(text);
  }

  event(position: number): void {
    this.raw(frame(position));
  }

  notice(name: string, data: object): void {
    this.raw(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  end(): void {
    this.#response.end();
  }

  /** As a broken line does: without the end of the answer. */
  cut(): void {
    this.#response.destroy();
  }
}

export function frame(position: number): string {
  const event = { specversion: "1.0", id: `evt_${position}`, type: "order.created", data: { position } };
  return `id: ${position}\nevent: order.created\ndata: ${JSON.stringify(event)}\n\n`;
}

type Script = (connection: FakeConnection) => void | Promise<void>;

export class FakeStream {
  readonly connections: FakeConnection[] = [];
  /** What the first, second, … connection does; a connection beyond the last does nothing. */
  scripts: Script[] = [];

  async open(seen: Seen, response: ServerResponse): Promise<void> {
    const connection = new FakeConnection(seen, response);
    const script = this.scripts[this.connections.length];
    this.connections.push(connection);
    await script?.(connection);
  }
}
