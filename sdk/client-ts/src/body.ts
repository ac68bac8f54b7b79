/** Request bodies: JSON by default, anything that `fetch` takes as it is. */

export interface EncodedBody {
  readonly content: BodyInit | undefined;
  /** Null where `fetch` knows better, as with the boundary of a form. */
  readonly contentType: string | null;
  /** A stream can be read once: such a call is never repeated. */
  readonly replayable: boolean;
}

export function encodeBody(body: unknown): EncodedBody {
  if (body === undefined) return { content: undefined, contentType: null, replayable: true };
  if (body instanceof ReadableStream) return { content: body, contentType: null, replayable: false };
  if (isNative(body)) return { content: body, contentType: null, replayable: true };
  return { content: JSON.stringify(body), contentType: "application/json", replayable: true };
}

/** The exact bytes of a body and its type, for a signature over them. */
export async function materialise(body: EncodedBody): Promise<{ bytes: Uint8Array<ArrayBuffer>; contentType: string | null }> {
  // A Response encodes forms and blobs exactly as a request would.
  const carrier = new Response(body.content ?? null);
  const bytes = new Uint8Array(await carrier.arrayBuffer());
  return { bytes, contentType: body.contentType ?? carrier.headers.get("content-type") };
}

function isNative(body: unknown): body is BodyInit {
  return (
    body instanceof FormData ||
    body instanceof Blob ||
    body instanceof URLSearchParams ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body)
  );
}
