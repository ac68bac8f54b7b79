/** A fake platform and a clock per test, stopped with it. */
import type { TestContext } from "node:test";
import { createClient, memoryStore, type Client, type ClientOptions, type TokenStore } from "@plinth/client";
import type { paths } from "../fixtures/schema.js";
import { FakePlinth } from "./fake-plinth.js";
import { ManualClock } from "./manual-clock.js";

export const PASSWORD = "correct horse";
export const CREDENTIALS = { email: "ada@example.com", password: PASSWORD };

export interface Harness {
  readonly fake: FakePlinth;
  readonly clock: ManualClock;
  readonly store: TokenStore;
  client(options?: Partial<ClientOptions>): Client<paths>;
  /** A client that has signed in. */
  signedIn(options?: Partial<ClientOptions>): Promise<Client<paths>>;
}

export async function harness(t: TestContext): Promise<Harness> {
  const fake = await FakePlinth.start();
  t.after(() => fake.stop());
  const clock = new ManualClock();
  const store = memoryStore();
  const client = (options: Partial<ClientOptions> = {}) => {
    const other = options.token !== undefined || options.apiKey !== undefined;
    return createClient<paths>({ baseUrl: fake.url, clock, ...(other ? {} : { tokenStore: store }), ...options });
  };
  const signedIn = async (options: Partial<ClientOptions> = {}) => {
    const made = client(options);
    await made.auth.login(CREDENTIALS);
    return made;
  };
  return { fake, clock, store, client, signedIn };
}

/** A promise with its handles outside, to let a test decide when something happens. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => undefined as void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
