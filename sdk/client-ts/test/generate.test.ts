import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

function generate(t: TestContext, document: string): string {
  const folder = mkdtempSync(join(tmpdir(), "plinth-schema-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const output = join(folder, "schema.d.ts");
  execFileSync(process.execPath, [at("node_modules/openapi-typescript/bin/cli.js"), document, "-o", output], { stdio: "pipe" });
  return readFileSync(output, "utf8");
}

test("the schema of the tests is what their document yields", (t) => {
  assert.equal(generate(t, at("test/fixtures/openapi.json")), readFileSync(at("test/fixtures/schema.d.ts"), "utf8"));
});

test("src/schema.d.ts is what the platform's OpenAPI document yields", (t) => {
  const document = at("../openapi.json");
  assert.ok(existsSync(document), `${document} is missing: it is generated from the kernel`);
  assert.ok(generate(t, document) === readFileSync(at("src/schema.d.ts"), "utf8"), "src/schema.d.ts is stale: run `npm run generate`");
});
