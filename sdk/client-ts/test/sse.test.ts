import assert from "node:assert/strict";
import { test } from "node:test";
import { LONGEST_FRAME, SseParser, type SseFrame } from "../dist/sse.js";

const TEXT = [
  ": heartbeat\n\n",
  "id: 1\nevent: order.created\ndata: {\"a\":\ndata: 1}\n\n",
  "id:2\r\ndata:no space\r\n\r\n",
  "data:  two spaces\r\rid: 3\r\r",
  "event: auth_expired\n\n",
  "retry: 1500\nunknown: x\ndata\n\n",
  "data: cut off in the mid",
].join("");

const FRAMES: SseFrame[] = [
  { id: "1", event: "order.created", data: '{"a":\n1}' },
  { id: "2", event: "message", data: "no space" },
  { id: undefined, event: "message", data: " two spaces" },
  { id: "3", event: "message", data: undefined },
  { id: undefined, event: "auth_expired", data: undefined },
  { id: undefined, event: "message", data: "" },
];

for (const size of [1, 2, 3, 7, TEXT.length]) {
  test(`frames are the same in pieces of ${size}`, () => {
    const parser = new SseParser();
    const frames: SseFrame[] = [];
    for (let from = 0; from < TEXT.length; from += size) frames.push(...parser.push(TEXT.slice(from, from + size)));
    assert.deepEqual(frames, FRAMES);
    assert.equal(parser.retryMs, 1500);
  });
}

test("an id with a null character and a retry that is no number are ignored", () => {
  const parser = new SseParser();
  assert.deepEqual(parser.push("id: a\0b\nretry: soon\ndata: x\n\n"), [{ id: undefined, event: "message", data: "x" }]);
  assert.equal(parser.retryMs, undefined);
});

test("a frame without end is an error, many frames are not", () => {
  const parser = new SseParser();
  const frame = `data: ${"x".repeat(LONGEST_FRAME / 8)}\n\n`;
  for (let index = 0; index < 20; index++) assert.equal(parser.push(frame).length, 1);
  parser.push("data: ");
  assert.throws(() => {
    for (let index = 0; index < 20; index++) parser.push("x".repeat(LONGEST_FRAME / 8));
  }, /longer than/);
});
