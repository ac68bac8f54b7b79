//! Health, and what only a development kernel answers.

use plinth_api::operations::{ClockReading, Health, MoveClock, Outbox};

use super::{Call, Verbs};
use crate::Client;

#[derive(Debug, Clone, Copy)]
pub struct Operations<'a>(pub(super) &'a Client);

impl Operations<'_> {
    /// The process is up.
    pub fn health(self) -> Call<Health> {
        self.0.read("/healthz").anonymous()
    }

    /// The kernel takes requests. One that does not is an error with status 503.
    pub fn readiness(self) -> Call<Health> {
        self.0.read("/readyz").anonymous().retries(0)
    }

    /// Mails that wait in a development kernel.
    pub fn outbox(self) -> Call<Outbox> {
        self.0.read("dev/outbox")
    }

    /// What time a development kernel thinks it is.
    pub fn clock(self) -> Call<ClockReading> {
        self.0.read("dev/clock")
    }

    /// Moves the clock of a development kernel forward.
    pub fn move_clock(self, request: &MoveClock) -> Call<ClockReading> {
        self.0.post("dev/clock", request)
    }
}
