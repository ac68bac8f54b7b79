//! API keys.

use plinth_api::{
    KeyId, Page,
    keys::{ApiKey, ApiKeyCreated, CreateApiKey, KeyUsageReport, RotateApiKey, UpdateApiKey},
};

use super::{Call, Verbs};
use crate::{Client, Pages, Query, RequestBuilder, request::Empty};

#[derive(Debug, Clone, Copy)]
pub struct ApiKeys<'a>(pub(super) &'a Client);

impl ApiKeys<'_> {
    pub fn list(self, query: impl Into<Query>) -> Call<Page<ApiKey>> {
        self.0.list("api-keys", query)
    }

    pub fn all(self, query: impl Into<Query>) -> Pages<ApiKey> {
        self.0.pages("api-keys", query)
    }

    pub fn get(self, key: KeyId) -> Call<ApiKey> {
        self.0.read(&format!("api-keys/{key}"))
    }

    /// The answer holds the secrets; they are shown this once.
    pub fn create(self, request: &CreateApiKey) -> Call<ApiKeyCreated> {
        self.0.post("api-keys", request)
    }

    pub fn update(self, key: KeyId, change: &UpdateApiKey) -> Call<ApiKey> {
        self.0.patch(&format!("api-keys/{key}"), change)
    }

    pub fn rotate(self, key: KeyId, request: &RotateApiKey) -> Call<ApiKeyCreated> {
        self.0.post(&format!("api-keys/{key}/rotate"), request)
    }

    pub fn revoke(self, key: KeyId) -> RequestBuilder<Empty> {
        self.0.delete(&format!("api-keys/{key}"))
    }

    pub fn usage(self, key: KeyId, query: impl Into<Query>) -> Call<KeyUsageReport> {
        self.0.read(&format!("api-keys/{key}/usage")).queries(query)
    }
}
