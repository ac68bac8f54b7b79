//! Tenants, their organisations, invitations and settings.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{InvitationId, OrganizationId, Patch, TenantId, Timestamp, UserId, users::User};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub slug: String,
    pub state: TenantState,
    /// Why it is suspended, or was when its erasure was asked for.
    pub state_reason: Option<String>,
    /// When a tenant that is pending deletion will be erased.
    pub erase_at: Option<Timestamp>,
    pub limits: Limits,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TenantState {
    Active,
    Suspended,
    PendingDeletion,
    Erased,
}

impl TenantState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::PendingDeletion => "pending_deletion",
            Self::Erased => "erased",
        }
    }
}

/// How much a tenant may have of a thing; absent means the platform's ceiling.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizations: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateTenant {
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub slug: Patch<String>,
    /// Operators only. `null` takes all limits away.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub limits: Patch<UpdateLimits>,
}

/// What is left out stays as it is; `null` takes a limit away.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateLimits {
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub users: Patch<u32>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub organizations: Patch<u32>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub api_keys: Patch<u32>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub requests_per_minute: Patch<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    pub reason: String,
}

/// What an erasure does, or would do.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ErasurePlan {
    pub tenant: Tenant,
    pub dry_run: bool,
    pub erase_at: Timestamp,
    /// How many rows of each kind are destroyed.
    pub counts: BTreeMap<String, u64>,
}

/// All that a tenant has, in a form that it can take along.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TenantExport {
    pub tenant: Tenant,
    pub exported_at: Timestamp,
    /// Rows by kind; secrets are left out.
    pub data: BTreeMap<String, Vec<Value>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Organization {
    pub id: OrganizationId,
    pub name: String,
    pub slug: String,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateOrganization {
    pub name: String,
    pub slug: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateOrganization {
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub slug: Patch<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OrganizationMember {
    pub user: User,
    pub role: OrganizationRole,
    pub joined_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationRole {
    /// Manages the organisation's members.
    Manager,
    Member,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOrganizationMember {
    pub role: OrganizationRole,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Invitation {
    pub id: InvitationId,
    pub email: String,
    pub roles: Vec<String>,
    pub organization: Option<OrganizationId>,
    pub status: InvitationStatus,
    pub invited_by: Option<UserId>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvitationStatus {
    Pending,
    Accepted,
    Revoked,
    Expired,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateInvitation {
    pub email: String,
    /// Roles in the tenant; you cannot give what you do not have.
    pub roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
}

/// Taking up an invitation. A person who is signed in sends the token alone; a new one also name and password.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    pub token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// The tenant's own settings, by name.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The language of mails to people who chose none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_locale: Option<String>,
    /// An IANA zone for dates in mails and billing periods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Members must have an authenticator app before they may do anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_mfa: Option<bool>,
}

/// What is left out stays as it is; `null` takes a setting away.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSettings {
    /// A BCP 47 tag such as `de-AT`.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub default_locale: Patch<String>,
    /// An IANA zone such as `Europe/Vienna`, or `UTC`.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub time_zone: Patch<String>,
    /// Whoever switches it on has an authenticator app already.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub require_mfa: Patch<bool>,
}
