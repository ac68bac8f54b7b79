//! Health, and what only a development kernel answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{MailId, Timestamp};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    pub status: HealthStatus,
    pub version: String,
    pub checks: Vec<HealthCheck>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    Ok,
    Draining,
    Down,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HealthCheck {
    pub name: String,
    pub ok: bool,
    pub detail: Option<String>,
}

/// A mail that waits for a channel, as `serve --dev` shows it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OutboxMail {
    pub id: MailId,
    pub to: String,
    pub subject: String,
    pub text: String,
    /// What the mail is for, such as `password_reset`.
    pub purpose: String,
    /// The one-time token in it, for tests.
    pub token: Option<String>,
    pub created_at: Timestamp,
}

/// The newest mails.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Outbox {
    pub data: Vec<OutboxMail>,
}

/// Moves the clock of a development kernel forward.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveClock {
    pub advance_seconds: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClockReading {
    pub now: Timestamp,
}
