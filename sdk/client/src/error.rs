//! Why a call gave no result.
//!
//! [`Error::Problem`] is what the kernel said; everything else happened on the way there or back. Errors can be cloned,
//! since callers that wait for one refresh share its outcome.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use http::StatusCode;
use plinth_api::Problem;

use crate::Meta;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused; match on [`Error::code`].
    #[error("{0}")]
    Problem(Box<Problem>, Box<Meta>),
    #[error("no answer from {server}; check the address and the network")]
    Transport { server: String, source: Arc<dyn StdError + Send + Sync> },
    #[error("{server} did not answer within {after:?}; what was asked may have been done all the same")]
    Timeout { server: String, after: Duration },
    /// What came back is not what the API promises: a proxy answered, or the versions do not fit.
    #[error("the answer with status {} (request {}) cannot be read: {reason}", .meta.status, request_id(.meta))]
    Decode { reason: String, meta: Box<Meta> },
    #[error("the answer (request {}) has more than {limit} bytes; raise `max_body` to read it", request_id(.meta))]
    TooLarge { limit: usize, meta: Box<Meta> },
    /// The session has ended on the server and nothing but a new sign-in helps.
    #[error("signed out ({code}); sign in again")]
    SignedOut { code: String },
    /// The request was not sent, because it cannot be right.
    #[error("the request is not valid: {0}")]
    Request(String),
    /// The client cannot be built this way.
    #[error("the client cannot be set up: {reason}")]
    Setup { reason: String, source: Option<Arc<dyn StdError + Send + Sync>> },
}

impl Error {
    /// The stable code of what went wrong, if the kernel gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem, _) => Some(&problem.code),
            Self::SignedOut { code } => Some(code),
            _ => None,
        }
    }

    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.meta().map(|meta| meta.status)
    }

    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Problem(problem, meta) => meta.request_id.as_deref().or(Some(&problem.request_id)),
            _ => self.meta()?.request_id.as_deref(),
        }
    }

    pub fn problem(&self) -> Option<&Problem> {
        if let Self::Problem(problem, _) = self { Some(problem) } else { None }
    }

    /// How long the server asked to stay away.
    pub fn retry_after(&self) -> Option<Duration> {
        self.meta()?.retry_after
    }

    pub fn meta(&self) -> Option<&Meta> {
        match self {
            Self::Problem(_, meta) | Self::Decode { meta, .. } | Self::TooLarge { meta, .. } => Some(meta),
            _ => None,
        }
    }

    pub(crate) fn decode(reason: impl Into<String>, meta: Meta) -> Self {
        Self::Decode { reason: reason.into(), meta: Box::new(meta) }
    }

    /// The same request may succeed later without anybody changing anything.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Timeout { .. } => true,
            // The first attempt is still at work under the same Idempotency-Key.
            Self::Problem(problem, meta) if meta.status == StatusCode::CONFLICT => problem.code == "in_progress",
            Self::Problem(_, meta) | Self::Decode { meta, .. } => matches!(meta.status.as_u16(), 429 | 502 | 503 | 504),
            _ => false,
        }
    }
}

fn request_id(meta: &Meta) -> &str {
    meta.request_id.as_deref().unwrap_or("unknown")
}
