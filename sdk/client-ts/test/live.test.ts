/** The same client against a real kernel (`plinth serve --dev`); whoever starts it says where in PLINTH_URL. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, memoryStore, PlinthError } from "@plinth/client";

const baseUrl = process.env["PLINTH_URL"] ?? "";
const skip = baseUrl === "" ? "not run: PLINTH_URL names no running kernel (plinth serve --dev)" : false;

interface OutboxMail {
  readonly to: string;
  readonly token: string | null;
  readonly purpose: string;
}

test("register, login, me, refresh, API key, list, sign out", { skip }, async () => {
  const unique = `ts${Date.now().toString(36)}${Math.floor(Math.random() * 1e6).toString(36)}`;
  const email = `${unique}@example.com`;
  const password = `correct horse ${unique}`;
  const tenant = { name: "TypeScript", slug: unique };
  const store = memoryStore();
  const ended: string[] = [];
  const plinth = createClient({ baseUrl, tokenStore: store, onSignedOut: (event) => ended.push(event.reason) });

  const registered = await plinth.auth.register({ email, password, name: "Ada", tenant });
  assert.equal(registered.user.email, email);
  const outbox = await plinth.fetchRaw("GET", "/api/v1/dev/outbox");
  const mails = ((await outbox.json()) as { data: OutboxMail[] }).data;
  const mail = mails.find((candidate) => candidate.to === email && candidate.token !== null);
  assert.ok(mail?.token, "the mail that verifies the address is in the outbox");
  await plinth.auth.verifyEmail(mail.token);

  await assert.rejects(plinth.auth.login({ email, password: "wrong" }), (error) => {
    return error instanceof PlinthError && error.status === 401 && error.code === "invalid_credentials" && Boolean(error.requestId);
  });
  await plinth.auth.login({ email, password });
  const me = await plinth.auth.me();
  assert.equal(me.user?.email, email);
  assert.equal(me.user?.email_verified, true);
  assert.equal(me.tenant?.slug, unique);

  const before = await store.get();
  assert.equal(await plinth.auth.refresh(), true);
  const renewed = await store.get();
  assert.notEqual(renewed?.refreshToken, before?.refreshToken);

  const created = await plinth.post("/api/v1/api-keys", { body: { name: "ci", scopes: ["*"] }, idempotencyKey: unique });
  const repeated = await plinth.post("/api/v1/api-keys", { body: { name: "ci", scopes: ["*"] }, idempotencyKey: unique });
  assert.equal(repeated.data.key, created.data.key, "the repetition under the same key is answered from the first");
  const machine = createClient({ baseUrl, apiKey: created.data.key });
  const names: string[] = [];
  for await (const key of machine.paginate("/api/v1/api-keys", { query: { limit: 1 } })) names.push(key.name);
  assert.deepEqual(names, ["ci"]);

  const old = createClient({ baseUrl, tokenStore: memoryStore(before && { ...before, refreshAt: 0, refreshKey: "another" }) });
  await assert.rejects(old.auth.refresh(), { code: "token_reused" });
  await plinth.auth.logout();
  assert.deepEqual(ended, ["logout"]);
  await assert.rejects(plinth.auth.me(), { status: 401 });
});

test("an API key that demands signatures", { skip }, async () => {
  const unique = `tss${Date.now().toString(36)}${Math.floor(Math.random() * 1e6).toString(36)}`;
  const tenant = { name: "Signed", slug: unique };
  const plinth = createClient({ baseUrl });
  await plinth.auth.register({ email: `${unique}@example.com`, password: `correct horse ${unique}`, name: "Ada", tenant });
  const created = await plinth.post("/api/v1/api-keys", { body: { name: "signed", scopes: ["*"], signed_requests: true } });
  const { key, signing_secret } = created.data;
  assert.ok(signing_secret);
  const signed = createClient({ baseUrl, apiKey: key, signingSecret: signing_secret });
  assert.equal((await signed.get("/api/v1/users", { query: { limit: 1 } })).status, 200);
  await assert.rejects(createClient({ baseUrl, apiKey: key }).get("/api/v1/users"), { status: 401 });
  await assert.rejects(createClient({ baseUrl, apiKey: key, signingSecret: "wrong" }).get("/api/v1/users"), { status: 401 });
});
