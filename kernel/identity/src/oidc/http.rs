//! Requests to a provider: only to addresses that are allowed, with limits on time and size, and never along a redirect.

use std::time::Duration;

use ::http::StatusCode;
use ::http::header::{ACCEPT, LOCATION};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use url::{Host, Url};

use super::error::{Endpoint, OidcError, excerpt};
use super::provider::Provider;

/// For a whole exchange, body included.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Discovery documents and key sets have a few kilobytes.
pub(super) const MAX_BODY: usize = 256 * 1024;

/// The settings without which a client must not be used here. A redirect could carry the code and the client secret to
/// another host, or lead into the internal network.
pub fn harden(builder: ClientBuilder) -> ClientBuilder {
    builder.redirect(reqwest::redirect::Policy::none()).referer(false).connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT)
}

pub(super) struct Http {
    client: Client,
    timeout: Duration,
}

/// An answer as a whole. It may hold tokens, so it is never printed.
pub(super) struct Answer {
    endpoint: Endpoint,
    url: Url,
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Http {
    pub(super) fn new(client: Client) -> Self {
        Self { client, timeout: TIMEOUT }
    }

    #[cfg(test)]
    pub(super) fn with_timeout(client: Client, timeout: Duration) -> Self {
        Self { client, timeout }
    }

    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    pub(super) async fn send(&self, endpoint: Endpoint, request: RequestBuilder) -> Result<Answer, OidcError> {
        let request = request.timeout(self.timeout).header(ACCEPT, "application/json").build();
        // Cannot happen with addresses and fields that are text; the error is kept all the same.
        let request = request.map_err(|error| unreachable(endpoint, String::new(), error))?;
        let url = request.url().clone();
        let failed = |source: reqwest::Error| failed(endpoint, &url, source);
        let response = self.client.execute(request).await.map_err(failed)?;
        check_redirect(endpoint, &url, &response)?;
        let status = response.status();
        let body = read(endpoint, &url, response).await?;
        Ok(Answer { endpoint, url, status, body })
    }
}

impl Answer {
    /// The body of a successful answer.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, OidcError> {
        let (endpoint, url) = (self.endpoint, printable(&self.url));
        if !self.status.is_success() {
            return Err(OidcError::Status { endpoint, url, status: self.status.as_u16() });
        }
        // The parser's own message may quote the body, and the body may hold tokens.
        serde_json::from_slice(&self.body).map_err(|error| OidcError::NotJson {
            endpoint,
            url,
            line: error.line(),
            column: error.column(),
        })
    }
}

/// An address that a provider, or its configuration, gave: https, or http on loopback where that is allowed.
pub(super) fn endpoint(endpoint: Endpoint, text: &str, provider: &Provider) -> Result<Url, OidcError> {
    let refused = |reason| OidcError::Address { endpoint, url: excerpt(text), reason };
    let url = Url::parse(text).map_err(|_| refused("it is not an absolute URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OidcError::Address { endpoint, url: printable(&url), reason: "it holds a user name or password" });
    }
    if url.fragment().is_some() {
        return Err(refused("it holds a fragment"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if provider.allow_http_loopback && is_loopback(&url) => Ok(url),
        _ => Err(OidcError::Insecure { endpoint, url: excerpt(text) }),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn check_redirect(endpoint: Endpoint, url: &Url, response: &Response) -> Result<(), OidcError> {
    // A client that was not hardened has followed it already: then at least nothing it brought back is used.
    let to = if response.status().is_redirection() {
        response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere").to_owned()
    } else if response.url() != url {
        printable(response.url())
    } else {
        return Ok(());
    };
    Err(OidcError::Redirected { endpoint, url: printable(url), to: excerpt(&to) })
}

async fn read(endpoint: Endpoint, url: &Url, mut response: Response) -> Result<Vec<u8>, OidcError> {
    let too_large = || OidcError::TooLarge { endpoint, url: printable(url), limit: MAX_BODY };
    if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|source| failed(endpoint, url, source))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failed(endpoint: Endpoint, url: &Url, source: reqwest::Error) -> OidcError {
    let url = printable(url);
    if source.is_timeout() { OidcError::TimedOut { endpoint, url } } else { unreachable(endpoint, url, source) }
}

/// With all of the causes: the outermost one alone says no more than that a request failed.
fn unreachable(endpoint: Endpoint, url: String, error: reqwest::Error) -> OidcError {
    let error = error.without_url();
    let mut cause = error.to_string();
    let mut deeper = std::error::Error::source(&error);
    while let Some(error) = deeper {
        cause.push_str(": ");
        cause.push_str(&error.to_string());
        deeper = error.source();
    }
    OidcError::Unreachable { endpoint, url, cause: excerpt(&cause) }
}

/// Without credentials and query, which are nobody's business in a log.
fn printable(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Fails for addresses without a host only, which have no credentials either.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    excerpt(url.as_str())
}
