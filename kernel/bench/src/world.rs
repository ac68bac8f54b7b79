//! A kernel in this process, for measuring.

use std::{sync::Arc, time::Duration};

use plinth_core::World;
use plinth_gateway::{
    AccessLog, EdgeConfig, LogFormat, Mounted, Parts, Readiness,
    address::{Forwarding, TrustedProxies},
    assemble,
    limit::Policy,
    metrics::Metrics,
    usage::Usage,
};
use plinth_identity::{Identity, IdentityConfig};
use plinth_store::{Database, Store, StoreConfig, keyring::MasterKeys};

pub struct Kernel {
    pub router: axum::Router,
    pub folder: tempfile::TempDir,
}

impl Kernel {
    /// Everything as in production, but for limits that no load reaches and a log that nobody reads.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let world = World::system();
        let keys = MasterKeys::generate(world.random())?;
        let store =
            Store::open(StoreConfig::new(Database::Sqlite(folder.path().join("plinth.db"))), world, keys).await?;
        // Passwords are not what is measured.
        let config = IdentityConfig { argon2_memory_kib: 64, argon2_iterations: 1, ..IdentityConfig::default() };
        let identity = Identity::start(store.clone(), config).await?;
        let mut mounted = Mounted::default();
        plinth_identity::mount(&mut mounted, &identity);
        identity.learn_vocabulary(&mounted.vocabulary());
        let much = Policy::new(u32::MAX / 2, u32::MAX / 2);
        let parts = Parts {
            store,
            authenticator: Arc::new(identity.clone()),
            config: EdgeConfig {
                body_limit: 1 << 20,
                request_timeout: Duration::from_secs(30),
                idempotency_keep: Duration::from_secs(86_400),
                address: much,
                sign_in: much,
                key: much,
                tenant: much,
                cors: None,
                https: false,
            },
            proxies: TrustedProxies::new(Vec::new(), Forwarding::XForwarded),
            metrics: Metrics::new("bench", Duration::ZERO)?,
            usage: Arc::new(Usage::default()),
            log: AccessLog::start(LogFormat::Json, std::fs::File::create("/dev/null")?)?,
            readiness: Readiness::default(),
            docs: true,
        };
        let (router, _) = assemble(parts, mounted);
        Ok(Self { router, folder })
    }

    /// A request in process; fails when the answer is not a success.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &serde_json::Value,
    ) -> anyhow::Result<serde_json::Value> {
        use tower::ServiceExt;
        let mut request =
            axum::http::Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = if body.is_null() { axum::body::Body::empty() } else { axum::body::Body::from(body.to_string()) };
        let response = self.router.clone().oneshot(request.body(body)?).await?;
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await?;
        anyhow::ensure!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&bytes));
        Ok(serde_json::from_slice(&bytes)?)
    }
}
