//! What the client takes from its surroundings: time, waiting and randomness.
//!
//! They are arguments, so that expiry, back-off and time-outs are tested without a test that sleeps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{FutureExt, future::BoxFuture};
use plinth_api::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

/// What a wait is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Before a call is repeated or a stream is opened again.
    BackOff,
    /// How long an answer may take; the call is given up when this wait is over.
    Answer,
    /// How long a stream may be silent; it is opened again when this wait is over.
    Heartbeat,
}

pub trait Environment: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// Any value, each as likely as the others.
    fn random(&self) -> u64;

    fn wait(&self, what: Wait, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The host's clock, tokio's timers and the operating system's randomness.
#[derive(Debug)]
pub struct SystemEnvironment {
    random: SystemRandom,
}

impl SystemEnvironment {
    pub fn new() -> Self {
        Self { random: SystemRandom::new() }
    }
}

impl Default for SystemEnvironment {
    fn default() -> Self {
        Self::new()
    }
}

impl Environment for SystemEnvironment {
    #[expect(clippy::disallowed_methods, reason = "this is where the client's time comes from")]
    fn now(&self) -> Timestamp {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    fn random(&self) -> u64 {
        let mut bytes = [0_u8; 8];
        self.random.fill(&mut bytes).expect("the operating system gives randomness");
        u64::from_be_bytes(bytes)
    }

    fn wait(&self, _: Wait, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }
}

/// A fresh Idempotency-Key.
pub(crate) fn fresh_key(environment: &dyn Environment) -> String {
    let mut tail = [0_u8; 10];
    tail[..8].copy_from_slice(&environment.random().to_be_bytes());
    tail[8..].copy_from_slice(&environment.random().to_be_bytes()[..2]);
    let millis = u64::try_from(environment.now().millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &tail)
        .into_uuid()
        .hyphenated()
        .encode_lower(&mut Uuid::encode_buffer())
        .to_owned()
}

/// A random share of `most`.
pub(crate) fn jitter(environment: &dyn Environment, most: Duration) -> Duration {
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(environment.random() % millis.saturating_add(1).max(1))
}
