//! People and the profile of the caller.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{KeyId, OrganizationId, Patch, ServiceAccountId, Timestamp, UserId, tenants::Tenant};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub email_verified: bool,
    pub name: String,
    pub locale: Option<String>,
    pub mfa_enabled: bool,
    pub created_at: Timestamp,
}

/// Who calls, where, and what they may do.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Me {
    /// Absent when a service account's key calls.
    pub user: Option<User>,
    pub tenant: Option<Tenant>,
    pub roles: Vec<String>,
    pub permissions: Vec<String>,
    pub api_key: Option<KeyId>,
    pub service_account: Option<ServiceAccountId>,
    /// The operator behind an impersonation.
    pub impersonator: Option<UserId>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMe {
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    /// A BCP 47 tag such as `de-AT`.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub locale: Patch<String>,
    /// A new address counts once its owner has answered the mail that is sent to it.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub email: Patch<String>,
}

/// A person's place in a tenant.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    pub user: User,
    pub roles: Vec<String>,
    pub organizations: Vec<OrganizationId>,
    pub joined_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMember {
    pub roles: Vec<String>,
}
