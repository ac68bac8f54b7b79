//! Hears on one connection of its own what other nodes have changed.
//!
//! Messages are lost while there is no connection, so every loss ends with [`Invalidation::Everything`], told when the node
//! listens again. A connection that died without a word shows within [`SILENCE`].

use std::time::Duration;

use sea_orm::{DbBackend, Statement};
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use super::{PostgresError, options, unreachable};
use crate::{Error, Invalidation, config::StoreConfig};

/// The channel on which nodes tell each other what to forget.
const CHANNEL: &str = "plinth_invalidation";

/// After this long without a message the connection is tried.
const SILENCE: Duration = Duration::from_secs(10);

/// Between two attempts to listen again.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) fn notification(invalidation: Invalidation) -> Statement {
    let payload = serde_json::to_string(&invalidation).unwrap_or_default();
    Statement::from_sql_and_values(DbBackend::Postgres, "select pg_notify($1, $2)", [CHANNEL.into(), payload.into()])
}

/// Listens from the moment this returns; `tell` hears until `stop` is cancelled or says that nobody wants to know any more.
pub(crate) async fn listen(
    url: String,
    config: &StoreConfig,
    stop: CancellationToken,
    tell: impl Fn(Invalidation) -> bool + Send + 'static,
) -> Result<(), PostgresError> {
    let limit = config.acquire_timeout;
    let first = connect(&url, limit).await?;
    tokio::spawn(async move { stop.run_until_cancelled(hear(first, url, limit, tell)).await });
    Ok(())
}

async fn connect(url: &str, limit: Duration) -> Result<PgListener, PostgresError> {
    let options = options(url)?;
    let failed = unreachable(&options);
    let connecting = async {
        // A pool that lends once: the listener of sqlx takes its connection from one.
        let pool =
            PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None).connect_with(options).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.ignore_pool_close_event(true);
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(listener)
    };
    tokio::time::timeout(limit, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(failed)
}

async fn hear(first: PgListener, url: String, limit: Duration, tell: impl Fn(Invalidation) -> bool) {
    let mut listener = Some(first);
    loop {
        if let Some(mut connected) = listener.take() {
            loop {
                match next(&mut connected, limit).await {
                    Ok(Some(invalidation)) => {
                        if !tell(invalidation) {
                            return;
                        }
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%error, "lost the connection on which other nodes tell of changes");
                        break;
                    }
                }
            }
        }
        match connect(&url, limit).await {
            Ok(connected) => listener = Some(connected),
            Err(error) => {
                tracing::warn!(error = %plinth_core::Fault::internal("not listening").because(error).chain(), "cannot hear of changes on other nodes");
                tokio::time::sleep(PAUSE).await;
            }
        }
        // Also while there is no connection: what is read meanwhile may be old at the next moment.
        if !tell(Invalidation::Everything) {
            return;
        }
    }
}

/// The next message; none when nothing came for a while and the connection is sound.
async fn next(listener: &mut PgListener, limit: Duration) -> Result<Option<Invalidation>, Error> {
    match tokio::time::timeout(SILENCE, listener.try_recv()).await {
        Ok(Ok(Some(message))) => Ok(Some(serde_json::from_str(message.payload()).unwrap_or(Invalidation::Everything))),
        Ok(Ok(None)) => Err(Error::Unavailable("the server has closed it".into())),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => {
            let answer = tokio::time::timeout(limit, sqlx::query("select 1").execute(listener)).await;
            answer.map_err(|_| Error::Unavailable("the server does not answer".into()))??;
            Ok(None)
        }
    }
}
