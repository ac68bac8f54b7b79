import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { test } from "node:test";
import { canonicalRequest, signRequest } from "@plinth/client";
import { json, type Seen } from "./support/fake-plinth.js";
import { harness } from "./support/harness.js";

const SECRET = "pls_Zm9vYmFy";

/** What a server computes from the bytes that arrived, with another implementation of the hashes. */
function expected(seen: Seen, timestamp: number): string {
  const digest = createHash("sha256").update(seen.body).digest("hex");
  const canonical = `${timestamp}.${seen.method}.${seen.url.pathname}${seen.url.search}.${digest}`;
  return `t=${timestamp},v1=${createHmac("sha256", SECRET).update(canonical).digest("hex")}`;
}

test("the canonical request has the documented form", async () => {
  const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  const input = { method: "get", pathWithQuery: "/api/v1/users?limit=5", timestamp: 1_700_000_000 };
  assert.equal(await canonicalRequest(input), `1700000000.GET./api/v1/users?limit=5.${empty}`);
  const signature = await signRequest({ ...input, secret: SECRET });
  const mac = createHmac("sha256", SECRET).update(`1700000000.GET./api/v1/users?limit=5.${empty}`).digest("hex");
  assert.equal(signature, `t=1700000000,v1=${mac}`);
});

test("what arrives verifies: reads with a query, JSON with umlauts, forms", async (t) => {
  const { fake, clock, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test", signingSecret: SECRET });
  const timestamp = Math.floor(clock.now() / 1000);
  const form = new FormData();
  form.append("content", new Blob(["hello"]), "hello.txt");
  fake.once("/api/v1/files", (_, response) => json(response, 201, { id: "fil_1" }));
  await plinth.get("/api/v1/users", { query: { q: "a b/ü", limit: 2 } });
  await plinth.post("/api/v1/api-keys", { body: { name: "schlüssel", scopes: ["*"] } });
  await plinth.post("/api/v1/files", { body: form });
  assert.equal(fake.seen.length, 3);
  for (const seen of fake.seen) assert.equal(seen.headers["plinth-signature"], expected(seen, timestamp));
  assert.match(fake.seen[2]?.headers["content-type"] ?? "", /^multipart\/form-data; boundary=/);
});

test("another attempt is signed anew, with its own time", async (t) => {
  const { fake, clock, client } = await harness(t);
  const plinth = client({ apiKey: "plk_test", signingSecret: SECRET });
  const begun = Math.floor(clock.now() / 1000);
  fake.once("/api/v1/users", (_, response) => {
    response.writeHead(503, { "retry-after": "30" }).end();
  });
  await plinth.get("/api/v1/users");
  const [first, second] = fake.seen;
  assert.ok(first && second);
  assert.equal(first.headers["plinth-signature"], expected(first, begun));
  assert.equal(second.headers["plinth-signature"], expected(second, begun + 30));
});

test("a secret without a key is refused, and unsigned clients send no signature", async (t) => {
  const { fake, client } = await harness(t);
  assert.throws(() => client({ signingSecret: SECRET }), /apiKey/);
  await client({ apiKey: "plk_test" }).get("/api/v1/users");
  assert.equal(fake.seen[0]?.headers["plinth-signature"], undefined);
});
