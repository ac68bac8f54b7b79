import assert from "node:assert/strict";
import { test } from "node:test";
import type { EventStream, StreamState } from "@plinth/client";
import { problem } from "./support/fake-plinth.js";
import { frame } from "./support/fake-stream.js";
import { gate, harness } from "./support/harness.js";

const STREAM = "/api/v1/stream";

interface OrderData {
  position: number;
}

/** Reads until `count` events have come, and says which. */
async function take(stream: EventStream<OrderData>, count: number): Promise<(number | undefined)[]> {
  const positions: (number | undefined)[] = [];
  for await (const event of stream) {
    positions.push(event.data?.position);
    if (positions.length === count) break;
  }
  return positions;
}

test("events come as CloudEvents with the token in the header and the topics in the query", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  fake.stream.scripts = [(line) => line.event(1)];
  const stream = plinth.stream<OrderData>({ topics: ["order.*", "payment.*"], filter: "total>5", sample: 2, lastEventId: "0" });
  for await (const event of stream) {
    assert.deepEqual([event.specversion, event.type, event.id, event.data?.position], ["1.0", "order.created", "evt_1", 1]);
    break;
  }
  assert.equal(stream.lastEventId, "1");
  const [line] = fake.stream.connections;
  assert.equal(line?.seen.url.searchParams.get("topics"), "order.*,payment.*");
  assert.equal(line?.seen.url.searchParams.get("filter"), "total>5");
  assert.equal(line?.seen.url.searchParams.get("sample"), "2");
  assert.equal(line?.seen.headers.authorization, "Bearer access-1");
  assert.equal(line?.seen.url.searchParams.has("token"), false);
  assert.equal(line?.lastEventId, "0");
  await line?.closed;
});

test("after drops the stream goes on without gap or duplicate", async (t) => {
  const { fake, clock, signedIn } = await harness(t);
  const plinth = await signedIn();
  const whole = frame(3);
  fake.stream.scripts = [
    (line) => {
      line.event(1);
      line.event(2);
      line.raw(whole.slice(0, whole.length - 5));
      setImmediate(() => line.cut());
    },
    // Repeats what was seen, as a server may that resumes from a coarser cursor.
    (line) => {
      line.event(2);
      line.event(3);
      setImmediate(() => line.end());
    },
    (line) => line.event(4),
  ];
  assert.deepEqual(await take(plinth.stream<OrderData>(), 4), [1, 2, 3, 4]);
  assert.deepEqual(fake.stream.connections.map((line) => line.lastEventId), [undefined, "2", "3"]);
  assert.deepEqual(clock.delays, [250, 250]);
});

test("a drop before the first event goes on from where the log stood", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  fake.once(STREAM, (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "plinth-position": "17" });
    response.flushHeaders();
    setImmediate(() => response.destroy());
  });
  fake.stream.scripts = [(line) => line.event(18)];
  await take(plinth.stream<OrderData>(), 1);
  assert.equal(fake.stream.connections[0]?.lastEventId, "17");
});

test("an id without data moves the point of resumption and is no event", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  fake.stream.scripts = [
    (line) => {
      line.raw("id: 500\n\n");
      line.end();
    },
    (line) => line.event(501),
  ];
  assert.deepEqual(await take(plinth.stream<OrderData>(), 1), [501]);
  assert.equal(fake.stream.connections[1]?.lastEventId, "500");
});

test("auth_expired renews the token and resumes at once", async (t) => {
  const { fake, clock, signedIn } = await harness(t);
  const plinth = await signedIn();
  fake.stream.scripts = [
    (line) => {
      line.event(1);
      fake.tokens.expireAll();
      line.notice("auth_expired", {});
      line.end();
    },
    (line) => line.event(2),
  ];
  assert.deepEqual(await take(plinth.stream<OrderData>(), 2), [1, 2]);
  assert.deepEqual(fake.stream.connections.map((line) => line.seen.headers.authorization), ["Bearer access-1", "Bearer access-2"]);
  assert.equal(fake.stream.connections[1]?.lastEventId, "1");
  assert.equal(fake.requests("/api/v1/auth/refresh").length, 1);
  assert.deepEqual(clock.delays, []);
});

test("auth_expired again and again is slowed down", async (t) => {
  const { fake, clock, signedIn } = await harness(t);
  const plinth = await signedIn();
  const expire = (line: { notice(name: string, data: object): void }) => line.notice("auth_expired", {});
  fake.stream.scripts = [expire, expire, expire, (line) => line.event(1)];
  await take(plinth.stream<OrderData>(), 1);
  assert.deepEqual(clock.delays, [500, 1_000]);
});

test("auth_expired with a token that nobody renews ends the stream and says so", async (t) => {
  const { fake, client } = await harness(t);
  fake.stream.scripts = [(line) => line.notice("auth_expired", {})];
  await assert.rejects(take(client({ apiKey: "plk_test" }).stream(), 1), { code: "auth_expired", status: 401 });
});

test("a refusal at the connection renews an expired token, and ends the stream otherwise", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  fake.tokens.expireAll();
  fake.stream.scripts = [(line) => line.event(1)];
  assert.deepEqual(await take(plinth.stream<OrderData>(), 1), [1]);
  fake.once(STREAM, (_, response) => problem(response, 403, "forbidden"));
  await assert.rejects(take(plinth.stream(), 1), { code: "forbidden" });
  const hungUp = gate();
  fake.once(STREAM, (_, response) => {
    response.once("close", hungUp.open);
    response.writeHead(200, { "content-type": "text/html" }).write("<p>");
  });
  await assert.rejects(take(plinth.stream(), 1), { code: "invalid_response" });
  await hungUp.opened;
});

