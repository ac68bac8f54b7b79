// As much of a browser as a sign-in needs: cookies, redirects and the forms of the provider.

export class Browser {
  #cookies = new Map();

  /** Follows redirects until an address begins with `until`, filling in the forms on the way; gives that address. */
  async signIn(address, until, name) {
    let next = { address };
    for (let steps = 0; steps < 20; steps += 1) {
      const response = await this.#load(next);
      const location = response.headers.get("location");
      if (location) {
        const target = new URL(location, next.address).href;
        if (target.startsWith(until)) return new URL(target);
        next = { address: target };
        continue;
      }
      const page = await response.text();
      if (!response.ok) throw new Error(`${response.status} at ${next.address}: ${page}`);
      next = fill(page, next.address, { login: name, password: "any" });
    }
    throw new Error("the provider sends the browser around in circles");
  }

  async #load({ address, form }) {
    const path = new URL(address).pathname;
    const fitting = [...this.#cookies.values()].filter((cookie) => path.startsWith(cookie.path));
    const headers = { cookie: fitting.map((cookie) => cookie.pair).join("; "), accept: "text/html" };
    const method = form ? "POST" : "GET";
    const response = await fetch(address, { method, headers, body: form, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) this.#keep(line);
    return response;
  }

  #keep(line) {
    const [pair, ...attributes] = line.split(/;\s*/);
    const attribute = (name) => attributes.find((text) => text.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
    const path = attribute("path") ?? "/";
    const key = `${pair.split("=")[0]} ${path}`;
    const ends = attribute("expires");
    if (ends && Date.parse(ends) <= Date.now()) this.#cookies.delete(key);
    else this.#cookies.set(key, { pair, path });
  }
}

function fill(page, address, values) {
  const form = /<form[^>]*action="([^"]+)"[^>]*>([\s\S]*?)<\/form>/.exec(page);
  if (!form) throw new Error(`no form at ${address}: ${page}`);
  const fields = new URLSearchParams();
  for (const [input] of form[2].matchAll(/<input[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(input)?.[1];
    if (name) fields.set(name, values[name] ?? /value="([^"]*)"/.exec(input)?.[1] ?? "");
  }
  return { address: new URL(form[1], address).href, form: fields };
}
