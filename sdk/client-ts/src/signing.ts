/**
 * Signatures for API keys that demand signed requests.
 *
 * `Plinth-Signature: t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 over `t.METHOD.path.sha256(body)`; the path
 * includes the query as sent, the body is the exact bytes as sent. The platform accepts five minutes of skew.
 */

export interface SignatureInput {
  /** The key's signing secret, as it was shown when the key was created. */
  readonly secret: string;
  readonly method: string;
  /** Path and query as they are sent, for instance `/api/v1/orders?limit=5`. */
  readonly pathWithQuery: string;
  /** The exact bytes that are sent; nothing for a request without a body. */
  readonly body?: Uint8Array | string | undefined;
  /** Seconds since 1970. */
  readonly timestamp: number;
}

/** What the HMAC is computed over. */
export async function canonicalRequest(input: Omit<SignatureInput, "secret">): Promise<string> {
  const digest = await subtle().digest("SHA-256", bytesOf(input.body));
  return `${input.timestamp}.${input.method.toUpperCase()}.${input.pathWithQuery}.${hex(digest)}`;
}

/** The value of the `Plinth-Signature` header. */
export async function signRequest(input: SignatureInput): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await subtle().importKey("raw", bytesOf(input.secret), algorithm, false, ["sign"]);
  const canonical = await canonicalRequest(input);
  const mac = await subtle().sign("HMAC", key, bytesOf(canonical));
  return `t=${input.timestamp},v1=${hex(mac)}`;
}

function subtle(): SubtleCrypto {
  // Browsers hide WebCrypto from pages that came over plain HTTP.
  if (!globalThis.crypto?.subtle) throw new Error("signing needs WebCrypto: serve the page over HTTPS or from localhost");
  return globalThis.crypto.subtle;
}

function bytesOf(data: Uint8Array | string | undefined): Uint8Array<ArrayBuffer> {
  if (data === undefined) return new Uint8Array();
  return typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data);
}

function hex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
