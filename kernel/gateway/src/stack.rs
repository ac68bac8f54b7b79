//! The layers that every request passes, in this order and nowhere else:
//!
//! 1. **identify**: request id, client address, route
//! 2. **guard**: a panic is a 500 and nobody else's problem
//! 3. **body limit**
//! 4. **rate limit by address**
//! 5. **authentication**, with the signature of keys that demand one
//! 6. **tenant**: the one of the credential, or the one an operator names
//! 7. **rate limit by key and by tenant**
//! 8. **idempotency**
//! 9. **route**: extractor, handler, commit
//! 10. **answer**: problem document, security headers, access log, metrics
//!
//! A change runs in a task of its own from step 8 on: a client that hangs up, or a time limit, ends the wait and never
//! the work.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use plinth_core::{
    FieldError, Kind, Principal, TenantId,
    ports::{AuthenticationError, Credential},
};
use tower::{Layer, Service};

use crate::{
    Edge,
    access_log::Line,
    address::limit_key,
    desk::{Exchange, tag_matches},
    edge::{Limited, Special},
    input::body_error,
    limit::{Policy, Verdict, rate_limit_header, rate_limit_policy_header},
    listener::{OverTls, Peer},
    metrics::RouteMetrics,
    openapi::changes,
    refuse::Refusal,
    replay, signature,
    usage::Call,
};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const ACT_IN: HeaderName = HeaderName::from_static("plinth-tenant");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Puts the layers around every route.
#[derive(Clone)]
pub(crate) struct Layers(pub Arc<Edge>);

impl<S> Layer<S> for Layers {
    type Service = Stack<S>;
    fn layer(&self, inner: S) -> Stack<S> {
        Stack { edge: self.0.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct Stack<S> {
    edge: Arc<Edge>,
    inner: S,
}

impl<S> Service<Request> for Stack<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        let edge = self.edge.clone();
        Box::pin(async move { Ok(pass(edge, request, inner).await) })
    }
}

/// What is known of a request before anything is asked of anybody.
struct Arrival {
    started: Instant,
    request_id: Arc<str>,
    client: IpAddr,
    https: bool,
    method: Method,
    path: String,
    if_none_match: Option<HeaderValue>,
    route: Arc<RouteMetrics>,
    special: Special,
}

/// What the layers found out on the way, for the answer and the log.
#[derive(Default)]
struct Found {
    principal: Option<Arc<Principal>>,
    /// The tightest limit that was looked at.
    rate: Option<(&'static str, Policy, Verdict)>,
}

async fn pass<S>(edge: Arc<Edge>, mut request: Request, inner: S) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let arrival = identify(&edge, &request);
    let in_flight = arrival.route.begin();
    let mut found = Found::default();
    let response = match admit(&edge, &arrival, &mut request, &mut found).await {
        Ok(caller) => run(&edge, &arrival, caller, request, inner).await,
        Err(refusal) => refusal.into_response(),
    };
    let response = answer(&edge, &arrival, &found, response);
    drop(in_flight);
    response
}

fn identify(edge: &Edge, request: &Request) -> Arrival {
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip());
    let over_tls = request.extensions().get::<OverTls>().is_some();
    let template = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let special = template.and_then(|template| edge.special.get(template)).copied().unwrap_or_default();
    Arrival {
        started: Instant::now(),
        request_id: new_request_id(edge),
        client: edge.proxies.client(peer, request.headers()),
        https: edge.proxies.origin(peer, over_tls, request.headers()).https,
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        if_none_match: request.headers().get(header::IF_NONE_MATCH).cloned(),
        route: edge.routes.get(request.method(), template).clone(),
        special,
    }
}

/// Nobody may do anything with a request id but ask about it, so it need not be hard to guess: a number of this process,
/// and a count.
fn new_request_id(edge: &Edge) -> Arc<str> {
    let mut bytes = [0; 15];
    bytes[..8].copy_from_slice(&edge.instance);
    bytes[8..].copy_from_slice(&edge.requests.fetch_add(1, Ordering::Relaxed).to_be_bytes()[1..]);
    let mut text = *b"req_000000000000000000000000";
    data_encoding::BASE32_DNSCURVE.encode_mut(&bytes, &mut text[4..]);
    std::str::from_utf8(&text).unwrap_or("req_").into()
}

