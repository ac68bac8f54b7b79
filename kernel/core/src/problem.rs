//! Errors, and which type is for where.
//!
//! A use case has an enum of its own; each variant the caller can act on is a fact the caller may learn, and
//! [`Problem`] says which [`Kind`] it is and gives it a stable code. Everything else is a [`Fault`]: it is logged once
//! with the request id, and the caller learns no more than that id. `Display` says one thing; the chain of sources says
//! the rest.

use std::{borrow::Cow, error::Error, fmt};

use plinth_api::FieldError;

/// What the edge does with an error: the HTTP status, decided once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Malformed,
    Unauthenticated,
    Forbidden,
    /// Unknown, or of another tenant: the caller may not know which.
    NotFound,
    MethodNotAllowed,
    Conflict,
    PreconditionFailed,
    TooLarge,
    UnsupportedMedia,
    Invalid,
    RateLimited,
    Internal,
    /// Try again later: the database does not answer, the disk is full, the kernel drains.
    Unavailable,
}

impl Kind {
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::PreconditionFailed => 412,
            Self::TooLarge => 413,
            Self::UnsupportedMedia => 415,
            Self::Invalid => 422,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    pub const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request is malformed",
            Self::Unauthenticated => "Authentication is needed",
            Self::Forbidden => "You may not do this",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::Conflict => "The state does not allow this",
            Self::PreconditionFailed => "The object has changed since you read it",
            Self::TooLarge => "The request is too large",
            Self::UnsupportedMedia => "Unsupported media type",
            Self::Invalid => "A field was refused",
            Self::RateLimited => "Too many requests",
            Self::Internal => "Something went wrong on our side",
            Self::Unavailable => "Not available at the moment",
        }
    }
}

/// An error that the edge can answer with.
pub trait Problem: Error {
    fn kind(&self) -> Kind;

    /// Stable; programs match on it.
    fn code(&self) -> Cow<'static, str>;

    /// The refused fields.
    fn fields(&self) -> Vec<FieldError> {
        Vec::new()
    }

    /// For [`Kind::RateLimited`] and [`Kind::Unavailable`].
    fn retry_after_seconds(&self) -> Option<u64> {
        None
    }
}

/// What is ours to mend, or the weather's: never explained to the caller.
#[derive(Debug)]
pub struct Fault {
    kind: Kind,
    what: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    pub fn internal(what: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: Kind::Internal, what: what.into(), source: None }
    }

    /// The request may succeed later without anybody mending the code.
    pub fn unavailable(what: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: Kind::Unavailable, what: what.into(), source: None }
    }

    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// This error and its sources on one line, for the log.
    pub fn chain(&self) -> String {
        let mut text = self.what.to_string();
        let mut next = self.source();
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl Problem for Fault {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn code(&self) -> Cow<'static, str> {
        if self.kind == Kind::Unavailable { "unavailable".into() } else { "internal".into() }
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        (self.kind == Kind::Unavailable).then_some(2)
    }
}
