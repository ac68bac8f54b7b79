/** The examples of the README compile as they stand, each as a file of its own. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** The document of the tests: it holds what the examples use, whatever the platform's own document grows to. */
const SCHEMA = readFileSync(at("test/fixtures/schema.d.ts"), "utf8");

/** What the first example of the README has set up; later ones go on from there. */
const PRELUDE = `import { createClient as open } from "@plinth/client";\nconst client = open({ baseUrl: "http://localhost" });\n`;

test("the examples of the README compile", () => {
  const blocks = [...readFileSync(at("README.md"), "utf8").matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
  assert.ok(blocks.length >= 8, `${blocks.length} examples were found`);
  const sources = new Map(
    blocks.map((block, index) => [at(`test/readme-${index}.ts`), block.includes("createClient(") ? block : PRELUDE + block]),
  );
  sources.set(at("dist/schema.d.ts"), SCHEMA);
  const { config } = ts.readConfigFile(at("tsconfig.test.json"), ts.sys.readFile) as { config: unknown };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, at(""));
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile } = host;
  host.fileExists = (name) => sources.has(name) || fileExists(name);
  host.readFile = (name) => sources.get(name) ?? readFile(name);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (name, language, ...rest) => {
    const text = sources.get(name);
    return text === undefined ? getSourceFile(name, language, ...rest) : ts.createSourceFile(name, text, language);
  };
  const program = ts.createProgram([...sources.keys()], { ...options, noEmit: true, noUnusedLocals: false }, host);
  const complaints = ts.getPreEmitDiagnostics(program);
  assert.equal(ts.formatDiagnostics(complaints, { ...host, getCurrentDirectory: () => at("") }), "");
});