/// Steps 3 to 7. What is found out is kept even when the request is refused.
async fn admit(
    edge: &Edge,
    arrival: &Arrival,
    request: &mut Request,
    found: &mut Found,
) -> Result<Result<Option<Arc<Principal>>, AuthenticationError>, Refusal> {
    refuse_nul(request)?;
    limit_body(edge, request)?;
    let by_address = limit_key(arrival.client);
    if arrival.special.sign_in && request.method() == Method::POST {
        limit(edge, &edge.limiters.sign_in, None, by_address, found)?;
    }
    limit(edge, &edge.limiters.address, None, by_address, found)?;
    let caller = authenticate(edge, request).await;
    if let Err(error @ AuthenticationError::Fault(_)) = &caller {
        return Err(Refusal::of(error));
    }
    if let Ok(Some(principal)) = &caller {
        found.principal = Some(principal.clone());
        if let Some(tenant) = principal.tenant {
            let own = principal.tenant_rate.map(|rate| Policy::new(rate, (rate / 6).max(1)));
            limit(edge, &edge.limiters.tenant, own, fold(tenant.uuid().as_u128()), found)?;
        }
        limit(edge, &edge.limiters.key, None, fold(principal.fingerprint()), found)?;
    }
    Ok(caller)
}

fn fold(wide: u128) -> u64 {
    (wide >> 64) as u64 ^ wide as u64
}

/// U+0000 is text that one of the databases cannot hold, and nobody's name: it is refused at the door, for both.
fn refuse_nul(request: &Request) -> Result<(), Refusal> {
    let uri = request.uri();
    if uri.path().contains("%00") {
        return Err(crate::not_found());
    }
    if uri.query().is_some_and(|query| query.contains("%00")) {
        return Err(Refusal::invalid(vec![FieldError::new(
            "",
            "invalid_value",
            "the query holds the character U+0000",
        )]));
    }
    Ok(())
}

fn limit_body(edge: &Edge, request: &mut Request) -> Result<(), Refusal> {
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > edge.config.body_limit as u64) {
        let most = edge.config.body_limit / 1024;
        return Err(Refusal::new(Kind::TooLarge, "body_too_large", format!("a body may have {most} KiB at most")));
    }
    if !http_body::Body::is_end_stream(request.body()) {
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = Body::new(http_body_util::Limited::new(body, edge.config.body_limit));
    }
    Ok(())
}

fn limit(edge: &Edge, by: &Limited, own: Option<Policy>, key: u64, found: &mut Found) -> Result<(), Refusal> {
    let policy = own.unwrap_or(*by.limiter.policy());
    let now = edge.store.world().now().millis().max(0) as u64 * 1_000_000;
    let verdict = by.limiter.check_with(policy, key, now, 1);
    let tighter = found.rate.is_none_or(|(_, _, other)| !verdict.allowed || verdict.remaining <= other.remaining);
    if tighter {
        found.rate = Some((by.name, policy, verdict));
    }
    if verdict.allowed {
        return Ok(());
    }
    by.refused.inc();
    let mut refusal = Refusal::new(
        Kind::RateLimited,
        "rate_limited",
        format!("too many requests for this {}; try again after the time in Retry-After", by.name.replace('_', "-")),
    );
    refusal.retry_after = Some(verdict.retry_after_ms.div_ceil(1000).max(1));
    Err(refusal)
}

async fn authenticate(edge: &Edge, request: &mut Request) -> Result<Option<Arc<Principal>>, AuthenticationError> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(bearer).ok_or(AuthenticationError::Invalid)?;
    let act_in = match request.headers().get(ACT_IN) {
        Some(tenant) => Some(parse_tenant(tenant).ok_or(AuthenticationError::NoSuchTenant)?),
        None => None,
    };
    let credential = Credential { token, act_in };
    let principal = match edge.authenticator.cached(credential) {
        Some(principal) => principal,
        None => edge.authenticator.authenticate(credential).await?,
    };
    if let Some(secret) = principal.signing.clone() {
        signature::check(edge, request, &secret).await?;
    }
    Ok(Some(principal))
}

/// The token behind `Bearer`, whatever its letters' case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

fn parse_tenant(value: &HeaderValue) -> Option<TenantId> {
    value.to_str().ok()?.parse().ok()
}

