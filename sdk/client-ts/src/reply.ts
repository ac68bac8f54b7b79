/** What a successful call yields. */
import { PlinthError, requestIdOf, type CallSite } from "./errors.js";

export interface Reply<T> {
  readonly data: T;
  readonly status: number;
  readonly headers: Headers;
  /** The version of the object: give it back as `ifMatch`. */
  readonly etag: string | null;
  /** Where a write stands in the log: a read that asks for it sees the write. */
  readonly position: string | null;
  readonly requestId: string | undefined;
}

/** JSON is parsed, text is a string, an empty answer is undefined, anything else is a Blob. */
export async function readReply<T>(response: Response, site: CallSite): Promise<Reply<T>> {
  return {
    data: (await readData(response, site)) as T,
    status: response.status,
    headers: response.headers,
    etag: response.headers.get("etag"),
    position: response.headers.get("plinth-position"),
    requestId: requestIdOf(response.headers),
  };
}

async function readData(response: Response, site: CallSite): Promise<unknown> {
  const type = response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (type.endsWith("/json") || type.endsWith("+json")) return parseJson(await response.text(), response, site);
  if (type.startsWith("text/")) return response.text();
  const blob = await response.blob();
  return blob.size === 0 ? undefined : blob;
}

function parseJson(text: string, response: Response, site: CallSite): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalidResponse("the answer says it is JSON and is not", response, site, cause);
  }
}

export function invalidResponse(detail: string, response: Response, site: CallSite, cause?: unknown): PlinthError {
  const title = "Invalid answer";
  const requestId = requestIdOf(response.headers);
  return new PlinthError({ status: 0, code: "invalid_response", title, detail, requestId, cause, ...site });
}
