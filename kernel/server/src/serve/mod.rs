//! `plinth serve`: from a configuration to a kernel that answers, and back to a quiet folder.

mod background;
mod demo;
mod dev;
mod logging;
mod signals;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use plinth_core::World;
use plinth_gateway::{
    AccessLog, Edge, Mounted, Parts, Readiness,
    address::{Forwarding, TrustedProxies},
    assemble,
    listener::{Listener, ListenerConfig, TlsFiles},
    metrics::Metrics,
    usage::Usage,
};
use plinth_identity::{Identity, administration};
use serde_json::json;
use signals::Signals;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::Serve,
    commands::out,
    config::{Config, Loaded},
    control, data,
    failure::Failure,
    wiring,
};

pub async fn run(loaded: Loaded, options: &Serve) -> Result<(), Failure> {
    let config = &loaded.config;
    logging::start(&config.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let _lock = data::lock(&config.server.data)?;
    let world = if config.server.dev { World::movable() } else { World::system() };
    let listener = bind(config).await?;
    let url = config.server.base_url(listener.local_addr());
    let (store, source) = wiring::open_store(config, world).await?;
    let identity = Identity::start(store.clone(), wiring::identity(config, &url))
        .await
        .context("the room of identities cannot start")?;
    administration::ensure_system_tenant(&identity).await.context("the system tenant cannot be made")?;
    let metrics = metrics(&store)?;
    let listener = listener.observed_by(metrics.connections());
    let readiness = Readiness::default();
    let (router, edge) = build(config, &identity, metrics, readiness.clone())?;
    control::listen(&config.server.data, identity.clone(), source).await?;
    let demo = if options.demo { Some(demo::prepare(&identity, &config.server.data).await?) } else { None };
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let background = tokio::spawn(background::run(identity.clone(), edge.clone(), stop.clone()));
    let serving = tokio::spawn(listener.serve(router, stop.clone()));
    tracing::info!(url, version = env!("CARGO_PKG_VERSION"), database = store.kind(), "serving");
    announce(options, &url, demo.as_ref())?;
    signals.next().await;
    tracing::info!(seconds = config.server.drain_seconds, "stopping: requests in progress are finished");
    readiness.drain();
    stop.cancel();
    signals.end_at_the_next();
    let drained = serving.await.context("the listener broke off")?.context("the listener failed")?;
    finish(&edge, background, config.server.drain_seconds).await;
    store.close().await;
    std::fs::remove_file(data::control_socket(&config.server.data)).ok();
    tracing::info!(finished = drained.finished, cut = drained.cut, "stopped");
    Ok(())
}

async fn bind(config: &Config) -> Result<Listener, Failure> {
    let server = &config.server;
    let listener = ListenerConfig {
        tls: server.tls.files().map(|(cert, key)| TlsFiles {
            cert: cert.to_owned(),
            key: key.to_owned(),
            reload_every: Duration::from_secs(server.tls.reload_seconds),
        }),
        header_timeout: Duration::from_secs(server.header_timeout_seconds),
        max_connections: server.max_connections,
        drain: Duration::from_secs(server.drain_seconds),
        ..ListenerConfig::new(server.listen)
    };
    Listener::bind(listener).await.map_err(|error| Failure::Unavailable(error.into()))
}

fn metrics(store: &plinth_store::Store) -> Result<Metrics, Failure> {
    let started = Duration::from_millis(store.world().now().millis().max(0) as u64);
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), started).context("the metrics cannot be set up")?;
    Ok(metrics)
}

/// The rooms, and the edge around them.
fn build(
    config: &Config,
    identity: &Identity,
    metrics: Metrics,
    readiness: Readiness,
) -> Result<(Router, Arc<Edge>), Failure> {
    let mut mounted = Mounted::default();
    plinth_identity::mount(&mut mounted, identity);
    if config.server.dev {
        dev::mount(&mut mounted, identity);
    }
    identity.learn_vocabulary(&mounted.vocabulary());
    let log = AccessLog::start(logging::access_format(&config.log), std::io::stderr())
        .context("the access log cannot start")?;
    let parts = Parts {
        store: identity.store().clone(),
        authenticator: Arc::new(identity.clone()),
        config: wiring::edge(config),
        proxies: TrustedProxies::new(config.server.trusted_proxies.clone(), Forwarding::XForwarded),
        metrics,
        usage: Arc::new(Usage::default()),
        log,
        readiness,
        docs: config.server.docs,
    };
    Ok(assemble(parts, mounted))
}

/// Changes that were cut from their client go on to their end, within the drain time.
async fn finish(edge: &Edge, background: tokio::task::JoinHandle<()>, drain_seconds: u64) {
    let patience = Duration::from_secs(drain_seconds.max(1));
    if tokio::time::timeout(patience, edge.settle()).await.is_err() {
        tracing::warn!("changes were still at work when the drain time ended; they are rolled back");
    }
    if tokio::time::timeout(patience, background).await.is_err() {
        tracing::warn!("background work did not end in time");
    }
}

fn announce(options: &Serve, url: &str, demo: Option<&demo::Demo>) -> Result<(), Failure> {
    if options.ready_json {
        return out(&format!("{}\n", json!({ "ready": true, "url": url })));
    }
    match demo {
        Some(demo) => out(&demo.welcome(url)),
        None => Ok(()),
    }
}

/// The OpenAPI document of everything that a kernel serves in production.
pub async fn print_openapi(config: &Config) -> Result<(), Failure> {
    let folder = tempfile::tempdir().context("a temporary folder cannot be made")?;
    let mut config = config.clone();
    config.server.data = folder.path().to_owned();
    config.server.dev = false;
    config.store.url = crate::config::Secret::new("");
    config.log.level = "off".into();
    let (identity, _) = wiring::open_identity(&config).await?;
    let metrics = metrics(identity.store())?;
    let (_, edge) = build(&config, &identity, metrics, Readiness::default())?;
    let document: serde_json::Value = serde_json::from_slice(edge.openapi()).context("the document is not JSON")?;
    identity.store().close().await;
    out(&format!("{document:#}\n"))
}
