//! What must happen without anybody asking: keys rotate, old records go, usage is written down, tenants whose time has come
//! are erased.

use std::{sync::Arc, time::Duration};

use plinth_core::{Cause, Fault};
use plinth_gateway::Edge;
use plinth_identity::Identity;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(60);

pub async fn run(identity: Identity, edge: Arc<Edge>, stop: CancellationToken) {
    loop {
        once(&identity, &edge, false).await;
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    // What was counted since the last full minute is not lost.
    told("usage of API keys", identity.flush_usage(&edge, true).await);
}

/// Everything that is due now. Each piece of work stands for itself: one that fails does not hold up the others.
pub async fn once(identity: &Identity, edge: &Edge, all: bool) {
    if let Err(error) = identity.rotate_signing_keys().await {
        tracing::error!(%error, "signing keys could not be rotated");
    }
    told("idempotency records", clean_up(identity).await);
    told("usage of API keys", identity.flush_usage(edge, all).await);
    told("erasure of tenants", identity.erase_due_tenants().await);
}

async fn clean_up(identity: &Identity) -> Result<u64, Fault> {
    let tx = identity.store().change_system(Cause::system("clean-up")).await?;
    let gone = plinth_store::idempotency::clean_up(&tx).await?;
    tx.commit().await?;
    Ok(gone)
}

fn told(what: &str, result: Result<u64, Fault>) {
    match result {
        Ok(0) => {}
        Ok(count) => tracing::debug!(what, count, "background work done"),
        Err(fault) => {
            tracing::error!(what, error = fault.chain(), "background work failed; it is tried again in a minute")
        }
    }
}
