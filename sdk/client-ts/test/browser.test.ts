/** The core promises once more where they differ: in a real browser, from the built files, across tabs. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import type * as Plinth from "@plinth/client";
import type { paths } from "./fixtures/schema.js";
import { FakePlinth, problem } from "./support/fake-plinth.js";
import { CREDENTIALS, gate } from "./support/harness.js";

const CHROMIUM = process.env["PLINTH_CHROMIUM"] ?? "/usr/bin/chromium";
const ARGS = "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run --disable-sync --disable-quic";
const REFRESH = "/api/v1/auth/refresh";
const ME = "/api/v1/me";
const STORAGE_KEY = "plinth.tokens";

/** What a page gets: the built package and the credentials of the test. */
interface PageScope {
  plinth: typeof Plinth;
  client: Plinth.Client<paths>;
  ended: string[];
}
declare global {
  // eslint-disable-next-line no-var -- a global of the page
  var scope: PageScope;
}

let browser: Browser;

before(async () => {
  assert.ok(
    existsSync(CHROMIUM),
    `there is no Chromium at ${CHROMIUM}: install it (apt-get install chromium) or set PLINTH_CHROMIUM to its path`,
  );
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS.split(" ") });
});
after(async () => browser?.close());

interface Tabs {
  readonly fake: FakePlinth;
  open(store: "localStorage" | "cookie", options?: { locks?: boolean }): Promise<Page>;
}

async function tabs(t: { after(work: () => Promise<unknown>): void }): Promise<Tabs> {
  const fake = await FakePlinth.start();
  const context: BrowserContext = await browser.newContext();
  t.after(async () => {
    await context.close();
    await fake.stop();
  });
  const open: Tabs["open"] = async (store, { locks = true } = {}) => {
    const page = await context.newPage();
    await page.goto(fake.url);
    await page.evaluate(
      async ({ store, locks }) => {
        if (!locks) Object.defineProperty(navigator, "locks", { value: undefined });
        const path = "/dist/index.js";
        const plinth = (await import(path)) as typeof Plinth;
        const tokenStore = store === "cookie" ? plinth.cookieStore() : plinth.localStorageStore();
        const ended: string[] = [];
        const instant = { ...plinth.systemClock, delay: async () => undefined };
        const onSignedOut = (event: Plinth.SignedOut) => void ended.push(event.reason);
        globalThis.scope = { plinth, ended, client: plinth.createClient<paths>({ baseUrl: "/", tokenStore, onSignedOut, clock: instant }) };
      },
      { store, locks },
    );
    return page;
  };
  return { fake, open };
}

const signIn = (page: Page) => page.evaluate((body) => scope.client.auth.login(body).then((answer) => answer.user.id), CREDENTIALS);
const me = (page: Page) => page.evaluate(() => scope.client.auth.me().then((answer) => answer.roles));
const meTimes = (page: Page, times: number) =>
  page.evaluate((times) => Promise.all(Array.from({ length: times }, () => scope.client.auth.me())).then((all) => all.length), times);

/** Holds every refresh until another tab wants one too and waits for its turn. */
function holdRefreshUntilWaiting(fake: FakePlinth, page: Page): void {
  fake.beforeRefresh = async () => {
    await page.waitForFunction(async () => ((await navigator.locks.query()).pending ?? []).length > 0);
  };
}

test("a page signs in and calls, and the session survives a reload", async (t) => {
  const { fake, open } = await tabs(t);
  const page = await open("localStorage");
  assert.equal(await signIn(page), "usr_1");
  assert.deepEqual(await me(page), ["owner"]);
  const again = await open("localStorage");
  assert.deepEqual(await me(again), ["owner"]);
  assert.equal(fake.requests(REFRESH).length, 0);
});

test("two tabs with many refused calls cause exactly one refresh", async (t) => {
  const { fake, open } = await tabs(t);
  const [first, second] = [await open("localStorage"), await open("localStorage")];
  await signIn(first);
  fake.tokens.expireAll();
  holdRefreshUntilWaiting(fake, first);
  assert.deepEqual(await Promise.all([meTimes(first, 5), meTimes(second, 5)]), [5, 5]);
  assert.equal(fake.requests(REFRESH).length, 1);
});

