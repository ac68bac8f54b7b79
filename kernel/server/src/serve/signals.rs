//! When to stop: Ctrl-C and SIGTERM. The second one does not wait.

use tokio::signal::unix::{SignalKind, signal};

pub async fn wait() {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => {
            tracing::error!("signals cannot be heard; only kill -9 will stop this kernel");
            std::future::pending::<()>().await;
        }
    }
}

pub fn end_at_the_second() {
    tokio::spawn(async {
        wait().await;
        eprintln!("plinth: stopped at once; unfinished work is rolled back");
        std::process::exit(130);
    });
}
