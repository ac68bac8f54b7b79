import assert from "node:assert/strict";
import { test } from "node:test";
import { json } from "./support/fake-plinth.js";
import { harness } from "./support/harness.js";

const USERS = "/api/v1/users";

test("items come across cursors, each once and in order, and pages are loaded when they are needed", async (t) => {
  const { fake, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test" });
  const ids: string[] = [];
  for await (const user of plinth.paginate(USERS, { query: { limit: 3, q: "person" } })) {
    ids.push(user.id);
    if (ids.length === 3) assert.equal(fake.requests(USERS).length, 1);
  }
  assert.deepEqual(ids, fake.users.map((user) => user.id));
  const queries = fake.requests(USERS).map((seen) => seen.url.search);
  assert.deepEqual(queries, ["?limit=3&q=person", "?limit=3&q=person&after=3", "?limit=3&q=person&after=6"]);
});

test("leaving the loop loads nothing more", async (t) => {
  const { fake, client } = await harness(t);
  for await (const user of client({ apiKey: "plk_test" }).paginate(USERS)) {
    if (user.id === "usr_2") break;
  }
  assert.equal(fake.requests(USERS).length, 1);
});

test("from the end the list is read back, last first", async (t) => {
  const { fake, client } = await harness(t);
  const ids: string[] = [];
  for await (const user of client({ apiKey: "plk_test" }).paginate(USERS, { query: { anchor: "last" } })) ids.push(user.id);
  assert.deepEqual(ids, fake.users.map((user) => user.id).reverse());
  assert.deepEqual(fake.requests(USERS).map((seen) => seen.url.search), ["?anchor=last", "?before=4", "?before=1"]);
});

test("pages() yields the envelopes", async (t) => {
  const { client } = await harness(t);
  const sizes: number[] = [];
  for await (const page of client({ apiKey: "plk_test" }).paginate(USERS).pages()) sizes.push(page.data.length);
  assert.deepEqual(sizes, [3, 3, 1]);
});

test("a list that promises more and leads nowhere ends with an error instead of never", async (t) => {
  const { fake, client } = await harness(t);
  const stuck = { data: [], has_more: true, next: "same", prev: null };
  fake.once(USERS, (_, response) => json(response, 200, stuck));
  fake.once(USERS, (_, response) => json(response, 200, stuck));
  const read = async () => {
    for await (const _ of client({ apiKey: "plk_test" }).paginate(USERS)) assert.fail("there is no item");
  };
  await assert.rejects(read(), { code: "invalid_response" });
});

test("an abort ends the iteration with its reason", async (t) => {
  const { client } = await harness(t);
  const controller = new AbortController();
  const seen: string[] = [];
  const read = async () => {
    for await (const user of client({ apiKey: "plk_test" }).paginate(USERS, { signal: controller.signal })) {
      seen.push(user.id);
      controller.abort(new Error("enough"));
    }
  };
  await assert.rejects(read(), { message: "enough" });
  assert.equal(seen.length, 3);
});
