//! Machine identities of a tenant.

use plinth_api::{
    Page, ServiceAccountId,
    keys::{CreateServiceAccount, ServiceAccount, UpdateServiceAccount},
};

use super::{Call, Verbs};
use crate::{Client, Pages, Query, RequestBuilder, request::Empty};

#[derive(Debug, Clone, Copy)]
pub struct ServiceAccounts<'a>(pub(super) &'a Client);

impl ServiceAccounts<'_> {
    pub fn list(self, query: impl Into<Query>) -> Call<Page<ServiceAccount>> {
        self.0.list("service-accounts", query)
    }

    pub fn all(self, query: impl Into<Query>) -> Pages<ServiceAccount> {
        self.0.pages("service-accounts", query)
    }

    pub fn get(self, account: ServiceAccountId) -> Call<ServiceAccount> {
        self.0.read(&format!("service-accounts/{account}"))
    }

    pub fn create(self, request: &CreateServiceAccount) -> Call<ServiceAccount> {
        self.0.post("service-accounts", request)
    }

    pub fn update(self, account: ServiceAccountId, change: &UpdateServiceAccount) -> Call<ServiceAccount> {
        self.0.patch(&format!("service-accounts/{account}"), change)
    }

    pub fn delete(self, account: ServiceAccountId) -> RequestBuilder<Empty> {
        self.0.delete(&format!("service-accounts/{account}"))
    }
}
