/**
 * What the compiler must accept and refuse. The file compiles only if each marked line is an error, so
 * `npm run typecheck` is the test; the body below is never run against a platform.
 */
import { test } from "node:test";
import { createClient, type Client, type DataOf, type Operation, type SignedIn } from "@plinth/client";
import type { components, paths } from "./fixtures/schema.js";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(proof: Equal<A, B>): void {
  void proof;
}

type User = components["schemas"]["User"];

export async function typedRequests(client: Client<paths>): Promise<void> {
  const user = await client.get("/api/v1/users/{id}", { params: { id: "usr_1" } });
  same<typeof user.data, User>(true);
  // @ts-expect-error the path parameter is missing
  await client.get("/api/v1/users/{id}");
  // @ts-expect-error the path parameter has another name
  await client.get("/api/v1/users/{id}", { params: { user: "usr_1" } });
  // @ts-expect-error there is no such path
  await client.get("/api/v1/nothing");
  // @ts-expect-error the path does not know this method
  await client.post("/api/v1/me");

  await client.get("/api/v1/users");
  await client.get("/api/v1/users", { query: { limit: 5, anchor: "last" } });
  // @ts-expect-error the parameter is a number
  await client.get("/api/v1/users", { query: { limit: "5" } });
  // @ts-expect-error there is no such parameter
  await client.get("/api/v1/users", { query: { colour: "red" } });
  // @ts-expect-error this query is required
  await client.get("/api/v1/search");

  const key = await client.post("/api/v1/api-keys", { body: { name: "ci", scopes: ["*"] } });
  same<typeof key.data.key, string>(true);
  // @ts-expect-error the body is required
  await client.post("/api/v1/api-keys");
  // @ts-expect-error the body lacks its scopes
  await client.post("/api/v1/api-keys", { body: { name: "ci" } });
  // @ts-expect-error the body has a field too many
  await client.post("/api/v1/api-keys", { body: { name: "ci", scopes: [], colour: "red" } });
  // @ts-expect-error this operation takes no body
  await client.get("/api/v1/me", { body: {} });

  await client.patch("/api/v1/users/{id}", { params: { id: "usr_1" }, body: { locale: null }, ifMatch: user });
  const removed = await client.delete("/api/v1/users/{id}", { params: { id: "usr_1" } });
  same<typeof removed.data, undefined>(true);
  const pdf = await client.get("/api/v1/invoices/{id}/pdf", { params: { id: "inv_1" } });
  same<typeof pdf.data, Blob>(true);
  await client.post("/api/v1/files", { body: new FormData() });
  // @ts-expect-error a file is sent as a form
  await client.post("/api/v1/files", { body: { content: "text" } });
}

export async function typedPages(client: Client<paths>): Promise<void> {
  for await (const item of client.paginate("/api/v1/users", { query: { limit: 100 } })) same<typeof item, User>(true);
  for await (const page of client.paginate("/api/v1/users").pages()) same<typeof page.data, User[]>(true);
  // @ts-expect-error this path is no list
  client.paginate("/api/v1/me");
}

export async function shippedSchema(): Promise<void> {
  const client = createClient({ baseUrl: "http://localhost" });
  const me = await client.get("/api/v1/me");
  same<typeof me.data, DataOf<Operation<import("@plinth/client").paths, "/api/v1/me", "get">>>(true);
  const signedIn: SignedIn = await client.auth.login({ email: "ada@example.com", password: "x", totp: "123456" });
  const token: string = signedIn.access_token;
  // @ts-expect-error an address is needed
  await client.auth.login({ password: token });
  // @ts-expect-error the tenant lacks its slug
  await client.auth.register({ email: "a@b.c", password: "x", name: "Ada", tenant: { name: "Acme" } });
}

test("the type checks of this file have compiled", () => undefined);