test("waits grow while nobody answers, honour Retry-After and start anew after an event", async (t) => {
  const { fake, clock, signedIn } = await harness(t);
  const plinth = await signedIn();
  for (let index = 0; index < 3; index++) fake.once(STREAM, (_, response) => void response.destroy());
  fake.once(STREAM, (_, response) => problem(response, 503, "draining", {}, { "retry-after": "9" }));
  fake.once(STREAM, (_, response) => problem(response, 502, "bad_gateway"));
  fake.stream.scripts = [
    (line) => {
      line.raw("retry: 100\n\n");
      line.event(1);
      line.end();
    },
    (line) => line.event(2),
  ];
  const states: StreamState["kind"][] = [];
  const stream = plinth.stream<OrderData>({ onState: (state) => states.push(state.kind) });
  assert.deepEqual(await take(stream, 2), [1, 2]);
  assert.deepEqual(clock.delays, [250, 500, 1_000, 9_000 + 2_000, 4_000, 50]);
  assert.deepEqual(states, [...Array<string>(5).fill("waiting"), "open", "waiting", "open", "closed"]);
});

test("mostFailures gives up", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  for (let index = 0; index < 3; index++) fake.once(STREAM, (_, response) => void response.destroy());
  await assert.rejects(take(plinth.stream({ mostFailures: 3 }), 1), { code: "network_error" });
  assert.equal(fake.requests(STREAM).length, 3);
});

test("a silent connection is given up after the heartbeat's time, a heartbeat prolongs it", async (t) => {
  const { fake, clock, signedIn } = await harness(t);
  const plinth = await signedIn();
  const secondBeat = gate();
  fake.stream.scripts = [
    async (line) => {
      line.event(1);
      await secondBeat.opened;
      line.raw(": heartbeat\n\n");
    },
    (line) => line.event(2),
  ];
  const states: StreamState[] = [];
  const stream = plinth.stream<OrderData>({ heartbeatTimeoutMs: 20_000, onState: (state) => states.push(state) });
  const iterator = stream[Symbol.asyncIterator]();
  assert.equal((await iterator.next()).value?.data?.position, 1);
  const next = iterator.next();
  await clock.until(() => clock.openLimits === 1);
  clock.advance(19_000);
  secondBeat.open();
  // The limit that the heartbeat starts anew is due 20 s from now, not in 1 s.
  await new Promise<void>((resolve) => {
    const armed = clock.after;
    clock.after = (ms, callback) => {
      clock.after = armed;
      resolve();
      return armed.call(clock, ms, callback);
    };
  });
  clock.advance(19_000);
  assert.equal(states.length, 1);
  clock.advance(1_000);
  assert.equal((await next).value?.data?.position, 2);
  assert.equal(states[1]?.kind === "waiting" && String(states[1].error), "SilentConnection: the stream was silent for more than 20000 ms");
  await fake.stream.connections[0]?.closed;
  assert.equal(fake.stream.connections[1]?.lastEventId, "1");
  await iterator.return(undefined);
  assert.equal(clock.openLimits, 0);
});

test("what the platform says about the stream goes to onNotice", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  fake.stream.scripts = [
    (line) => {
      line.notice("gap", { dropped: 12 });
      line.event(1);
    },
  ];
  const notices: unknown[] = [];
  await take(plinth.stream<OrderData>({ onNotice: (name, data) => notices.push([name, data]) }), 1);
  assert.deepEqual(notices, [["gap", { dropped: 12 }]]);
});

test("the signal ends the stream with its reason, close ends it in silence, both hang up", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  fake.stream.scripts = [(line) => line.event(1), (line) => line.event(1)];
  const controller = new AbortController();
  const aborted = plinth.stream<OrderData>({ signal: controller.signal });
  const first = aborted[Symbol.asyncIterator]();
  await first.next();
  const pending = first.next();
  controller.abort(new Error("the page was left"));
  await assert.rejects(pending, { message: "the page was left" });
  await fake.stream.connections[0]?.closed;

  const closed = plinth.stream<OrderData>();
  const second = closed[Symbol.asyncIterator]();
  await second.next();
  const rest = second.next();
  closed.close();
  assert.equal((await rest).done, true);
  await fake.stream.connections[1]?.closed;
});

test("a stream goes on where it was left, and two readers at once are refused", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  fake.stream.scripts = [(line) => line.event(1), (line) => line.event(2)];
  const stream = plinth.stream<OrderData>();
  assert.deepEqual(await take(stream, 1), [1]);
  const reader = stream[Symbol.asyncIterator]();
  assert.equal((await reader.next()).value?.data?.position, 2);
  assert.equal(fake.stream.connections[1]?.lastEventId, "1");
  await assert.rejects(take(stream, 1), /already/);
  await reader.return(undefined);
});

test("positions that are no numbers are told apart too", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  const named = (id: string) => frame(7).replace("id: 7", `id: ${id}`);
  fake.stream.scripts = [
    (line) => {
      line.raw(named("evt_a") + named("evt_b"));
      setImmediate(() => line.cut());
    },
    (line) => line.raw(named("evt_b") + named("evt_c")),
  ];
  const stream = plinth.stream();
  const ids: (string | undefined)[] = [];
  for await (const _ of stream) {
    ids.push(stream.lastEventId);
    if (ids.length === 3) break;
  }
  assert.deepEqual(ids, ["evt_a", "evt_b", "evt_c"]);
});
