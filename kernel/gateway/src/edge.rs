//! What the edge works with: the store, who knows callers, the limits, the instruments.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use bytes::Bytes;
use plinth_core::{Kind, PermissionInfo, ports::Authenticate};
use plinth_store::Store;
use prometheus::IntCounter;
use rustc_hash::FxHashMap;
use tokio_util::task::TaskTracker;

use crate::{
    access_log::AccessLog,
    address::TrustedProxies,
    limit::{Limiter, Policy},
    metrics::{Metrics, RouteTable},
    refuse::Refusal,
    usage::Usage,
};

#[derive(Debug, Clone)]
pub struct EdgeConfig {
    pub body_limit: usize,
    pub request_timeout: Duration,
    pub idempotency_keep: Duration,
    pub address: Policy,
    /// For endpoints that take a password or a token from a mail, by address.
    pub sign_in: Policy,
    pub key: Policy,
    pub tenant: Policy,
    pub cors: Option<Cors>,
    /// Answers with Strict-Transport-Security: the platform is reached over TLS.
    pub https: bool,
}

#[derive(Debug, Clone)]
pub struct Cors {
    /// Empty: any.
    pub origins: Vec<http::HeaderValue>,
    pub credentials: bool,
    pub max_age: Duration,
}

pub struct Edge {
    pub(crate) store: Store,
    pub(crate) authenticator: Arc<dyn Authenticate>,
    pub(crate) config: EdgeConfig,
    pub(crate) proxies: TrustedProxies,
    pub(crate) limiters: Limiters,
    pub(crate) usage: Arc<Usage>,
    pub(crate) log: Arc<AccessLog>,
    /// Changes at work, whoever still waits for them.
    pub(crate) changes: TaskTracker,
    pub(crate) routes: RouteTable,
    /// Endpoints with rules of their own, by path template.
    pub(crate) special: FxHashMap<&'static str, Special>,
    pub(crate) openapi: Bytes,
    /// Tells the request ids of this process from those of others.
    pub(crate) instance: [u8; 8],
    pub(crate) requests: AtomicU64,
    pub(crate) vocabulary: Vec<PermissionInfo>,
}

/// How an endpoint differs from the others on its way through the layers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Special {
    /// Counted by the stricter limit for credentials.
    pub sign_in: bool,
    /// Handles Idempotency-Key itself.
    pub own_idempotency: bool,
}

pub(crate) struct Limiters {
    pub address: Limited,
    pub sign_in: Limited,
    pub key: Limited,
    pub tenant: Limited,
}

pub(crate) struct Limited {
    pub limiter: Limiter,
    pub name: &'static str,
    pub refused: IntCounter,
}

impl Limiters {
    pub fn new(config: &EdgeConfig, metrics: &Metrics) -> Self {
        let limited = |name, policy| Limited {
            limiter: Limiter::with_capacity(policy, 131_072),
            name,
            refused: metrics.rate_limited(name),
        };
        Self {
            address: limited("address", config.address),
            sign_in: limited("sign_in", config.sign_in),
            key: limited("key", config.key),
            tenant: limited("tenant", config.tenant),
        }
    }
}

impl Edge {
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Every permission that an endpoint asks for.
    pub fn vocabulary(&self) -> &[PermissionInfo] {
        &self.vocabulary
    }

    pub fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// The method and path template behind a number of [`Usage`].
    pub fn route_name(&self, index: u16) -> Option<String> {
        self.routes.by_index(index).map(|route| format!("{} {}", route.method(), route.template()))
    }

    /// The OpenAPI document, as it is served.
    pub fn openapi(&self) -> &[u8] {
        &self.openapi
    }

    /// Waits until every change that is under way has ended.
    pub async fn settle(&self) {
        self.changes.close();
        self.changes.wait().await;
    }
}

/// An object that does not exist, or that the caller may not know of.
pub(crate) fn not_found() -> Refusal {
    Refusal::new(Kind::NotFound, "not_found", "there is nothing here, or nothing that you may see")
}
