//! Invitations into a tenant.

use plinth_api::{
    InvitationId, Page,
    auth::SignedIn,
    tenants::{AcceptInvitation, CreateInvitation, Invitation},
};

use super::{Call, Verbs};
use crate::{Client, Pages, Query, RequestBuilder, request::Empty};

#[derive(Debug, Clone, Copy)]
pub struct Invitations<'a>(pub(super) &'a Client);

impl Invitations<'_> {
    pub fn list(self, query: impl Into<Query>) -> Call<Page<Invitation>> {
        self.0.list("invitations", query)
    }

    pub fn all(self, query: impl Into<Query>) -> Pages<Invitation> {
        self.0.pages("invitations", query)
    }

    pub fn get(self, invitation: InvitationId) -> Call<Invitation> {
        self.0.read(&format!("invitations/{invitation}"))
    }

    pub fn create(self, request: &CreateInvitation) -> Call<Invitation> {
        self.0.post("invitations", request)
    }

    pub fn revoke(self, invitation: InvitationId) -> RequestBuilder<Empty> {
        self.0.delete(&format!("invitations/{invitation}"))
    }

    /// As the person who is signed in, or as a new one: then without credentials and with name and password.
    pub fn accept(self, request: &AcceptInvitation) -> Call<SignedIn> {
        self.0.post("invitations/accept", request)
    }
}
