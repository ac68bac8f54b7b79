import assert from "node:assert/strict";
import { test } from "node:test";
import { PlinthError } from "@plinth/client";
import { json, problem } from "./support/fake-plinth.js";
import { CREDENTIALS, gate, harness } from "./support/harness.js";

const USERS = "/api/v1/users";

async function failure(call: Promise<unknown>): Promise<PlinthError> {
  const error = await call.then(() => undefined, (thrown: unknown) => thrown);
  assert.ok(error instanceof PlinthError, `a PlinthError was expected, not ${String(error)}`);
  return error;
}

test("a problem document becomes a typed error with its fields", async (t) => {
  const { fake, client } = await harness(t);
  const refused = { pointer: "/tenant/slug", code: "taken", message: "is taken, choose another" };
  fake.once(USERS, (_, response) => problem(response, 422, "invalid_fields", { detail: "one field was refused", errors: [refused] }));
  const error = await failure(client({ apiKey: "plk_test" }).get(USERS));
  assert.equal(error.status, 422);
  assert.equal(error.code, "invalid_fields");
  assert.equal(error.requestId, "req_1");
  assert.equal(error.type, "/docs/errors#invalid_fields");
  assert.deepEqual(error.errors, [refused]);
  assert.equal(error.field("/tenant/slug")?.code, "taken");
  assert.equal(error.field("/name"), undefined);
  assert.equal(error.message, "one field was refused (invalid_fields; /tenant/slug: is taken, choose another)");
  assert.deepEqual([error.method, error.path], ["GET", USERS]);
});

test("a wrong password is the platform's code and leaves nothing in the store", async (t) => {
  const { store, client } = await harness(t);
  const error = await failure(client().auth.login({ ...CREDENTIALS, password: "wrong" }));
  assert.equal(error.code, "invalid_credentials");
  assert.equal(await store.get(), null);
});

test("a proxy's page is an error with its status and a piece of the page", async (t) => {
  const { fake, client } = await harness(t);
  fake.once(USERS, (_, response) => {
    response.writeHead(502, { "content-type": "text/html", "request-id": "edge-9" });
    response.end(`<h1>Bad gateway</h1>${"x".repeat(1000)}`);
  });
  const error = await failure(client({ apiKey: "plk_test" }).get(USERS));
  assert.equal(error.code, "http_502");
  assert.equal(error.requestId, "edge-9");
  assert.match(error.detail ?? "", /^<h1>Bad gateway/);
  assert.equal(error.detail?.length, 300);
});

test("JSON that is none and a sign-in without tokens are told as such", async (t) => {
  const { fake, client } = await harness(t);
  fake.once(USERS, (_, response) => {
    response.writeHead(200, { "content-type": "application/json" }).end("{oops");
  });
  assert.equal((await failure(client({ apiKey: "plk_test" }).get(USERS))).code, "invalid_response");
  fake.once("/api/v1/auth/login", (_, response) => json(response, 200, { user: {} }));
  assert.equal((await failure(client().auth.login(CREDENTIALS))).code, "invalid_response");
});

