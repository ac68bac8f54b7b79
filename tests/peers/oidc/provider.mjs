// The provider on a free port of this machine. It has a login and a consent form; see README.md for who can sign in.

import { once } from "node:events";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { Provider } from "oidc-provider";

/** Nobody listens here: the flow reads the code from the redirect instead of following it. */
export const REDIRECT_URI = "http://127.0.0.1:9/callback";

/** Signs that have a meaning in addresses, forms and headers: the kernel has to encode them as RFC 6749 says. */
export const CLIENT = { client_id: "plinth client", client_secret: "s3cret/with:odd+signs %&=" };

export async function startProvider() {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ ...CLIENT, redirect_uris: [REDIRECT_URI], response_types: ["code"], grant_types: ["authorization_code"] }],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    cookies: { keys: ["only for this test"] },
    features: { devInteractions: { enabled: true } },
    pkce: { required: () => true },
    findAccount: (_, name) => ({
      accountId: name,
      claims: () => ({
        sub: name,
        name: `${name} at the provider`,
        email: `${name}@example.com`,
        email_verified: !name.startsWith("unverified"),
      }),
    }),
  });
  provider.on("server_error", (_, error) => console.error("provider:", error));
  server.on("request", provider.callback());
  return { issuer, stop: () => (server.closeAllConnections(), server.close()) };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { issuer } = await startProvider();
  console.log(JSON.stringify({ issuer, ...CLIENT, redirect_uri: REDIRECT_URI }));
}
