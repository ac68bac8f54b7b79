/** Addresses: a path template, its parameters and a query become one URL on the platform, and nowhere else. */

export type QueryValue = string | number | boolean | bigint | Date | null | undefined;
export type QueryRecord = Readonly<Record<string, QueryValue | readonly QueryValue[]>>;
export type PathRecord = Readonly<Record<string, string | number | bigint>>;

/**
 * Lists become `a,b`, dates RFC 3339; absent and null parameters are left out. Throws a TypeError for a parameter
 * that would change the route.
 */
export function buildUrl(baseUrl: string, path: string, params: PathRecord = {}, query: QueryRecord = {}): URL {
  if (!path.startsWith("/") || path.startsWith("//")) {
    throw new TypeError(`the path "${path}" must begin with one slash: it is relative to baseUrl`);
  }
  const url = new URL(trimSlash(baseUrl) + fillTemplate(path, params));
  for (const [name, value] of Object.entries(query)) {
    const text = queryText(value);
    if (text !== undefined) url.searchParams.append(name, text);
  }
  return url;
}

/** An absolute base; in a browser a relative one counts from the page. */
export function resolveBaseUrl(baseUrl: string): string {
  const page = globalThis.location?.href;
  let url: URL;
  try {
    url = new URL(baseUrl, page);
  } catch {
    throw new TypeError(`baseUrl "${baseUrl}" is no URL: give for instance https://plinth.example.com`);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new TypeError(`baseUrl "${baseUrl}" must be http or https`);
  }
  if (url.search !== "" || url.hash !== "") throw new TypeError(`baseUrl "${baseUrl}" must have no query and no fragment`);
  return trimSlash(url.origin + url.pathname);
}

function fillTemplate(path: string, params: PathRecord): string {
  return path.replace(/\{([^}]+)\}/g, (_, name: string) => {
    const value = params[name];
    if (value === undefined) throw new TypeError(`the path parameter "${name}" of ${path} is missing`);
    const text = String(value);
    // Percent-encoding does not help here: URLs resolve dot segments in either spelling.
    if (text === "" || text === "." || text === "..") {
      throw new TypeError(`"${text}" cannot be the path parameter "${name}" of ${path}`);
    }
    return encodeURIComponent(text);
  });
}

function queryText(value: QueryValue | readonly QueryValue[]): string | undefined {
  if (Array.isArray(value)) {
    const texts = (value as readonly QueryValue[]).map(scalarText).filter((text) => text !== undefined);
    return texts.length === 0 ? undefined : texts.join(",");
  }
  return scalarText(value as QueryValue);
}

function scalarText(value: QueryValue): string | undefined {
  if (value === undefined || value === null) return undefined;
  return value instanceof Date ? value.toISOString() : String(value);
}

function trimSlash(text: string): string {
  return text.endsWith("/") ? text.slice(0, -1) : text;
}
