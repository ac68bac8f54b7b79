//! Answers that must not tell whether an account exists also take the same time.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Longer than the work for an account that exists: a token, a mail and a commit.
pub const LEAST: Duration = Duration::from_millis(200);

/// Begun before anything is looked up, waited for when everything is done and no transaction is open.
#[derive(Debug)]
pub struct EvenTime(Instant);

impl EvenTime {
    pub fn begin() -> Self {
        Self(Instant::now() + LEAST)
    }

    pub async fn wait(self) {
        sleep_until(self.0).await;
    }
}
