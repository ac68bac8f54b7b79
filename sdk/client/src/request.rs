//! One call, put together step by step.

use std::{fmt, future::IntoFuture, marker::PhantomData, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use plinth_api::TenantId;
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use crate::{Client, Error, Meta, Query, Reply, Result, environment::fresh_key};

/// What a request answers with is not known from its type: it ends with one of the `send` methods.
#[derive(Debug)]
pub enum Untyped {}
/// The request answers with a `T`: it is sent by awaiting it.
#[derive(Debug)]
pub struct Json<T>(PhantomData<fn() -> T>);
/// The request answers without a body: it is sent by awaiting it.
#[derive(Debug)]
pub enum Empty {}

/// A call that can still be changed. POST, PATCH and DELETE get an Idempotency-Key, which stays the same over all
/// attempts.
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder<A = Untyped> {
    client: Client,
    call: Result<Call>,
    automatic_key: bool,
    answer: PhantomData<fn() -> A>,
}

/// What every attempt of a call has in common.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    /// The session is not shown, and stays as it is whatever the answer.
    pub anonymous: bool,
    pub timeout: Duration,
    pub max_body: usize,
    pub retries: u32,
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl Call {
    /// Doing it twice is the same as doing it once. DELETE is not: the second answer is another one.
    pub fn is_repeatable(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT)
            || self.headers.contains_key(IDEMPOTENCY_KEY)
    }
}

impl RequestBuilder<Untyped> {
    pub(crate) fn new(client: Client, method: Method, path: &str) -> Self {
        let settings = client.core.settings;
        let call = target(&client.core.base, path).map(|url| Call {
            method,
            url,
            headers: HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))]),
            body: None,
            anonymous: false,
            timeout: settings.timeout,
            max_body: settings.max_body,
            retries: settings.retries,
        });
        Self { client, call, automatic_key: settings.idempotency_keys, answer: PhantomData }
    }

    /// Says what the request answers with.
    pub fn typed<T: DeserializeOwned>(self) -> RequestBuilder<Json<T>> {
        self.answering()
    }

    /// Says that the request answers without a body.
    pub fn empty(self) -> RequestBuilder<Empty> {
        self.answering()
    }
}

impl<A> RequestBuilder<A> {
    fn answering<B>(self) -> RequestBuilder<B> {
        RequestBuilder { client: self.client, call: self.call, automatic_key: self.automatic_key, answer: PhantomData }
    }

    fn change(mut self, change: impl FnOnce(&mut Call) -> Result<()>) -> Self {
        self.call = self.call.and_then(|mut call| change(&mut call).map(|()| call));
        self
    }

    /// Adds `name=value` to the query.
    pub fn query(self, name: &str, value: impl fmt::Display) -> Self {
        self.change(|call| {
            call.url.query_pairs_mut().append_pair(name, &value.to_string());
            Ok(())
        })
    }

    pub fn queries(self, query: impl Into<Query>) -> Self {
        query.into().into_pairs().into_iter().fold(self, |request, (name, value)| request.query(&name, value))
    }

