//! The endpoints of the edge itself: health, metrics and the OpenAPI document.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use plinth_core::api::operations::{Health, HealthCheck, HealthStatus};
use plinth_store::Store;

use crate::{Failed, Json, Mounted, Parts, Visitor, endpoint::get, metrics::Metrics};

/// Whether the kernel takes requests. Shared with whoever begins the shutdown.
#[derive(Clone, Default)]
pub struct Readiness {
    draining: Arc<AtomicBool>,
}

impl Readiness {
    /// Tells load balancers to send no more requests.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Meta {
    store: Store,
    metrics: Metrics,
    readiness: Readiness,
}

pub(crate) fn mount(mounted: &mut Mounted, parts: &Parts) {
    let meta = Meta { store: parts.store.clone(), metrics: parts.metrics.clone(), readiness: parts.readiness.clone() };
    mounted.add(
        "operations",
        &meta,
        vec![
            get("/healthz", alive).summary("Say whether the process is alive"),
            get("/readyz", ready)
                .summary("Say whether the kernel takes requests")
                .description("503 while the database does not answer or the kernel drains."),
            get("/metrics", metrics).summary("Metrics in Prometheus text format").media("text/plain"),
            get("/api/v1/openapi.json", openapi).summary("This document"),
        ],
    );
}

async fn alive(_: Visitor) -> Result<Json<Health>, Failed> {
    Ok(Json(Health { status: HealthStatus::Ok, version: env!("CARGO_PKG_VERSION").into(), checks: Vec::new() }))
}

async fn ready(State(meta): State<Meta>) -> Response {
    let database = meta.store.ping().await;
    let detail = database.as_ref().err().map(|_| "the database does not answer".to_owned());
    let checks = vec![HealthCheck { name: "database".into(), ok: database.is_ok(), detail }];
    let status = match database {
        Err(_) => HealthStatus::Down,
        Ok(()) if meta.readiness.is_draining() => HealthStatus::Draining,
        Ok(()) => HealthStatus::Ok,
    };
    let mut response = Json(Health { status, version: env!("CARGO_PKG_VERSION").into(), checks }).into_response();
    if status != HealthStatus::Ok {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}

async fn metrics(State(meta): State<Meta>) -> Response {
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, text)], meta.metrics.render()).into_response()
}

async fn openapi(visitor: Visitor) -> Response {
    let json = HeaderValue::from_static("application/json");
    (
        [(header::CONTENT_TYPE, json), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))],
        visitor.edge().openapi.clone(),
    )
        .into_response()
}
