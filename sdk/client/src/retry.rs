//! When a call is repeated, and after how long.
//!
//! Back-off doubles from `base` to `cap`; the wait is a random share of it (full jitter), so that clients that failed
//! together do not come back together. A Retry-After is the least that is waited.

use std::time::Duration;

use plinth_api::Timestamp;
use time::{OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem, macros::format_description};

use crate::{
    Error,
    environment::{Environment, jitter},
};

#[derive(Debug, Clone, Copy)]
pub(crate) struct BackOff {
    pub base: Duration,
    pub cap: Duration,
    /// A Retry-After that asks for more is not waited for; the caller learns of it.
    pub patience: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { base: Duration::from_millis(200), cap: Duration::from_secs(20), patience: Duration::from_mins(1) }
    }
}

impl BackOff {
    /// How long to wait after the failure number `failures`, counted from zero.
    pub fn delay(&self, failures: u32, asked: Option<Duration>, environment: &dyn Environment) -> Duration {
        let doubled = self.base.saturating_mul(2_u32.saturating_pow(failures.min(31)));
        asked.unwrap_or_default() + jitter(environment, doubled.min(self.cap))
    }

    /// Whether the call that failed with `error` may be repeated as far as time is concerned.
    pub fn is_worth_it(&self, error: &Error) -> bool {
        error.is_passing() && error.retry_after().is_none_or(|asked| asked <= self.patience)
    }
}

const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Reads Retry-After: seconds, or the date of a proxy that prefers those.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date: OffsetDateTime = PrimitiveDateTime::parse(value, HTTP_DATE).ok()?.assume_utc();
    Some(Timestamp::from_millis(date.unix_timestamp().saturating_mul(1000)).since(now))
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::BoxFuture};

    use super::*;
    use crate::Wait;

    struct Dice(u64);

    impl Environment for Dice {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }
        fn random(&self) -> u64 {
            self.0
        }
        fn wait(&self, _: Wait, _: Duration) -> BoxFuture<'static, ()> {
            std::future::ready(()).boxed()
        }
    }

    #[test]
    fn waits_are_a_share_of_a_doubling_ceiling() {
        let back_off = BackOff { base: Duration::from_millis(100), cap: Duration::from_secs(1), ..BackOff::default() };
        for (failures, ceiling) in [(0, 100), (1, 200), (3, 800), (4, 1000), (40, 1000), (u32::MAX, 1000)] {
            assert_eq!(back_off.delay(failures, None, &Dice(ceiling)), Duration::from_millis(ceiling));
            assert_eq!(back_off.delay(failures, None, &Dice(ceiling + 1)), Duration::ZERO, "beyond the ceiling");
        }
        assert_eq!(back_off.delay(0, Some(Duration::from_secs(9)), &Dice(50)), Duration::from_millis(9050));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::parse("2026-01-31T12:00:00Z").expect("valid");
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sat, 31 Jan 2026 12:01:30 GMT", now), Some(Duration::from_secs(90)));
        assert_eq!(retry_after("Sat, 31 Jan 2026 11:00:00 GMT", now), Some(Duration::ZERO));
        for odd in ["soon", "-1", "1.5", ""] {
            assert_eq!(retry_after(odd, now), None, "{odd}");
        }
    }
}
