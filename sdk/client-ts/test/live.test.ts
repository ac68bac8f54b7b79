/** The same client against a real kernel (`plinth serve --dev`); whoever starts it says where in PLINTH_URL. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, memoryStore, PlinthError, type Client } from "@plinth/client";
import type { paths } from "./fixtures/schema.js";

const baseUrl = process.env["PLINTH_URL"] ?? "";
const skip = baseUrl === "" ? "not run: PLINTH_URL names no running kernel (plinth serve --dev)" : false;

interface OutboxMail {
  readonly to: string;
  readonly purpose: string;
  readonly token: string | null;
}

interface Person {
  readonly email: string;
  readonly password: string;
  readonly name: string;
  readonly tenant: { readonly name: string; readonly slug: string };
}

/** Nobody else's: the kernel may have seen earlier runs. */
function somebody(): Person {
  const slug = `ts-${Date.now().toString(36)}-${Math.floor(Math.random() * 1e6).toString(36)}`;
  return { email: `${slug}@example.com`, password: `correct horse ${slug}`, name: "Ada", tenant: { name: "TypeScript", slug } };
}

const open = (options: Partial<Parameters<typeof createClient>[0]> = {}) => createClient<paths>({ baseUrl, ...options });

/** The token of the newest mail for a purpose. */
async function mailed(plinth: Client<paths>, person: Person, purpose: string): Promise<string> {
  const outbox = await plinth.fetchRaw("GET", "/api/v1/dev/outbox");
  const { data } = (await outbox.json()) as { data: OutboxMail[] };
  const mail = data.find((candidate) => candidate.to === person.email && candidate.purpose === purpose);
  assert.ok(mail?.token, `the outbox holds a ${purpose} mail to ${person.email}`);
  return mail.token;
}

test("register, login, me, refresh, sign out", { skip }, async () => {
  const person = somebody();
  const { email, password } = person;
  const store = memoryStore();
  const ended: string[] = [];
  const plinth = open({ tokenStore: store, onSignedOut: (event) => ended.push(event.reason) });
  const registered = await plinth.auth.register(person);
  assert.equal(registered.user.email, email);
  await assert.rejects(plinth.auth.login({ email, password: "wrong" }), (error) => {
    return error instanceof PlinthError && error.status === 401 && error.code === "invalid_credentials" && Boolean(error.requestId);
  });
  await plinth.auth.login({ email, password });
  const me = await plinth.auth.me();
  assert.equal(me.user?.email, email);
  assert.equal(me.tenant?.slug, person.tenant.slug);

  const before = await store.get();
  assert.equal(await plinth.auth.refresh(), true);
  const renewed = await store.get();
  assert.notEqual(renewed?.refreshToken, before?.refreshToken);
  const repeated = open({ tokenStore: memoryStore(before) });
  assert.equal(await repeated.auth.refresh(), true, "the same refresh under the same key is no reuse");
  await plinth.auth.me();
  await plinth.auth.logout();
  assert.deepEqual(ended, ["logout"]);
  await assert.rejects(plinth.auth.me(), { status: 401 });
});

test("a refresh token that is used twice ends the session everywhere", { skip }, async () => {
  const store = memoryStore();
  const ended: string[] = [];
  const plinth = open({ tokenStore: store, onSignedOut: (event) => ended.push(event.reason) });
  await plinth.auth.register(somebody());
  const before = await store.get();
  await plinth.auth.refresh();
  const thief = open({ tokenStore: memoryStore(before && { ...before, refreshKey: "another" }) });
  await assert.rejects(thief.auth.refresh(), { code: "token_reused" });
  await assert.rejects(plinth.auth.me(), { status: 401 });
  assert.deepEqual(ended, ["refused"]);
});

test("API key, idempotency, list", { skip }, async () => {
  const plinth = open();
  await plinth.auth.register(somebody());
  const body = { name: "ci", scopes: ["*"] };
  const created = await plinth.post("/api/v1/api-keys", { body, idempotencyKey: "one" });
  const repeated = await plinth.post("/api/v1/api-keys", { body, idempotencyKey: "one" });
  assert.equal(repeated.data.key, created.data.key, "the repetition under the same key is answered from the first");
  await plinth.post("/api/v1/api-keys", { body: { ...body, name: "second" } });
  const machine = open({ apiKey: created.data.key });
  const names: string[] = [];
  for await (const key of machine.paginate("/api/v1/api-keys", { query: { limit: 1 }, consistent: plinth.position ?? true })) {
    names.push(key.name);
  }
  assert.deepEqual(names.sort(), ["ci", "second"]);
});

test("an API key that demands signatures", { skip }, async () => {
  const plinth = open();
  await plinth.auth.register(somebody());
  const created = await plinth.post("/api/v1/api-keys", { body: { name: "signed", scopes: ["*"], signed_requests: true } });
  const { key, signing_secret } = created.data;
  assert.ok(signing_secret);
  const signed = open({ apiKey: key, signingSecret: signing_secret });
  assert.equal((await signed.get("/api/v1/api-keys", { query: { limit: 1 } })).status, 200);
  assert.equal((await signed.post("/api/v1/api-keys", { body: { name: "schlüssel", scopes: ["*"] } })).status, 201);
  await assert.rejects(open({ apiKey: key }).get("/api/v1/api-keys"), { status: 401 });
  await assert.rejects(open({ apiKey: key, signingSecret: "wrong" }).get("/api/v1/api-keys"), { status: 401 });
});

test("what mails are for: verify an address, reset a password, sign in by a link", { skip }, async () => {
  const person = somebody();
  const { email, password } = person;
  const plinth = open();
  await plinth.auth.register(person);
  await plinth.auth.verifyEmail(await mailed(plinth, person, "verify_email"));
  assert.equal((await plinth.auth.me()).user?.email_verified, true);

  await plinth.auth.forgot(email);
  const changed = `${password} again`;
  await plinth.auth.reset({ token: await mailed(plinth, person, "password_reset"), password: changed });
  await assert.rejects(plinth.auth.login({ email, password }), { code: "invalid_credentials" });
  await plinth.auth.login({ email, password: changed });
  await plinth.auth.changePassword({ current_password: changed, new_password: password });

  const other = open();
  await other.auth.magicLink(email);
  await other.auth.redeemMagicLink(await mailed(other, person, "magic_link"));
  assert.equal((await other.auth.me()).user?.email, email);
});