test("two tabs without Web Locks refresh under one key, and nobody is signed out", async (t) => {
  const { fake, open } = await tabs(t);
  const [first, second] = [await open("localStorage", { locks: false }), await open("localStorage", { locks: false })];
  await signIn(first);
  fake.tokens.expireAll();
  const bothAsked = gate();
  fake.beforeRefresh = () => {
    if (fake.requests(REFRESH).length === 2) bothAsked.open();
    return bothAsked.opened;
  };
  assert.deepEqual(await Promise.all([me(first), me(second)]), [["owner"], ["owner"]]);
  const keys = new Set(fake.requests(REFRESH).map((seen) => seen.headers["idempotency-key"]));
  assert.equal(keys.size, 1);
});

test("a sign-out in one tab is told in the other", async (t) => {
  const { open } = await tabs(t);
  const [first, second] = [await open("localStorage"), await open("localStorage")];
  await signIn(first);
  await me(second);
  const told = second.waitForFunction(() => scope.ended.length > 0);
  await first.evaluate(() => scope.client.auth.logout());
  await told;
  assert.deepEqual(await second.evaluate(() => scope.ended), ["elsewhere"]);
  assert.deepEqual(await first.evaluate(() => scope.ended), ["logout"]);
  assert.equal(await first.evaluate((key) => localStorage.getItem(key), STORAGE_KEY), null);
});

test("cookie mode: the refresh token is out of reach, a reload and a second tab go on by the cookie", async (t) => {
  const { fake, open } = await tabs(t);
  const first = await open("cookie");
  await signIn(first);
  const reachable = await first.evaluate(() => JSON.stringify({ ...localStorage }) + document.cookie);
  assert.doesNotMatch(reachable, /refresh-\d|access-\d/);
  const [reloaded, second] = [await open("cookie"), await open("cookie")];
  assert.deepEqual(await Promise.all([me(reloaded), me(second), me(first)]), [["owner"], ["owner"], ["owner"]]);
  assert.equal(fake.requests(REFRESH).length, 2);
  fake.tokens.expireAll();
  assert.deepEqual(await me(second), ["owner"]);
  const refreshes = fake.requests(REFRESH);
  assert.equal(refreshes.length, 3);
  assert.ok(refreshes.every((seen) => seen.body.toString() === "{}" && /plinth_refresh=/.test(seen.headers.cookie ?? "")));
});

test("cookie mode: a lost answer is repeated under the same key even by a reloaded page", async (t) => {
  const { fake, open } = await tabs(t);
  const page = await open("cookie");
  await signIn(page);
  fake.tokens.expireAll();
  const mend = fake.always(REFRESH, (seen, response) => {
    const cookie = /plinth_refresh=([^;]+)/.exec(seen.headers.cookie ?? "")?.[1];
    fake.tokens.refresh(cookie, String(seen.headers["idempotency-key"]));
    response.destroy();
  });
  const code = await page.evaluate(() => scope.client.auth.me().then(() => "none", (error: Plinth.PlinthError) => error.code));
  assert.equal(code, "network_error");
  mend();
  assert.deepEqual(await me(await open("cookie")), ["owner"]);
  const keys = new Set(fake.requests(REFRESH).map((seen) => seen.headers["idempotency-key"]));
  assert.equal(keys.size, 1);
});

test("cookie mode: a sign-out and a new sign-in in one tab reach the other", async (t) => {
  const { open } = await tabs(t);
  const [first, second] = [await open("cookie"), await open("cookie")];
  await signIn(first);
  await me(second);
  const told = second.waitForFunction(() => scope.ended.length > 0);
  await first.evaluate(() => scope.client.auth.logout());
  await told;
  assert.deepEqual(await second.evaluate(() => scope.ended), ["elsewhere"]);
  assert.equal(await second.evaluate(() => scope.client.auth.isSignedIn()), false);
  await signIn(first);
  await second.waitForFunction(() => scope.client.auth.isSignedIn());
  assert.deepEqual(await me(second), ["owner"]);
});

