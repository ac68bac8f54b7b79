//! Puts the edge together: rooms, the endpoints of the edge itself, and the layers around them.

use std::sync::{Arc, atomic::AtomicU64};

use axum::{Router, response::IntoResponse};
use bytes::Bytes;
use http::{HeaderName, Method, header};
use plinth_core::{Kind, ports::Authenticate};
use plinth_store::Store;
use rustc_hash::FxHashMap;
use tokio_util::task::TaskTracker;
use tower_http::{
    compression::{
        CompressionLayer,
        predicate::{NotForContentType, Predicate, SizeAbove},
    },
    cors::{AllowOrigin, CorsLayer},
};

use crate::{
    AccessLog, Edge, EdgeConfig, Mounted,
    address::TrustedProxies,
    docs,
    edge::{Cors, Limiters},
    meta::{self, Readiness},
    metrics::Metrics,
    not_found, openapi,
    refuse::Refusal,
    stack::Layers,
    usage::Usage,
};

/// What the edge is put together from.
pub struct Parts {
    pub store: Store,
    pub authenticator: Arc<dyn Authenticate>,
    pub config: EdgeConfig,
    pub proxies: TrustedProxies,
    pub metrics: Metrics,
    pub usage: Arc<Usage>,
    pub log: AccessLog,
    pub readiness: Readiness,
    /// Serve `/docs`.
    pub docs: bool,
}

/// The whole edge as a router, and the handle to it.
pub fn assemble(parts: Parts, mut mounted: Mounted) -> (Router, Arc<Edge>) {
    meta::mount(&mut mounted, &parts);
    let openapi = openapi::document(mounted.operations());
    let routes =
        parts.metrics.routes(mounted.operations().iter().map(|operation| (operation.method.clone(), operation.path)));
    let mut special = FxHashMap::default();
    for operation in mounted.operations() {
        if operation.special.sign_in || operation.special.own_idempotency {
            special.insert(operation.path, operation.special);
        }
    }
    let mut instance = [0; 8];
    parts.store.world().fill(&mut instance);
    let edge = Arc::new(Edge {
        instance,
        requests: AtomicU64::new(0),
        limiters: Limiters::new(&parts.config, &parts.metrics),
        store: parts.store,
        authenticator: parts.authenticator,
        proxies: parts.proxies,
        usage: parts.usage,
        log: Arc::new(parts.log),
        changes: TaskTracker::new(),
        routes,
        special,
        vocabulary: mounted.vocabulary(),
        openapi: Bytes::from(serde_json::to_vec(&openapi).unwrap_or_default()),
        config: parts.config,
    });
    let router = if parts.docs { mounted.router.merge(docs::routes()) } else { mounted.router };
    let router = router
        .fallback(|| async { not_found().into_response() })
        .method_not_allowed_fallback(|| async {
            Refusal::new(
                Kind::MethodNotAllowed,
                "method_not_allowed",
                "this path knows other methods; see the Allow header",
            )
        })
        .layer(Layers(edge.clone()))
        .layer(compression());
    let router = match &edge.config.cors {
        Some(cors) => router.layer(cross_origin(cors)),
        None => router,
    };
    (router, edge)
}

/// Small answers cost more to compress than to send; a stream must not wait for a block to fill.
fn compression() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new().compress_when(SizeAbove::new(1400).and(NotForContentType::new("text/event-stream")))
}

fn cross_origin(cors: &Cors) -> CorsLayer {
    let origins = if cors.origins.is_empty() { AllowOrigin::any() } else { AllowOrigin::list(cors.origins.clone()) };
    let request = ["idempotency-key", "plinth-tenant", "plinth-min-position", "plinth-signature", "last-event-id"];
    let answer = ["request-id", "plinth-position", "ratelimit", "ratelimit-policy", "idempotent-replayed"];
    let request = request.map(HeaderName::from_static).into_iter();
    let answer = answer.map(HeaderName::from_static).into_iter();
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(
            request
                .chain([header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH])
                .collect::<Vec<_>>(),
        )
        .expose_headers(answer.chain([header::ETAG, header::RETRY_AFTER]).collect::<Vec<_>>())
        .allow_credentials(cors.credentials)
        .max_age(cors.max_age)
}
