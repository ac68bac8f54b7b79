// Starts the provider and a kernel that knows it, runs the flow, and stops both.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { flow } from "./flow.mjs";
import { CLIENT, startProvider } from "./provider.mjs";

const binary = process.env.PLINTH_BIN ?? fileURLToPath(new URL("../../../target/debug/plinth", import.meta.url));

/** The kernel's address, once it serves. */
async function ready(kernel) {
  for await (const line of createInterface({ input: kernel.stdout })) {
    if (line.startsWith("{") && JSON.parse(line).ready) return JSON.parse(line).url;
  }
  throw new Error("the kernel ended before it was ready; its reason stands above");
}

const provider = await startProvider();
const data = await mkdtemp(join(tmpdir(), "plinth-peer-oidc-"));
const settings = {
  PLINTH_IDENTITY__PROVIDERS__PEER__ISSUER: provider.issuer,
  PLINTH_IDENTITY__PROVIDERS__PEER__CLIENT_ID: CLIENT.client_id,
  PLINTH_IDENTITY__PROVIDERS__PEER__CLIENT_SECRET: CLIENT.client_secret,
  PLINTH_IDENTITY__PROVIDERS__PEER__ALLOW_HTTP_LOOPBACK: "true",
  PLINTH_IDENTITY__PROVIDERS__PEER__TRUST_EMAIL: "true",
  // The flow signs in more often than people do.
  PLINTH_LIMITS__SIGN_IN_BURST: "100",
};
const kernel = spawn(binary, ["serve", "--data", data, "--listen", "127.0.0.1:0", "--ready-json", "--set", "log.level=warn"], {
  env: { ...process.env, ...settings },
  stdio: ["ignore", "pipe", "inherit"],
});
const ended = once(kernel, "exit");
try {
  const base = await Promise.race([ready(kernel), once(kernel, "error").then(([error]) => Promise.reject(error))]);
  await flow(base, "peer");
} finally {
  kernel.kill("SIGTERM");
  await ended.catch(() => {});
  provider.stop();
  await rm(data, { recursive: true, force: true });
}
