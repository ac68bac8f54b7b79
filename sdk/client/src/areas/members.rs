//! The people of a tenant.

use plinth_api::{
    Page, TenantId, UserId,
    users::{Member, UpdateMember},
};

use super::{Call, Verbs};
use crate::{Client, Pages, Query, RequestBuilder, request::Empty};

#[derive(Debug, Clone, Copy)]
pub struct Members<'a>(pub(super) &'a Client, pub(super) TenantId);

impl Members<'_> {
    pub fn list(self, query: impl Into<Query>) -> Call<Page<Member>> {
        self.0.list(&self.path(), query)
    }

    pub fn all(self, query: impl Into<Query>) -> Pages<Member> {
        self.0.pages(&self.path(), query)
    }

    pub fn get(self, user: UserId) -> Call<Member> {
        self.0.read(&format!("{}/{user}", self.path()))
    }

    pub fn update(self, user: UserId, change: &UpdateMember) -> Call<Member> {
        self.0.patch(&format!("{}/{user}", self.path()), change)
    }

    pub fn remove(self, user: UserId) -> RequestBuilder<Empty> {
        self.0.delete(&format!("{}/{user}", self.path()))
    }

    fn path(self) -> String {
        format!("tenants/{}/members", self.1)
    }
}
