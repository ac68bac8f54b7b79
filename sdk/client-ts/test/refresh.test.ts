import assert from "node:assert/strict";
import { test } from "node:test";
import { cookieStore, localStorageStore, memoryStore, PlinthError, type SignedOut, type TokenSet, type TokenStore } from "@plinth/client";
import { json, problem } from "./support/fake-plinth.js";
import { CREDENTIALS, gate, harness } from "./support/harness.js";

const REFRESH = "/api/v1/auth/refresh";
const ME = "/api/v1/me";

test("sign-in keeps the tokens and calls carry them", async (t) => {
  const { fake, store, client } = await harness(t);
  const plinth = client();
  assert.equal(await plinth.auth.isSignedIn(), false);
  const signedIn = await plinth.auth.login(CREDENTIALS);
  assert.equal(signedIn.user.id, "usr_1");
  assert.equal((await store.get())?.accessToken, "access-1");
  assert.deepEqual((await plinth.auth.me()).roles, ["owner"]);
  assert.equal(fake.requests(ME)[0]?.headers.authorization, "Bearer access-1");
  assert.equal(fake.requests("/api/v1/auth/login")[0]?.headers.authorization, undefined);
});

test("many requests that are refused at expiry cause exactly one refresh", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  fake.tokens.expireAll();
  const allRefused = gate();
  fake.beforeRefresh = () => allRefused.opened;
  const calls = Array.from({ length: 10 }, () => plinth.auth.me());
  while (fake.requests(ME).length < 10) await new Promise((resolve) => setImmediate(resolve));
  allRefused.open();
  assert.equal((await Promise.all(calls)).length, 10);
  assert.equal(fake.requests(REFRESH).length, 1);
  assert.equal(fake.requests(ME).length, 20);
});

test("two clients over one store share the refresh", async (t) => {
  const { fake, signedIn, client } = await harness(t);
  const first = await signedIn();
  const second = client();
  fake.tokens.expireAll();
  await Promise.all([first.auth.me(), second.auth.me()]);
  assert.equal(fake.requests(REFRESH).length, 1);
});

test("a token that is about to expire is renewed before the call, once for all calls", async (t) => {
  const { fake, clock, signedIn } = await harness(t);
  const plinth = await signedIn();
  clock.advance(569_000);
  await plinth.auth.me();
  assert.equal(fake.requests(REFRESH).length, 0);
  clock.advance(2_000);
  await Promise.all([plinth.auth.me(), plinth.auth.me(), plinth.auth.me()]);
  assert.equal(fake.requests(REFRESH).length, 1);
  assert.ok(fake.requests(ME).slice(1).every((seen) => seen.headers.authorization === "Bearer access-2"));
});

test("a token with a short life is still used for half of it", async (t) => {
  const { fake, clock, signedIn } = await harness(t);
  fake.tokens.expiresIn = 20;
  const plinth = await signedIn();
  clock.advance(9_000);
  await plinth.auth.me();
  assert.equal(fake.requests(REFRESH).length, 0);
  clock.advance(1_000);
  await plinth.auth.me();
  assert.equal(fake.requests(REFRESH).length, 1);
});

test("a lost answer to a refresh is repeated under the same key and signs nobody out", async (t) => {
  const { fake, signedIn } = await harness(t);
  const ended: SignedOut[] = [];
  const plinth = await signedIn({ onSignedOut: (event) => ended.push(event) });
  fake.tokens.expireAll();
  fake.once(REFRESH, (seen, response) => {
    const { refresh_token } = JSON.parse(seen.body.toString()) as { refresh_token: string };
    fake.tokens.refresh(refresh_token, String(seen.headers["idempotency-key"]));
    response.destroy();
  });
  await plinth.auth.me();
  const keys = fake.requests(REFRESH).map((seen) => seen.headers["idempotency-key"]);
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
  assert.ok(keys[0]);
  assert.deepEqual(ended, []);
});

test("the key of a refresh outlives the process that began it", async (t) => {
  const { fake, store, signedIn, client } = await harness(t);
  const plinth = await signedIn({ retry: false });
  fake.tokens.expireAll();
  fake.once(REFRESH, (seen, response) => {
    const { refresh_token } = JSON.parse(seen.body.toString()) as { refresh_token: string };
    fake.tokens.refresh(refresh_token, String(seen.headers["idempotency-key"]));
    response.destroy();
  });
  await assert.rejects(plinth.auth.me(), { code: "network_error" });
  const kept = JSON.parse(JSON.stringify(await store.get())) as TokenSet;
  const reloaded = client({ tokenStore: memoryStore(kept) });
  await reloaded.auth.me();
  const keys = fake.requests(REFRESH).map((seen) => seen.headers["idempotency-key"]);
  assert.equal(keys[0], keys[1]);
});

