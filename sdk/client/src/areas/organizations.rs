//! The teams inside a tenant.

use plinth_api::{
    OrganizationId, Page, UserId,
    tenants::{CreateOrganization, Organization, OrganizationMember, SetOrganizationMember, UpdateOrganization},
};

use super::{Call, Verbs};
use crate::{Client, Pages, Query, RequestBuilder, request::Empty};

#[derive(Debug, Clone, Copy)]
pub struct Organizations<'a>(pub(super) &'a Client);

impl Organizations<'_> {
    pub fn list(self, query: impl Into<Query>) -> Call<Page<Organization>> {
        self.0.list("organizations", query)
    }

    pub fn all(self, query: impl Into<Query>) -> Pages<Organization> {
        self.0.pages("organizations", query)
    }

    pub fn get(self, organization: OrganizationId) -> Call<Organization> {
        self.0.read(&format!("organizations/{organization}"))
    }

    pub fn create(self, request: &CreateOrganization) -> Call<Organization> {
        self.0.post("organizations", request)
    }

    pub fn update(self, organization: OrganizationId, change: &UpdateOrganization) -> Call<Organization> {
        self.0.patch(&format!("organizations/{organization}"), change)
    }

    pub fn delete(self, organization: OrganizationId) -> RequestBuilder<Empty> {
        self.0.delete(&format!("organizations/{organization}"))
    }

    pub fn members(self, organization: OrganizationId, query: impl Into<Query>) -> Call<Page<OrganizationMember>> {
        self.0.list(&format!("organizations/{organization}/members"), query)
    }

    /// Adds the person, or changes their role.
    pub fn set_member(
        self,
        organization: OrganizationId,
        user: UserId,
        request: &SetOrganizationMember,
    ) -> Call<OrganizationMember> {
        self.0.put(&format!("organizations/{organization}/members/{user}"), request)
    }

    pub fn remove_member(self, organization: OrganizationId, user: UserId) -> RequestBuilder<Empty> {
        self.0.delete(&format!("organizations/{organization}/members/{user}"))
    }
}
