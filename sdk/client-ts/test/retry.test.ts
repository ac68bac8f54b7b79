import assert from "node:assert/strict";
import { test } from "node:test";
import { json, problem, type Handler } from "./support/fake-plinth.js";
import { harness } from "./support/harness.js";

const KEYS = "/api/v1/api-keys";
const USERS = "/api/v1/users";
const body = { name: "ci", scopes: ["*"] };
const unavailable: Handler = (_, response) => problem(response, 503, "unavailable");
const cut: Handler = (_, response) => void response.destroy();

test("a change keeps its idempotency key through every attempt, and another call has another", async (t) => {
  const { fake, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test" });
  fake.once(KEYS, unavailable);
  fake.once(KEYS, cut);
  fake.once(KEYS, (_, response) => problem(response, 409, "in_progress"));
  const reply = await plinth.post(KEYS, { body });
  assert.equal(reply.status, 201);
  const keys = fake.requests(KEYS).map((seen) => seen.headers["idempotency-key"]);
  assert.equal(keys.length, 4);
  assert.equal(new Set(keys).size, 1);
  assert.ok(keys[0]);
  await plinth.post(KEYS, { body });
  assert.notEqual(fake.requests(KEYS)[4]?.headers["idempotency-key"], keys[0]);
});

test("a key of the caller's own is sent as given", async (t) => {
  const { fake, client } = await harness(t);
  await client({ apiKey: "plk_test" }).post(KEYS, { body, idempotencyKey: "import-7" });
  assert.equal(fake.requests(KEYS)[0]?.headers["idempotency-key"], "import-7");
});

test("PATCH and DELETE carry a key, GET and PUT do not, and a PUT without one is not repeated", async (t) => {
  const { fake, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test" });
  await plinth.patch("/api/v1/users/{id}", { params: { id: "usr_1" }, body: { name: "Ada" } });
  await assert.rejects(plinth.delete("/api/v1/users/{id}", { params: { id: "usr_1" } }), { status: 404 });
  await plinth.get("/api/v1/users/{id}", { params: { id: "usr_1" } });
  const sent = fake.requests("/api/v1/users/usr_1").map((seen) => [seen.method, seen.headers["idempotency-key"] !== undefined]);
  assert.deepEqual(sent, [["PATCH", true], ["DELETE", true], ["GET", false]]);
  fake.once("/api/v1/settings", unavailable);
  await assert.rejects(plinth.put("/api/v1/settings", { body: {} }), { status: 503 });
  fake.once("/api/v1/settings", unavailable);
  fake.once("/api/v1/settings", (_, response) => json(response, 200, {}));
  await plinth.put("/api/v1/settings", { body: {}, idempotencyKey: "k" });
  assert.equal(fake.requests("/api/v1/settings").length, 3);
});

test("Retry-After in seconds is waited for, never less, with some spread", async (t) => {
  const { fake, clock, client } = await harness(t);
  fake.once(USERS, (_, response) => problem(response, 429, "rate_limited", {}, { "retry-after": "7" }));
  await client({ apiKey: "plk_test" }).get(USERS);
  assert.deepEqual(clock.delays, [7_000 + 125]);
});

test("Retry-After as a date is waited for", async (t) => {
  const { fake, clock, client } = await harness(t);
  const date = new Date(clock.now() + 20_000).toUTCString();
  fake.once(USERS, (_, response) => problem(response, 503, "unavailable", {}, { "retry-after": date }));
  await client({ apiKey: "plk_test" }).get(USERS);
  assert.deepEqual(clock.delays, [20_000 + 125]);
});

test("a quota that resets in hours is told to the caller instead of waited for", async (t) => {
  const { fake, clock, client } = await harness(t);
  fake.once(USERS, (_, response) => problem(response, 429, "quota_exceeded", {}, { "retry-after": "7200" }));
  await assert.rejects(client({ apiKey: "plk_test" }).get(USERS), { code: "quota_exceeded", retryAfterMs: 7_200_000 });
  assert.deepEqual(clock.delays, []);
});

test("waits double up to their bound, spread by full jitter, and attempts end", async (t) => {
  const { fake, clock, client } = await harness(t);
  clock.chance = 0.999;
  for (let index = 0; index < 6; index++) fake.once(USERS, cut);
  const retry = { attempts: 6, baseMs: 100, capMs: 450 };
  await assert.rejects(client({ apiKey: "plk_test", retry }).get(USERS), { code: "network_error", status: 0 });
  assert.deepEqual(clock.delays.map(Math.round), [100, 200, 400, 450, 450]);
  clock.delays.length = 0;
  clock.chance = 0;
  fake.once(USERS, cut);
  await client({ apiKey: "plk_test", retry }).get(USERS);
  assert.deepEqual(clock.delays, [0]);
});

test("what a repetition cannot mend is not repeated", async (t) => {
  const { fake, clock, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test" });
  for (const status of [400, 403, 404, 409, 412, 422, 500]) {
    fake.once(USERS, (_, response) => problem(response, status, "no"));
    await assert.rejects(plinth.get(USERS), { status });
  }
  assert.equal(fake.requests(USERS).length, 7);
  assert.deepEqual(clock.delays, []);
});

test("retry: false makes one attempt", async (t) => {
  const { fake, client } = await harness(t);
  fake.once(USERS, unavailable);
  await assert.rejects(client({ apiKey: "plk_test" }).get(USERS, { retry: false }), { status: 503 });
  assert.equal(fake.requests(USERS).length, 1);
});

test("an answer that breaks in the middle is a network failure and read again", async (t) => {
  const { fake, client } = await harness(t);
  fake.once(USERS, (_, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "500" });
    response.write('{"data":[');
    setImmediate(() => response.destroy());
  });
  const reply = await client({ apiKey: "plk_test" }).get(USERS);
  assert.equal(reply.data.data.length, 3);
});

test("a body that can be read once is not sent again with another token either", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  fake.tokens.expireAll();
  const body = new Blob(["abc"]).stream();
  await assert.rejects(plinth.fetchRaw("POST", "/api/v1/blob", { body }), { code: "token_expired" });
  assert.equal(fake.requests("/api/v1/blob").length, 1);
});

test("a body that can be read once is sent once", async (t) => {
  const { fake, client } = await harness(t);
  fake.once("/api/v1/blob", unavailable);
  const stream = new Blob(["abc"]).stream();
  await assert.rejects(client({ apiKey: "plk_test" }).fetchRaw("POST", "/api/v1/blob", { body: stream }), { status: 503 });
  assert.equal(fake.requests("/api/v1/blob").length, 1);
  assert.equal(fake.requests("/api/v1/blob")[0]?.body.toString(), "abc");
});
