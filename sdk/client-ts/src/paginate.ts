/** Lists as async iterators: follows the cursors, asks for a page when the one before is used up. */
import { PlinthError } from "./errors.js";
import type { QueryRecord } from "./url.js";

/** The envelope of every list. */
export interface Page<T> {
  readonly data: T[];
  /** There is more in the direction that was read. */
  readonly has_more: boolean;
  readonly next?: string | null;
  readonly prev?: string | null;
  readonly total_estimate?: number | null;
}

/** All items, across pages. `pages()` gives the pages themselves. */
export interface Pager<T> extends AsyncIterable<T> {
  pages(): AsyncIterable<Page<T>>;
}

/**
 * Reads on from `after`, or from the beginning. With `before` or `anchor=last` it reads back instead, and items
 * come last first.
 */
export function pager<T>(query: QueryRecord, load: (query: QueryRecord) => Promise<Page<T>>): Pager<T> {
  const backward = query["anchor"] === "last" || (query["before"] ?? null) !== null;
  const pages = () => walk(query, backward, load);
  return {
    pages,
    async *[Symbol.asyncIterator]() {
      for await (const page of pages()) yield* backward ? [...page.data].reverse() : page.data;
    },
  };
}

async function* walk<T>(
  first: QueryRecord,
  backward: boolean,
  load: (query: QueryRecord) => Promise<Page<T>>,
): AsyncGenerator<Page<T>> {
  let query = first;
  let cursor: string | null = null;
  for (;;) {
    const page = await load(query);
    yield page;
    if (!page.has_more) return;
    const following: string | null = (backward ? page.prev : page.next) ?? null;
    if (following === null || following === cursor) throw brokenCursor();
    cursor = following;
    const { after: _after, before: _before, anchor: _anchor, ...rest } = query;
    query = backward ? { ...rest, before: cursor } : { ...rest, after: cursor };
  }
}

/** Better than an endless loop over the same page. */
function brokenCursor(): PlinthError {
  const detail = "the list says that it has more and gives no cursor that leads on";
  return new PlinthError({ status: 0, code: "invalid_response", title: "Invalid answer", detail });
}