test("two tabs without locks use the same key, so both get the same tokens", async (t) => {
  const { fake, store, signedIn, client } = await harness(t);
  const first = await signedIn();
  const second = client({ tokenStore: { get: () => store.get(), set: (tokens) => store.set(tokens) } });
  fake.tokens.expireAll();
  const bothAsked = gate();
  fake.beforeRefresh = () => {
    if (fake.requests(REFRESH).length === 2) bothAsked.open();
    return bothAsked.opened;
  };
  await Promise.all([first.auth.me(), second.auth.me()]);
  const keys = fake.requests(REFRESH).map((seen) => seen.headers["idempotency-key"]);
  assert.deepEqual(keys, [keys[0], keys[0]]);
  assert.equal((await store.get())?.accessToken, "access-2");
});

test("a refused refresh signs out once, tells why and stops asking", async (t) => {
  const { fake, store, signedIn } = await harness(t);
  const ended: SignedOut[] = [];
  const plinth = await signedIn({ onSignedOut: (event) => ended.push(event) });
  fake.tokens.expireAll();
  fake.once(REFRESH, (_, response) => problem(response, 401, "token_reused"));
  const results = await Promise.allSettled([plinth.auth.me(), plinth.auth.me()]);
  assert.ok(results.every((result) => result.status === "rejected" && result.reason.code === "token_reused"));
  assert.equal(await store.get(), null);
  assert.deepEqual(ended.map((event) => [event.reason, event.error?.code]), [["refused", "token_reused"]]);
  await assert.rejects(plinth.auth.me(), { code: "authentication_needed" });
  assert.equal(fake.requests(REFRESH).length, 1);
});

test("a failing network at the refresh keeps the session, and a token that still works is used", async (t) => {
  const { fake, clock, store, signedIn } = await harness(t);
  const plinth = await signedIn({ retry: false });
  clock.advance(580_000);
  fake.once(REFRESH, (_, response) => void response.destroy());
  await plinth.auth.me();
  assert.equal(fake.requests(ME)[0]?.headers.authorization, "Bearer access-1");
  clock.advance(60_000);
  fake.once(REFRESH, (_, response) => problem(response, 503, "unavailable"));
  await assert.rejects(plinth.auth.me(), { status: 503 });
  assert.notEqual(await store.get(), null);
  await plinth.auth.me();
});

test("what a refresh brings is discarded when the person signed out meanwhile", async (t) => {
  const { fake, store, signedIn } = await harness(t);
  const plinth = await signedIn();
  const asked = gate();
  const answer = gate();
  fake.once(REFRESH, async (_, response) => {
    const pair = fake.tokens.issue();
    asked.open();
    await answer.opened;
    json(response, 200, pair);
  });
  const refreshed = plinth.auth.refresh();
  await asked.opened;
  await plinth.auth.logout();
  answer.open();
  assert.equal(await refreshed, false);
  assert.equal(await store.get(), null);
  assert.equal(fake.requests(REFRESH).length, 1);
});

test("a refresh token alone is enough to begin with, and tokens of another call can be taken", async (t) => {
  const { fake, client } = await harness(t);
  const { refresh_token } = fake.tokens.issue();
  const plinth = client({ tokenStore: memoryStore({ accessToken: null, refreshToken: refresh_token, expiresAt: 0 }) });
  assert.deepEqual((await plinth.auth.me()).roles, ["owner"]);
  assert.deepEqual(fake.seen.map((seen) => seen.path), [REFRESH, ME]);
  await plinth.auth.adopt(fake.tokens.issue());
  await plinth.auth.me();
  assert.equal(fake.seen.at(-1)?.headers.authorization, "Bearer access-3");
  await assert.rejects(plinth.auth.adopt({} as never), { code: "invalid_response" });
});

test("a platform that refuses every token is asked twice and no more", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  fake.always(ME, (_, response) => problem(response, 401, "token_expired"));
  await assert.rejects(plinth.auth.me(), { code: "token_expired" });
  assert.equal(fake.requests(ME).length, 2);
  assert.equal(fake.requests(REFRESH).length, 1);
});

test("a session that the platform has revoked is noticed at the next call, and told once", async (t) => {
  const { fake, store, signedIn } = await harness(t);
  const ended: SignedOut[] = [];
  const plinth = await signedIn({ onSignedOut: (event) => ended.push(event) });
  fake.tokens.revoke();
  await assert.rejects(plinth.auth.me(), { code: "token_revoked" });
  await plinth.auth.logout().catch(() => undefined);
  assert.deepEqual(ended.map((event) => [event.reason, event.error?.code]), [["refused", "token_revoked"]]);
  assert.equal(await store.get(), null);
});

test("with a cookie, a key that another tab has changed meanwhile does not cost a second refresh", async (t) => {
  const { fake, client } = await harness(t);
  let held: TokenSet | null = { accessToken: null, expiresAt: 0 };
  let sharedKey = "key-1";
  const store: TokenStore = {
    cookies: true,
    get: () => held && { ...held, refreshKey: sharedKey },
    set: (tokens) => {
      held = tokens;
    },
  };
  fake.once(REFRESH, (_, response) => {
    sharedKey = "key-2";
    json(response, 200, fake.tokens.issue());
  });
  assert.deepEqual((await client({ tokenStore: store }).auth.me()).roles, ["owner"]);
  assert.equal(fake.requests(REFRESH).length, 1);
});