    /// Sends `body` as JSON.
    pub fn body<T: Serialize + ?Sized>(self, body: &T) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.raw_body("application/json", bytes),
            Err(error) => self.change(|_| Err(Error::Request(format!("the body is no JSON: {error}")))),
        }
    }

    /// Sends `body` as it is, such as a multipart form or a deliberately broken request.
    pub fn raw_body(self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.header(header::CONTENT_TYPE.as_str(), content_type).change(|call| {
            call.body = Some(body.into());
            Ok(())
        })
    }

    pub fn header(self, name: &str, value: impl AsRef<str>) -> Self {
        self.change(|call| {
            let bad = || Error::Request(format!("the header {name} or its value has characters that are not allowed"));
            let key = name.parse::<HeaderName>().map_err(|_| bad())?;
            let value = HeaderValue::from_str(value.as_ref()).map_err(|_| bad())?;
            call.headers.insert(key, value);
            Ok(())
        })
    }

    /// Calls with the same key are one call: the server answers the later ones like the first.
    pub fn idempotency_key(self, key: impl AsRef<str>) -> Self {
        self.header(IDEMPOTENCY_KEY.as_str(), key)
    }

    /// The call gets no Idempotency-Key, and if it is a change it is not repeated.
    pub fn without_idempotency_key(mut self) -> Self {
        self.automatic_key = false;
        self.change(|call| {
            call.headers.remove(IDEMPOTENCY_KEY);
            Ok(())
        })
    }

    /// The change is made only if the object still has this ETag.
    pub fn if_match(self, etag: impl AsRef<str>) -> Self {
        self.header(header::IF_MATCH.as_str(), etag)
    }

    /// An operator acts in this tenant.
    pub fn tenant(self, tenant: TenantId) -> Self {
        self.header("plinth-tenant", tenant.to_string())
    }

    /// The answer knows of everything up to this position of the log.
    pub fn min_position(self, position: impl AsRef<str>) -> Self {
        self.header("plinth-min-position", position)
    }

    /// The server says what would happen and changes nothing.
    pub fn dry_run(self) -> Self {
        self.query("dry_run", true)
    }

    /// The call shows no credentials, whatever the client has.
    pub fn anonymous(self) -> Self {
        self.change(|call| {
            call.anonymous = true;
            Ok(())
        })
    }

    pub fn timeout(self, timeout: Duration) -> Self {
        self.change(|call| {
            call.timeout = timeout;
            Ok(())
        })
    }

    pub fn retries(self, retries: u32) -> Self {
        self.change(|call| {
            call.retries = retries;
            Ok(())
        })
    }

    pub fn max_body(self, bytes: usize) -> Self {
        self.change(|call| {
            call.max_body = bytes;
            Ok(())
        })
    }

    /// Sends the call and reads its answer as JSON.
    pub async fn send<T: DeserializeOwned>(self) -> Result<Reply<T>> {
        let (meta, bytes) = self.execute().await?;
        match serde_json::from_slice(&bytes) {
            Ok(body) => Ok(Reply::new(body, meta)),
            Err(error) => Err(Error::decode(error.to_string(), meta)),
        }
    }

    /// Sends the call and ignores the body of its answer.
    pub async fn send_empty(self) -> Result<Reply<()>> {
        self.execute().await.map(|(meta, _)| Reply::new((), meta))
    }

    /// Sends the call and leaves the body of its answer as it is.
    pub async fn send_raw(self) -> Result<Reply<Bytes>> {
        self.execute().await.map(|(meta, bytes)| Reply::new(bytes, meta))
    }

    async fn execute(self) -> Result<(Meta, Bytes)> {
        let (client, call) = self.into_call()?;
        client.execute(&call).await
    }

    pub(crate) fn into_call(self) -> Result<(Client, Call)> {
        let mut call = self.call?;
        let changes = matches!(call.method, Method::POST | Method::PATCH | Method::DELETE);
        if changes && self.automatic_key && !call.headers.contains_key(IDEMPOTENCY_KEY) {
            let key = fresh_key(&*self.client.core.environment);
            let value = HeaderValue::try_from(key).map_err(|error| Error::Request(error.to_string()))?;
            call.headers.insert(IDEMPOTENCY_KEY, value);
        }
        Ok((self.client, call))
    }
}

impl<T: DeserializeOwned + Send + 'static> IntoFuture for RequestBuilder<Json<T>> {
    type Output = Result<Reply<T>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.send::<T>().boxed()
    }
}

impl IntoFuture for RequestBuilder<Empty> {
    type Output = Result<Reply<()>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.send_empty().boxed()
    }
}

/// Text as one segment of a path.
pub fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The address of `path`. One that would climb out of where it points to is refused, so an identifier from elsewhere
/// cannot turn one call into another.
fn target(base: &Url, path: &str) -> Result<Url> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/{path}") };
    let climbs = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "" | "." | "..");
    if path.contains(['#', '\\']) || path.chars().any(char::is_control) || path.split('/').skip(1).any(climbs) {
        return Err(Error::Request(format!("the path {path:?} has an empty or relative segment, or a # or \\")));
    }
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query.filter(|query| !query.is_empty()));
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_the_base_and_cannot_climb_out() {
        let base = Url::parse("https://host/plinth").expect("valid");
        let address = |path: &str| target(&base, path).map(String::from).map_err(|error| error.to_string());
        assert_eq!(address("me").as_deref(), Ok("https://host/plinth/api/v1/me"));
        assert_eq!(address("/healthz?a=b c").as_deref(), Ok("https://host/plinth/healthz?a=b%20c"));
        assert_eq!(address("me?").as_deref(), Ok("https://host/plinth/api/v1/me"));
        for bad in ["a/../b", "a/%2E%2e/b", "a//b", "a/", "/", "a#b", "a\\..\\b", ".", "a\n/b"] {
            assert!(address(bad).is_err(), "{bad} was accepted");
        }
        assert_eq!(
            address(&format!("roles/{}", segment("a/b ?ü"))).as_deref(),
            Ok("https://host/plinth/api/v1/roles/a%2Fb%20%3F%C3%BC")
        );
        assert!(address(&format!("roles/{}", segment(".."))).is_err());
    }
}
