/** `@plinth/client`: see the README for what each part is for. */
export { Auth, type Login, type Me, type Registration, type SignedIn } from "./auth.js";
export { Client, createClient, type RawOptions } from "./client.js";
export { systemClock, type Clock } from "./clock.js";
export { PlinthError, type FieldError, type LocalCode, type PlinthErrorInit } from "./errors.js";
export type { BearerSource } from "./credentials.js";
export type { ClientOptions } from "./options.js";
export type { Page, Pager } from "./paginate.js";
export type { Reply } from "./reply.js";
export type { RetryPolicy } from "./retry.js";
export type { components, paths } from "./schema.js";
export type { IssuedTokens, SignedOut } from "./session.js";
export { canonicalRequest, signRequest, type SignatureInput } from "./signing.js";
export { cookieStore, localStorageStore, memoryStore } from "./stores.js";
export { EventStream, type CloudEvent, type StreamOptions, type StreamState } from "./stream.js";
export type { TokenSet, TokenStore } from "./tokens.js";
export type { CallOptions, DataOf, Method, Operation, OptionsOf } from "./typed.js";
