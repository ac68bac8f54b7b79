//! Tenants: a customer organisation each.

use plinth_api::{
    Page, TenantId,
    tenants::{ErasurePlan, Reason, Tenant, TenantExport, UpdateTenant},
};

use super::{Call, Verbs};
use crate::{Client, Pages, Query};

#[derive(Debug, Clone, Copy)]
pub struct Tenants<'a>(pub(super) &'a Client);

impl Tenants<'_> {
    pub fn list(self, query: impl Into<Query>) -> Call<Page<Tenant>> {
        self.0.list("tenants", query)
    }

    pub fn all(self, query: impl Into<Query>) -> Pages<Tenant> {
        self.0.pages("tenants", query)
    }

    pub fn get(self, tenant: TenantId) -> Call<Tenant> {
        self.0.read(&format!("tenants/{tenant}"))
    }

    pub fn update(self, tenant: TenantId, change: &UpdateTenant) -> Call<Tenant> {
        self.0.patch(&format!("tenants/{tenant}"), change)
    }

    pub fn suspend(self, tenant: TenantId, reason: &Reason) -> Call<Tenant> {
        self.0.post(&format!("tenants/{tenant}/suspend"), reason)
    }

    pub fn resume(self, tenant: TenantId) -> Call<Tenant> {
        self.0.act(&format!("tenants/{tenant}/resume"))
    }

    /// All that the tenant has. Large tenants need a larger `max_body` and `timeout`.
    pub fn export(self, tenant: TenantId) -> Call<TenantExport> {
        self.0.read(&format!("tenants/{tenant}/export"))
    }

    /// Plans the erasure; with `dry_run` it says what would be destroyed.
    pub fn erase(self, tenant: TenantId) -> Call<ErasurePlan> {
        self.0.act(&format!("tenants/{tenant}/erase"))
    }
}
