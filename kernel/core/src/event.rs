//! Facts in the log: CloudEvents 1.0 with a version per subject.

use plinth_api::{EventId, TenantId, Timestamp};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// A fact to be appended in the transaction of the change it tells of.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// `noun.past_tense`.
    pub kind: &'static str,
    /// What it happened to, such as `api_key/key_…`.
    pub subject: String,
    pub data: Box<RawValue>,
    /// The version of the subject that the change was decided on; the append fails when it is no longer the last.
    pub expected_version: Option<u64>,
}

impl NewEvent {
    /// # Panics
    /// When `data` cannot be written as JSON, which holds for no type of the wire vocabulary.
    pub fn new(kind: &'static str, subject: impl Into<String>, data: &impl Serialize) -> Self {
        let data = to_raw_value(data).expect("event data is plain JSON");
        Self { kind, subject: subject.into(), data, expected_version: None }
    }

    #[must_use]
    pub fn expecting(mut self, version: u64) -> Self {
        self.expected_version = Some(version);
        self
    }
}

/// A fact as it stands in the log.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: EventId,
    pub tenant: TenantId,
    pub position: i64,
    pub kind: String,
    pub subject: String,
    pub version: u64,
    pub time: Timestamp,
    pub actor: String,
    pub correlation: Option<String>,
    pub data: Box<RawValue>,
}
