/**
 * From the `paths` type of openapi-typescript to the arguments and answers of the client.
 *
 * A missing, superfluous or wrong parameter is an error of the compiler; nothing here exists at run time.
 */
import type { Reply } from "./reply.js";
import type { RetryPolicy } from "./retry.js";

export type Method = "get" | "post" | "put" | "patch" | "delete";

/** The paths of `P` that know `M`. */
export type PathsWith<P, M extends Method> = {
  [Path in keyof P]: P[Path] extends { [Verb in M]: { responses: unknown } } ? Path : never;
}[keyof P] &
  string;

export type Operation<P, Path extends keyof P, M extends Method> = M extends keyof P[Path] ? P[Path][M] : never;

/** What every call takes beside what its operation demands. */
export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For one attempt; 0 is no limit. */
  readonly timeoutMs?: number | undefined;
  /** False makes one attempt. */
  readonly retry?: Partial<RetryPolicy> | false | undefined;
  /** The client makes one for every POST, PATCH and DELETE. Give your own to continue after a restart. */
  readonly idempotencyKey?: string | undefined;
  /** Change the object only if it is still this version: an ETag, or the reply that you read it from. */
  readonly ifMatch?: string | Pick<Reply<unknown>, "etag"> | undefined;
  /** Read no older state than your last write (true) or than a position. */
  readonly consistent?: boolean | string | undefined;
  /** Operators: act in this tenant. */
  readonly tenant?: string | undefined;
}

export type ParamsOf<Op> = Op extends { parameters: { path: infer Params } } ? Params : never;

export type QueryOf<Op> = Op extends { parameters: { query?: infer Query } } ? Exclude<Query, undefined> : never;

type RequestBodyOf<Op> = Op extends { requestBody?: infer Body } ? Exclude<Body, undefined> : never;

export type BodyOf<Op> = RequestBodyOf<Op> extends { content: infer Content } ? BodyByMedia<Content> : never;

type BodyByMedia<Content> = {
  [Media in keyof Content]: Media extends `${string}json`
    ? Content[Media]
    : Media extends "multipart/form-data"
      ? FormData
      : Media extends "application/x-www-form-urlencoded"
        ? URLSearchParams
        : Blob | ArrayBuffer | ArrayBufferView<ArrayBuffer> | ReadableStream<Uint8Array>;
}[keyof Content];

type ParamsPart<Op> = [ParamsOf<Op>] extends [never] ? { params?: undefined } : { params: ParamsOf<Op> };

type QueryPart<Op> = [QueryOf<Op>] extends [never]
  ? { query?: undefined }
  : object extends QueryOf<Op>
    ? { query?: QueryOf<Op> | undefined }
    : { query: QueryOf<Op> };

type BodyPart<Op> = [BodyOf<Op>] extends [never]
  ? { body?: undefined }
  : Op extends { requestBody: unknown }
    ? { body: BodyOf<Op> }
    : { body?: BodyOf<Op> | undefined };

export type OptionsOf<Op> = ParamsPart<Op> & QueryPart<Op> & BodyPart<Op> & CallOptions;

/** Options may be left out where the operation demands none. */
export type ArgumentsOf<Op> = object extends OptionsOf<Op> ? [options?: OptionsOf<Op>] : [options: OptionsOf<Op>];

type SuccessStatus = 200 | 201 | 202 | 203 | 204 | 205 | 206 | "2XX";

export type DataOf<Op> = Op extends { responses: infer Responses }
  ? { [Status in keyof Responses & SuccessStatus]: ContentOf<Responses[Status]> }[keyof Responses & SuccessStatus]
  : never;

type ContentOf<Answer> = Answer extends { content: infer Content }
  ? { [Media in keyof Content]: DataByMedia<Media, Content[Media]> }[keyof Content]
  : undefined;

type DataByMedia<Media, Data> = Media extends `${string}json` ? Data : Media extends `text/${string}` ? string : Blob;

/** The paths of `P` that answer with a page of a list. */
export type PagedPaths<P> = {
  [Path in PathsWith<P, "get">]: DataOf<Operation<P, Path, "get">> extends { data: unknown[] } ? Path : never;
}[PathsWith<P, "get">];

export type ItemOf<Op> = DataOf<Op> extends { data: (infer Item)[] } ? Item : never;
