import assert from "node:assert/strict";
import { test } from "node:test";
import { json } from "./support/fake-plinth.js";
import { harness } from "./support/harness.js";

const KEYS = "/api/v1/api-keys";
const USERS = "/api/v1/users";
const body = { name: "ci", scopes: ["*"] };

test("a consistent read asks for the position of the last write", async (t) => {
  const { fake, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test" });
  await plinth.get(USERS, { consistent: true });
  const { position } = await plinth.post(KEYS, { body });
  await plinth.get(USERS);
  await plinth.get(USERS, { consistent: true });
  await plinth.get(USERS, { consistent: "99" });
  assert.equal(position, "41");
  assert.equal(plinth.position, "41");
  const asked = fake.requests(USERS).map((seen) => seen.headers["plinth-min-position"]);
  assert.deepEqual(asked, [undefined, undefined, "41", "99"]);
});

test("consistent can be the rule of a client, and a call can opt out", async (t) => {
  const { fake, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test", consistent: true });
  await plinth.post(KEYS, { body });
  await plinth.get(USERS);
  await plinth.get(USERS, { consistent: false });
  assert.deepEqual(fake.requests(USERS).map((seen) => seen.headers["plinth-min-position"]), ["41", undefined]);
  assert.equal(fake.requests(KEYS)[0]?.headers["plinth-min-position"], undefined);
});

test("an answer that arrives late does not turn the position back", async (t) => {
  const { fake, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test" });
  for (const position of ["9", "100", "20"]) {
    fake.once(KEYS, (_, response) => json(response, 201, {}, { "plinth-position": position }));
    await plinth.post(KEYS, { body });
  }
  assert.equal(plinth.position, "100");
});

test("signing out forgets the position", async (t) => {
  const { signedIn } = await harness(t);
  const plinth = await signedIn();
  await plinth.post(KEYS, { body });
  await plinth.auth.logout();
  assert.equal(plinth.position, undefined);
});

test("ifMatch takes a reply or an ETag, and a stale version is refused", async (t) => {
  const { client } = await harness(t);
  const plinth = client({ apiKey: "plk_test" });
  const params = { id: "usr_1" };
  const read = await plinth.get("/api/v1/users/{id}", { params });
  assert.equal(read.etag, '"1"');
  const changed = await plinth.patch("/api/v1/users/{id}", { params, body: { name: "Ada" }, ifMatch: read });
  assert.equal(changed.data.name, "Ada");
  await assert.rejects(plinth.patch("/api/v1/users/{id}", { params, body: {}, ifMatch: read }), { status: 412 });
  await plinth.patch("/api/v1/users/{id}", { params, body: {}, ifMatch: '"2"' });
  assert.throws(() => plinth.patch("/api/v1/users/{id}", { params, body: {}, ifMatch: { etag: null } }), TypeError);
});

test("absent, null and value of a merge patch arrive as three things", async (t) => {
  const { fake, client } = await harness(t);
  const params = { id: "usr_1" };
  await client({ apiKey: "plk_test" }).patch("/api/v1/users/{id}", { params, body: { locale: null } });
  assert.equal(fake.seen[0]?.body.toString(), '{"locale":null}');
});

test("the tenant that an operator acts in is sent, and a call can name another", async (t) => {
  const { fake, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test", tenant: "ten_1", headers: { "x-app": "console" } });
  await plinth.get(USERS);
  await plinth.get(USERS, { tenant: "ten_2", headers: { "x-app": "other" } });
  assert.deepEqual(fake.requests(USERS).map((seen) => seen.headers["plinth-tenant"]), ["ten_1", "ten_2"]);
  assert.deepEqual(fake.requests(USERS).map((seen) => seen.headers["x-app"]), ["console", "other"]);
});
