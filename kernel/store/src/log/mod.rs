//! The event log: facts, appended in the transaction of the change and never rewritten.
//!
//! Each tenant's events form a chain: the hash of an event covers its own content and the hash of the one before it, so
//! a changed, removed or inserted row shows.

mod row;

pub(crate) use row::{Hash, Row};

use plinth_core::EventId;
use tokio::sync::oneshot;

use crate::Error;

/// Events of one caller that tell of no other change: all of them are appended, or none.
pub(crate) struct Job {
    pub rows: Vec<Row>,
    pub answer: oneshot::Sender<Result<Vec<Appended>, Error>>,
}

/// Where an event came to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub id: EventId,
    /// None on PostgreSQL until the event is sealed.
    pub position: Option<i64>,
    pub version: u64,
}
