// Signs in to a kernel through the provider, and tries what must be refused. Needs PLINTH_URL; see README.md.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { Browser } from "./browser.mjs";
import { REDIRECT_URI } from "./provider.mjs";

export async function flow(base, provider) {
  const fresh = randomBytes(4).toString("hex");
  const ann = `ann-${fresh}`;

  async function call(method, path, body, token) {
    const headers = { "content-type": "application/json" };
    if (token) headers.authorization = `Bearer ${token}`;
    const request = { method, headers, body: body && JSON.stringify(body) };
    let response = await fetch(`${base}/api/v1/${path}`, request);
    // A kernel that runs for people lets nobody sign in as often as this flow does.
    while (response.status === 429) {
      await sleep(Number(response.headers.get("retry-after")) * 1000);
      response = await fetch(`${base}/api/v1/${path}`, request);
    }
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null };
  }
  async function good(status, ...request) {
    const answer = await call(...request);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    return answer.body;
  }
  async function refused(status, code, ...request) {
    assert.equal((await good(status, ...request)).code, code);
  }
  /** What a page at the redirect address hands to the callback, after somebody signed in at the provider. */
  async function comeBack(name, { tenant, token } = {}) {
    const request = { redirect_uri: REDIRECT_URI, ...(tenant && { tenant }) };
    const started = await good(200, "POST", `auth/oauth/${provider}/start`, request, token);
    const back = (await new Browser().signIn(started.authorization_url, REDIRECT_URI, name)).searchParams;
    assert.equal(back.get("state"), started.state, "the provider brings the state back");
    assert.ok(back.get("code") && back.get("iss"), "a code, and the issuer of RFC 9207");
    return Object.fromEntries(["state", "code", "iss"].map((key) => [key, back.get(key)]));
  }
  const callback = `auth/oauth/${provider}/callback`;
  const step = (text) => console.log(`ok - ${text}`);

  const providers = await good(200, "GET", "auth/oauth");
  assert.ok(providers.data.some((one) => one.name === provider));
  step("the kernel offers the provider");

  const slug = `tenant-${fresh}`;
  const first = await comeBack(ann, { tenant: { name: "Peer", slug } });
  const created = await good(200, "POST", callback, first);
  assert.equal(created.user.email, `${ann}@example.com`);
  assert.equal(created.user.name, `${ann} at the provider`);
  assert.equal(created.tenant.slug, slug);
  const me = await good(200, "GET", "me", undefined, created.access_token);
  assert.deepEqual(me.roles, ["owner"]);
  step("a new person gets an account and a tenant");

  await refused(401, "oauth_state_invalid", "POST", callback, first);
  step("a state works once");

  const again = await good(200, "POST", callback, await comeBack(ann));
  assert.equal(again.user.id, created.user.id);
  step("the same person signs in again");

  const spent = await comeBack(ann);
  await refused(401, "provider_refused", "POST", callback, { ...spent, code: first.code });
  step("a code of another sign-in is refused by the provider: it was used, and belongs to another verifier");

  await refused(401, "provider_refused", "POST", callback, { ...(await comeBack(ann)), iss: "https://evil.example" });
  step("an answer of another issuer is refused");

  const password = "correct horse battery";
  const account = { email: `bob-${fresh}@example.com`, password, name: "Bob", tenant: { name: "B", slug: `bob-${fresh}` } };
  const bob = await good(201, "POST", "auth/register", account);
  await refused(409, "account_exists", "POST", callback, await comeBack(`bob-${fresh}`));
  step("an address that is taken here opens nothing");

  const link = await comeBack(`bob-${fresh}`, { token: bob.access_token });
  await refused(401, "authentication_needed", "POST", callback, link);
  await refused(403, "link_of_another", "POST", callback, link, created.access_token);
  const linked = await good(200, "POST", callback, link, bob.access_token);
  assert.equal(linked.user.id, bob.user.id);
  const identities = await good(200, "GET", "auth/identities", undefined, bob.access_token);
  assert.deepEqual(identities.data.map((one) => one.subject), [`bob-${fresh}`]);
  step("who is signed in links, and nobody else finishes it");

  const mine = await good(200, "GET", "auth/identities", undefined, created.access_token);
  await refused(409, "last_way_to_sign_in", "DELETE", `auth/identities/${mine.data[0].id}`, undefined, created.access_token);
  await good(204, "DELETE", `auth/identities/${identities.data[0].id}`, undefined, bob.access_token);
  step("a link is removed while another way in is left");
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const base = process.env.PLINTH_URL;
  if (!base) throw new Error("set PLINTH_URL to the address of a kernel, such as http://127.0.0.1:8080");
  await flow(base, process.env.PLINTH_PROVIDER ?? "peer");
}
