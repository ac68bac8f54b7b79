//! Roles and the permissions they are made of.

use plinth_api::{
    Page, RoleId,
    roles::{CreateRole, Permission, Role, UpdateRole},
};

use super::{Call, Verbs};
use crate::{Client, Pages, Query, RequestBuilder, request::Empty, segment};

#[derive(Debug, Clone, Copy)]
pub struct Roles<'a>(pub(super) &'a Client);

impl Roles<'_> {
    pub fn list(self, query: impl Into<Query>) -> Call<Page<Role>> {
        self.0.list("roles", query)
    }

    pub fn all(self, query: impl Into<Query>) -> Pages<Role> {
        self.0.pages("roles", query)
    }

    /// `key` is the name of a system role, or the id of one of yours.
    pub fn get(self, key: &str) -> Call<Role> {
        self.0.read(&format!("roles/{}", segment(key)))
    }

    pub fn create(self, request: &CreateRole) -> Call<Role> {
        self.0.post("roles", request)
    }

    pub fn update(self, role: RoleId, change: &UpdateRole) -> Call<Role> {
        self.0.patch(&format!("roles/{role}"), change)
    }

    pub fn delete(self, role: RoleId) -> RequestBuilder<Empty> {
        self.0.delete(&format!("roles/{role}"))
    }

    /// The vocabulary that roles and scopes are made of.
    pub fn permissions(self) -> Call<Page<Permission>> {
        self.0.list("permissions", ())
    }
}