test("cookie mode: nobody signed in is an error after one try, not a loop", async (t) => {
  const { fake, open } = await tabs(t);
  const page = await open("cookie");
  const codes = await page.evaluate(async () => {
    const code = () => scope.client.auth.me().then(() => "none", (error: Plinth.PlinthError) => error.code);
    return [await code(), await code()];
  });
  assert.deepEqual(codes, ["refresh_missing", "authentication_needed"]);
  assert.equal(fake.requests(REFRESH).length, 1);
});

test("retries keep the idempotency key", async (t) => {
  const { fake, open } = await tabs(t);
  const page = await open("localStorage");
  await signIn(page);
  fake.once("/api/v1/api-keys", (_, response) => problem(response, 503, "unavailable"));
  fake.once("/api/v1/api-keys", (_, response) => void response.destroy());
  await page.evaluate(async () => {
    await scope.client.post("/api/v1/api-keys", { body: { name: "ci", scopes: ["*"] } });
  });
  const keys = fake.requests("/api/v1/api-keys").map((seen) => seen.headers["idempotency-key"]);
  assert.ok(keys.length >= 3, `${keys.length} attempts`);
  assert.equal(new Set(keys).size, 1);
});

test("a list is read across its pages", async (t) => {
  const { fake, open } = await tabs(t);
  const page = await open("localStorage");
  await signIn(page);
  const ids = await page.evaluate(async () => {
    const ids: string[] = [];
    for await (const user of scope.client.paginate("/api/v1/users")) ids.push(user.id);
    return ids;
  });
  assert.deepEqual(ids, fake.users.map((user) => user.id));
});

test("the stream goes on after a drop and an expired token, without gap or duplicate", async (t) => {
  const { fake, open } = await tabs(t);
  const page = await open("localStorage");
  await signIn(page);
  fake.stream.scripts = [
    (line) => {
      line.event(1);
      line.event(2);
      line.end();
    },
    (line) => {
      line.event(2);
      line.event(3);
      fake.tokens.expireAll();
      line.notice("auth_expired", {});
    },
    (line) => line.event(4),
  ];
  const positions = await page.evaluate(async () => {
    const positions: unknown[] = [];
    for await (const event of scope.client.stream<{ position: number }>({ topics: ["order.*"] })) {
      positions.push(event.data?.position);
      if (positions.length === 4) break;
    }
    return positions;
  });
  assert.deepEqual(positions, [1, 2, 3, 4]);
  assert.deepEqual(fake.stream.connections.map((line) => line.lastEventId), [undefined, "2", "3"]);
  assert.equal(fake.requests(REFRESH).length, 1);
});

test("an abort is the caller's reason and hangs up", async (t) => {
  const { fake, open } = await tabs(t);
  const page = await open("localStorage");
  await signIn(page);
  const arrived = gate();
  const hungUp = gate();
  fake.once(ME, (_, response) => {
    response.once("close", hungUp.open);
    arrived.open();
  });
  const outcome = page.evaluate(async () => {
    const controller = new AbortController();
    addEventListener("leave", () => controller.abort(new Error("left")), { once: true });
    return scope.client.auth.me({ signal: controller.signal }).then(() => "none", (error: Error) => error.message);
  });
  await arrived.opened;
  await page.evaluate(() => void dispatchEvent(new Event("leave")));
  assert.equal(await outcome, "left");
  await hungUp.opened;
});

test("problems are typed errors, and a signature is the same as in Node", async (t) => {
  const { fake, open } = await tabs(t);
  const page = await open("localStorage");
  const errors = [{ pointer: "/email", code: "taken", message: "is taken" }];
  fake.once("/api/v1/auth/login", (_, response) => problem(response, 422, "invalid_fields", { errors }));
  const seen = await page.evaluate(
    (body) =>
      scope.client.auth.login(body).then(
        () => undefined,
        (error: Plinth.PlinthError) => ({ typed: error instanceof scope.plinth.PlinthError, code: error.code, field: error.field("/email")?.code }),
      ),
    CREDENTIALS,
  );
  assert.deepEqual(seen, { typed: true, code: "invalid_fields", field: "taken" });
  const input = { secret: "s", method: "POST", pathWithQuery: "/api/v1/x?y=1", body: "ü", timestamp: 1_700_000_000 };
  const { signRequest } = await import("@plinth/client");
  assert.equal(await page.evaluate((input) => scope.plinth.signRequest(input), input), await signRequest(input));
});