test("an abort before, during and between attempts throws the caller's reason", async (t) => {
  const { fake, clock, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test" });
  const reason = new Error("the user left");
  await assert.rejects(plinth.get(USERS, { signal: AbortSignal.abort(reason) }), reason);
  assert.equal(fake.seen.length, 0);

  const during = new AbortController();
  const hungUp = gate();
  fake.once(USERS, (_, response) => {
    response.once("close", hungUp.open);
    during.abort(reason);
  });
  await assert.rejects(plinth.get(USERS, { signal: during.signal }), reason);
  await hungUp.opened;

  const between = new AbortController();
  clock.frozen = true;
  fake.once(USERS, (_, response) => problem(response, 503, "unavailable"));
  const call = plinth.get(USERS, { signal: between.signal });
  await clock.until(() => clock.delays.length === 1);
  between.abort(reason);
  await assert.rejects(call, reason);
  assert.equal(fake.requests(USERS).length, 2);
});

test("the time limit ends an attempt, covers the body, and is lifted when the call is over", async (t) => {
  const { fake, clock, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test", timeoutMs: 5_000 });
  fake.once(USERS, (_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write("{");
    clock.advance(5_000);
  });
  const error = await failure(plinth.get(USERS, { retry: false }));
  assert.equal(error.code, "timeout");
  assert.match(error.message, /5000 ms/);
  assert.equal(clock.openLimits, 0);
  fake.once(USERS, () => clock.advance(200));
  await plinth.get(USERS, { timeoutMs: 200 });
  assert.equal(fake.requests(USERS).length, 3);
  assert.equal(clock.openLimits, 0);
});

test("a parameter cannot change the route", async (t) => {
  const { fake, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test" });
  for (const id of ["..", ".", ""]) {
    assert.throws(() => plinth.get("/api/v1/users/{id}", { params: { id } }), TypeError);
  }
  await assert.rejects(plinth.get("/api/v1/users/{id}", { params: { id: "../me?x=1#y" } }), { status: 404 });
  assert.equal(fake.seen[0]?.path, "/api/v1/users/..%2Fme%3Fx%3D1%23y");
  assert.throws(() => plinth.fetchRaw("GET", "//evil.example/x"), TypeError);
  assert.throws(() => plinth.fetchRaw("GET", "https://evil.example/x"), TypeError);
});

test("queries: lists with commas, dates as RFC 3339, nothing for what is absent", async (t) => {
  const { fake, client } = await harness(t);
  const query = { ids: ["usr_1", "usr_2"], since: new Date(0), q: "a&b", status: undefined, none: null, limit: 5 };
  await client({ apiKey: "plk_test" }).fetchRaw("GET", USERS, { query });
  assert.equal(fake.seen[0]?.url.search, "?ids=usr_1%2Cusr_2&since=1970-01-01T00%3A00%3A00.000Z&q=a%26b&limit=5");
});

test("a base URL with a path keeps it, and one that is none is refused at once", async (t) => {
  const { fake, client } = await harness(t);
  fake.once("/edge/api/v1/users", (_, response) => json(response, 200, { data: [] }));
  await client({ apiKey: "plk_test", baseUrl: `${fake.url}/edge/` }).get(USERS);
  for (const baseUrl of ["nonsense", "ftp://x", "https://x/?a=1"]) assert.throws(() => client({ baseUrl }), TypeError);
});

test("answers that are no JSON: nothing, text, bytes and the raw response", async (t) => {
  const { fake, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test" });
  fake.once("/api/v1/users/usr_2", (_, response) => json(response, 204));
  assert.equal((await plinth.delete("/api/v1/users/{id}", { params: { id: "usr_2" } })).data, undefined);
  const pdf = "/api/v1/invoices/inv_1/pdf";
  const sendPdf = () =>
    fake.once(pdf, (_, response) => void response.writeHead(200, { "content-type": "application/pdf" }).end("%PDF"));
  sendPdf();
  const reply = await plinth.get("/api/v1/invoices/{id}/pdf", { params: { id: "inv_1" } });
  assert.equal(await reply.data.text(), "%PDF");
  sendPdf();
  const raw = await plinth.fetchRaw("get", "/api/v1/invoices/{id}/pdf", { params: { id: "inv_1" } });
  assert.equal(await raw.text(), "%PDF");
});

test("a form is sent as multipart", async (t) => {
  const { fake, client } = await harness(t);
  fake.once("/api/v1/files", (_, response) => json(response, 201, { id: "fil_1" }));
  const form = new FormData();
  form.append("content", new Blob(["hello"]), "hello.txt");
  const reply = await client({ apiKey: "plk_test" }).post("/api/v1/files", { body: form });
  assert.equal(reply.data.id, "fil_1");
  assert.match(fake.seen[0]?.headers["content-type"] ?? "", /^multipart\/form-data; boundary=/);
  assert.match(fake.seen[0]?.body.toString() ?? "", /filename="hello.txt"[\s\S]*hello/);
});
