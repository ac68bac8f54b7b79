//! Errors on their way out: problem documents, and the macro that gives a room's errors their kind and code.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use plinth_core::{Fault, FieldError, Kind, Problem, api};

/// What the pipeline still has to do to a problem: put the request id in, and log what is ours to mend.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub kind: Kind,
    pub code: Cow<'static, str>,
    pub detail: Option<String>,
    pub fields: Vec<FieldError>,
    pub retry_after: Option<u64>,
    /// For the log only.
    pub cause: Option<String>,
}

impl Refusal {
    pub fn new(kind: Kind, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            detail: Some(detail.into()),
            fields: Vec::new(),
            retry_after: None,
            cause: None,
        }
    }

    pub fn of(problem: &impl Problem) -> Self {
        let internal = matches!(problem.kind(), Kind::Internal | Kind::Unavailable);
        Self {
            kind: problem.kind(),
            code: problem.code(),
            detail: (!internal).then(|| problem.to_string()),
            fields: problem.fields(),
            retry_after: problem.retry_after_seconds(),
            cause: internal.then(|| chain(problem)),
        }
    }

    pub fn invalid(fields: Vec<FieldError>) -> Self {
        let mut refusal = Self::new(Kind::Invalid, "invalid", "the request has fields that cannot be accepted");
        refusal.fields = fields;
        refusal
    }

    /// The document as it goes out.
    pub fn into_document(self, request_id: &str) -> Response {
        let document = api::Problem {
            kind: format!("/docs#problem-{}", self.code),
            title: self.kind.title().into(),
            status: self.kind.status(),
            detail: self.detail,
            code: self.code.into_owned(),
            request_id: request_id.into(),
            errors: self.fields,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let status = StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.kind == Kind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

/// The response carries the refusal; the pipeline writes the document, since only it knows the request id.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Answers with a problem.
pub fn refuse(problem: &impl Problem) -> Response {
    Refusal::of(problem).into_response()
}

/// The errors of a use case, for the OpenAPI document.
pub trait Refuses {
    const CASES: &'static [(Kind, &'static str)];
}

/// The error of a handler that nothing but a fault can befall.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Failed(#[from] pub Fault);

impl From<plinth_store::Error> for Failed {
    fn from(error: plinth_store::Error) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        refuse(&self.0)
    }
}

impl Refuses for Failed {
    const CASES: &'static [(Kind, &'static str)] = &[];
}

/// Says of each variant of an error enum which kind it is and which code it has.
///
/// ```ignore
/// refuses!(Error {
///     Self::SlugTaken => Conflict "slug_taken",
///     Self::NotFound => NotFound "not_found",
/// });
/// ```
///
/// The enum has a variant `Fault(Fault)` besides, and may have `Invalid(Vec<FieldError>)`: name it after the cases as
/// `; fields Self::Invalid`.
#[macro_export]
macro_rules! refuses {
    ($error:ty { $($pattern:pat => $kind:ident $code:literal),* $(,)? }) => {
        $crate::refuses!(@impl $error { $($pattern => $kind $code),* } {} {});
    };
    ($error:ty { $($pattern:pat => $kind:ident $code:literal),* $(,)? } with fields) => {
        $crate::refuses!(@impl $error { $($pattern => $kind $code),* } {
            Self::Invalid(_) => ($crate::core::Kind::Invalid, "invalid"),
        } {
            fn fields(&self) -> Vec<$crate::core::FieldError> {
                if let Self::Invalid(fields) = self { fields.clone() } else { Vec::new() }
            }
        });
    };
    (@impl $error:ty { $($pattern:pat => $kind:ident $code:literal),* } { $($extra:tt)* } { $($methods:tt)* }) => {
        impl $error {
            fn case(&self) -> ($crate::core::Kind, &'static str) {
                match self {
                    $($pattern => ($crate::core::Kind::$kind, $code),)*
                    $($extra)*
                    Self::Fault(fault) => ($crate::core::Problem::kind(fault), "internal"),
                }
            }
        }
        impl $crate::core::Problem for $error {
            fn kind(&self) -> $crate::core::Kind {
                self.case().0
            }
            fn code(&self) -> std::borrow::Cow<'static, str> {
                if let Self::Fault(fault) = self { $crate::core::Problem::code(fault) } else { self.case().1.into() }
            }
            fn retry_after_seconds(&self) -> Option<u64> {
                if let Self::Fault(fault) = self { $crate::core::Problem::retry_after_seconds(fault) } else { None }
            }
            $($methods)*
        }
        impl $crate::Refuses for $error {
            const CASES: &'static [($crate::core::Kind, &'static str)] = &[$(($crate::core::Kind::$kind, $code)),*];
        }
        impl axum::response::IntoResponse for $error {
            fn into_response(self) -> axum::response::Response {
                $crate::refuse(&self)
            }
        }
        impl From<plinth_store::Error> for $error {
            fn from(error: plinth_store::Error) -> Self {
                Self::Fault(error.into())
            }
        }
    };
}
