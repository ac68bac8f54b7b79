//! Operators who act as somebody, for a reason that is kept.

use plinth_api::{
    Page, SessionId,
    auth::{Impersonate, Impersonation, ImpersonationStarted},
};

use super::{Call, Verbs};
use crate::{Client, Pages, Query, RequestBuilder, request::Empty};

#[derive(Debug, Clone, Copy)]
pub struct Impersonations<'a>(pub(super) &'a Client);

impl Impersonations<'_> {
    pub fn list(self, query: impl Into<Query>) -> Call<Page<Impersonation>> {
        self.0.list("impersonations", query)
    }

    pub fn all(self, query: impl Into<Query>) -> Pages<Impersonation> {
        self.0.pages("impersonations", query)
    }

    /// The token cannot be renewed: use it as [`Credentials::AccessToken`](crate::Credentials::AccessToken).
    pub fn start(self, request: &Impersonate) -> Call<ImpersonationStarted> {
        self.0.post("impersonations", request)
    }

    pub fn end(self, session: SessionId) -> RequestBuilder<Empty> {
        self.0.delete(&format!("impersonations/{session}"))
    }
}