test("a store that reports our own changes too tells a sign-out once", async (t) => {
  const { client } = await harness(t);
  const listeners = new Set<() => void>();
  const inner = memoryStore();
  const store: TokenStore = {
    get: () => inner.get(),
    set: async (tokens) => {
      await inner.set(tokens);
      for (const listener of listeners) listener();
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const ended: string[] = [];
  const plinth = client({ tokenStore: store, onSignedOut: (event) => ended.push(event.reason) });
  await plinth.auth.login(CREDENTIALS);
  await plinth.auth.logout();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(ended, ["logout"]);
});

test("a store that cannot be read fails the call and not the process", async (t) => {
  const { client } = await harness(t);
  const broken: TokenStore = {
    get: () => Promise.reject(new Error("the keychain is locked")),
    set: () => undefined,
    subscribe: () => () => undefined,
  };
  await assert.rejects(client({ tokenStore: broken }).auth.me(), /keychain is locked/);
});

test("a caller who gives up does not stop the refresh for the others", async (t) => {
  const { fake, signedIn } = await harness(t);
  const plinth = await signedIn();
  fake.tokens.expireAll();
  const asked = gate();
  const answer = gate();
  fake.beforeRefresh = async () => {
    asked.open();
    await answer.opened;
  };
  const controller = new AbortController();
  const impatient = plinth.auth.me({ signal: controller.signal });
  const patient = plinth.auth.me();
  await asked.opened;
  controller.abort(new Error("enough"));
  await assert.rejects(impatient, { message: "enough" });
  answer.open();
  assert.deepEqual((await patient).roles, ["owner"]);
  assert.equal(fake.requests(REFRESH).length, 1);
});

test("logout ends the session here even when the platform cannot be told", async (t) => {
  const { fake, store, signedIn } = await harness(t);
  const ended: string[] = [];
  const plinth = await signedIn({ onSignedOut: (event) => ended.push(event.reason), retry: false });
  fake.once("/api/v1/auth/logout", (_, response) => void response.destroy());
  await assert.rejects(plinth.auth.logout(), { code: "network_error" });
  assert.equal(await store.get(), null);
  assert.deepEqual(ended, ["logout"]);
});

test("a change in another tab: a sign-out is told, and the wait before a retry ends", async (t) => {
  const { fake, clock, client } = await harness(t);
  const listeners = new Set<() => void>();
  const inner = memoryStore();
  const store: TokenStore = {
    get: () => inner.get(),
    set: (tokens) => inner.set(tokens),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const changeElsewhere = async (tokens: TokenSet | null) => {
    await inner.set(tokens);
    for (const listener of [...listeners]) listener();
  };
  const ended: string[] = [];
  const plinth = client({ tokenStore: store, onSignedOut: (event) => ended.push(event.reason) });
  await plinth.auth.login(CREDENTIALS);
  fake.tokens.expireAll();
  clock.frozen = true;
  fake.once(REFRESH, (_, response) => problem(response, 503, "unavailable"));
  const call = plinth.auth.me();
  await clock.until(() => clock.delays.length === 1);
  const other = fake.tokens.issue();
  await changeElsewhere({ accessToken: other.access_token, refreshToken: other.refresh_token, expiresAt: clock.now() + 600_000 });
  assert.deepEqual((await call).roles, ["owner"]);
  assert.equal(fake.requests(REFRESH).length, 1);
  assert.deepEqual(ended, []);
  await changeElsewhere(null);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(ended, ["elsewhere"]);
  plinth.close();
  assert.equal(listeners.size, 0);
});

test("a store that never returns what was stored is reported instead of asked forever", async (t) => {
  const { fake, clock, client } = await harness(t);
  const pair = fake.tokens.issue();
  let reads = 0;
  const forgetful: TokenStore = {
    get: () => ({ accessToken: "old", refreshToken: `${pair.refresh_token}-${(reads += 1)}`, expiresAt: clock.now(), refreshKey: "k" }),
    set: () => undefined,
  };
  await assert.rejects(client({ tokenStore: forgetful }).auth.me(), /token store changes faster/);
});

test("signing in with a client that was given a key is a mistake that says so", async (t) => {
  const { client } = await harness(t);
  await assert.rejects(client({ apiKey: "plk_test" }).auth.login(CREDENTIALS), /tokenStore/);
  assert.throws(() => client({ apiKey: "plk_test", token: "x" }), TypeError);
  assert.throws(() => cookieStore(), /needs a browser/);
  assert.throws(() => localStorageStore(), /needs a browser/);
});

test("a token function is asked again when its token has expired", async (t) => {
  const { fake, client } = await harness(t);
  const tokens = [fake.tokens.issue().access_token];
  const plinth = client({ token: () => tokens.at(-1) ?? "" });
  fake.tokens.expireAll();
  await assert.rejects(plinth.auth.me(), (error) => error instanceof PlinthError && error.code === "token_expired");
  fake.once(ME, (_, response) => {
    tokens.push(fake.tokens.issue().access_token);
    problem(response, 401, "token_expired");
  });
  assert.deepEqual((await plinth.auth.me()).roles, ["owner"]);
});