/// Steps 8 and 9.
async fn run<S>(
    edge: &Arc<Edge>,
    arrival: &Arrival,
    caller: Result<Option<Arc<Principal>>, AuthenticationError>,
    mut request: Request,
    mut inner: S,
) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let exchange = Arc::new(Exchange {
        edge: edge.clone(),
        request_id: arrival.request_id.clone(),
        client: arrival.client,
        https: arrival.https,
        caller,
        if_match: request.headers().get(header::IF_MATCH).cloned(),
        ticket: Mutex::new(None),
        begun: AtomicBool::new(false),
    });
    request.extensions_mut().insert(exchange.clone());
    let timeout = edge.config.request_timeout;
    if !changes(request.method()) {
        let work = AssertUnwindSafe(inner.call(request)).catch_unwind();
        return match tokio::time::timeout(timeout, work).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Err(panic)) => panicked(arrival, panic.as_ref()),
            Err(_) => too_slow(),
        };
    }
    let own_idempotency = arrival.special.own_idempotency;
    let work = edge.changes.spawn(async move {
        if own_idempotency {
            let Ok(response) = inner.call(request).await;
            return response;
        }
        replay::once(&exchange, request, |request| async move {
            let Ok(response) = inner.call(request).await;
            response
        })
        .await
    });
    match tokio::time::timeout(timeout, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => match error.try_into_panic() {
            Ok(panic) => panicked(arrival, panic.as_ref()),
            Err(_) => too_slow(),
        },
        Err(_) => too_slow(),
    }
}

fn panicked(arrival: &Arrival, panic: &(dyn std::any::Any + Send)) -> Response {
    let message = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let mut refusal = Refusal::new(Kind::Internal, "internal", String::new());
    refusal.detail = None;
    refusal.cause = Some(format!("panic in {}: {}", arrival.route.template(), message.unwrap_or("no message")));
    refusal.into_response()
}

fn too_slow() -> Response {
    let mut refusal = Refusal::new(
        Kind::Unavailable,
        "timeout",
        "this takes longer than a request may; a change goes on, so ask for its result or repeat it under its Idempotency-Key",
    );
    refusal.retry_after = Some(5);
    refusal.into_response()
}

/// Step 10.
fn answer(edge: &Edge, arrival: &Arrival, found: &Found, response: Response) -> Response {
    let (mut response, code) = document(arrival, response);
    not_modified(arrival, &mut response);
    let status = response.status();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(&*arrival.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some((name, policy, verdict)) = &found.rate {
        headers.insert(RATE_LIMIT, rate_limit_header(name, verdict));
        headers.insert(RATE_LIMIT_POLICY, rate_limit_policy_header(name, policy));
    }
    secure(headers, edge.config.https || arrival.https);
    let took = arrival.started.elapsed();
    arrival.route.answered(status, took);
    let now = edge.store.world().now();
    if let Some(principal) = &found.principal
        && let (Some(key), Some(tenant)) = (principal.key, principal.tenant)
    {
        let call = Call {
            tenant: tenant.uuid().as_u128(),
            key: key.uuid().as_u128(),
            route: arrival.route.index(),
            status,
            latency_us: took.as_micros() as u64,
        };
        edge.usage.record(&call, now.millis().max(0) as u64);
    }
    if edge.log.enabled() {
        edge.log.write(&Line {
            time: now,
            request_id: &arrival.request_id,
            method: arrival.method.as_str(),
            path: &arrival.path,
            route: arrival.route.template(),
            status: status.as_u16(),
            micros: took.as_micros(),
            client: arrival.client,
            tenant: found.principal.as_ref().and_then(|principal| principal.tenant),
            actor: found.principal.as_ref().map(|principal| principal.actor),
            code: code.as_deref(),
        });
    }
    response
}

/// Turns a refusal into its document; what is ours to mend is logged here, once.
fn document(arrival: &Arrival, mut response: Response) -> (Response, Option<String>) {
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else { return (response, None) };
    if let Some(cause) = &refusal.cause {
        tracing::error!(request_id = &*arrival.request_id, route = arrival.route.template(), cause, "a request failed");
    }
    let code = refusal.code.to_string();
    let mut document = refusal.into_document(&arrival.request_id);
    for (name, value) in response.headers() {
        if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
            document.headers_mut().append(name, value.clone());
        }
    }
    (document, Some(code))
}

fn not_modified(arrival: &Arrival, response: &mut Response) {
    let unchanged = response.status() == StatusCode::OK
        && [Method::GET, Method::HEAD].contains(&arrival.method)
        && arrival
            .if_none_match
            .as_ref()
            .zip(response.headers().get(header::ETAG))
            .is_some_and(|(wanted, tag)| tag_matches(wanted, tag));
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
}

fn secure(headers: &mut HeaderMap, https: bool) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if https {
        headers
            .insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000; includeSubDomains"));
    }
}

/// Reads the body to its end and puts it back, for the steps that must see it.
pub(crate) async fn buffer(request: &mut Request) -> Result<bytes::Bytes, Refusal> {
    let body = std::mem::take(request.body_mut());
    let bytes = body.collect().await.map_err(|error| body_error(&error))?.to_bytes();
    *request.body_mut() = Body::from(bytes.clone());
    Ok(bytes)
}
