//! An app behind its real layers, called in process.

use std::sync::{Arc, atomic::AtomicU32};
use std::time::Duration;

use axum::{Router, body::Body};
use http::{HeaderName, HeaderValue, Method, header};
use http_body_util::BodyExt;
use plinth_core::ports::Authenticate;
use plinth_gateway::{
    AccessLog, Edge, EdgeConfig, LogFormat, Mounted, Parts, Readiness,
    address::{Forwarding, TrustedProxies},
    assemble,
    limit::Policy,
    metrics::Metrics,
    usage::Usage,
};
use plinth_store::Store;
use serde_json::Value;
use tower::ServiceExt;

use crate::Reply;

#[derive(Clone)]
pub struct App {
    pub router: Router,
    pub edge: Arc<Edge>,
}

impl App {
    /// Limits that no test reaches unless it wants to.
    pub fn config() -> EdgeConfig {
        EdgeConfig {
            body_limit: 256 * 1024,
            request_timeout: Duration::from_secs(30),
            idempotency_keep: Duration::from_secs(86_400),
            address: Policy::new(1_000_000, 1_000_000),
            sign_in: Policy::new(1_000_000, 1_000_000),
            key: Policy::new(1_000_000, 1_000_000),
            tenant: Policy::new(1_000_000, 1_000_000),
            cors: None,
            https: false,
        }
    }

    pub fn new(store: Store, authenticator: Arc<dyn Authenticate>, mounted: Mounted) -> Self {
        Self::with_config(store, authenticator, mounted, Self::config())
    }

    pub fn with_config(
        store: Store,
        authenticator: Arc<dyn Authenticate>,
        mounted: Mounted,
        config: EdgeConfig,
    ) -> Self {
        let parts = Parts {
            store,
            authenticator,
            config,
            proxies: TrustedProxies::new(Vec::new(), Forwarding::XForwarded),
            metrics: Metrics::new("test", Duration::ZERO).expect("metrics"),
            usage: Arc::new(Usage::default()),
            log: AccessLog::start(LogFormat::Off, std::io::sink()).expect("a log"),
            readiness: Readiness::default(),
            docs: true,
        };
        let (router, edge) = assemble(parts, mounted);
        Self { router, edge }
    }

    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }
    pub fn put(&self, path: &str) -> Request {
        self.request(Method::PUT, path)
    }
    pub fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, path)
    }
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    pub fn request(&self, method: Method, path: &str) -> Request {
        let request = http::Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        Request { router: self.router.clone(), request }
    }
}

/// A request that is being put together.
pub struct Request {
    router: Router,
    request: http::Request<Body>,
}

impl Request {
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header name");
        self.request.headers_mut().append(name, HeaderValue::try_from(value).expect("a header value"));
        self
    }

    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *self.request.body_mut() = Body::from(body.to_string());
        self
    }

    #[must_use]
    pub fn raw(mut self, content_type: &str, body: impl Into<Body>) -> Self {
        self.request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::try_from(content_type).expect("a type"));
        *self.request.body_mut() = body.into();
        self
    }

    pub async fn send(self) -> Reply {
        let response = self.router.oneshot(self.request).await.expect("the router answers");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status: parts.status, headers: parts.headers, body, text }
    }
}

/// Numbers for names that must differ within a test.
pub fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
