//! Time as an argument, so that expiry, retries and billing periods are plain unit tests.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use plinth_api::Timestamp;

pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// Moves the clock forward where that is possible; says whether it was.
    fn advance(&self, _by: Duration) -> bool {
        false
    }
}

/// The host's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        system_now()
    }
}

/// Runs with the host's clock, ahead of it by what it was moved. For tests and for `serve --dev`.
#[derive(Debug, Default)]
pub struct ManualClock {
    ahead_ms: AtomicI64,
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(system_now().millis() + self.ahead_ms.load(Ordering::Relaxed))
    }

    fn advance(&self, by: Duration) -> bool {
        self.ahead_ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4), Ordering::Relaxed);
        true
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the World takes the time from")]
fn system_now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
