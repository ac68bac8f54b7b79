//! What the black-box tests stand on: a kernel that is the built binary in a process of its own, databases, people who
//! came in through the front door, and a wire on which anything can be sent.
//!
//! Invariants:
//!
//! * Nothing here links the kernel. What a test knows of it came over HTTP, out of its command line, or from its files.
//! * Every kernel has a data folder, a port and a database of its own, and takes them with it when the test ends. When the
//!   test fails, what the kernel logged is shown.
//! * Nobody sleeps to wait for time to pass: the kernel's clock is moved, and what happens by itself is polled for
//!   ([`eventually`]).

mod actors;
mod binary;
mod command;
mod database;
mod kernel;
mod setup;
mod wire;

use std::time::{Duration, Instant};

pub use actors::{Actor, PASSWORD, unique};
pub use command::{Output, plinth};
pub use database::{Database, PostgresDatabase};
pub use kernel::Kernel;
pub use setup::Setup;
pub use wire::{Answer, Ask, Wire};

/// Asks again and again until the answer is there, and fails with `what` when it is not within `patience`.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    patience: Duration,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            assert!(began.elapsed() < patience, "{place}: not within {patience:?}: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Runs a test that takes a [`Kernel`] on both databases: `on_both_databases!(a, b)` makes `a::sqlite`, `a::postgres` and
/// so on.
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name($crate::Kernel::start()).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$name($crate::Kernel::start_on($crate::Database::Postgres)).await;
            }
        }
    )+};
}
