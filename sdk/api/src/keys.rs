//! Machine access: service accounts and API keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{KeyId, Patch, ServiceAccountId, Timestamp, UserId};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServiceAccount {
    pub id: ServiceAccountId,
    pub name: String,
    pub description: Option<String>,
    pub roles: Vec<String>,
    pub enabled: bool,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateServiceAccount {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// You cannot give what you do not have.
    pub roles: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateServiceAccount {
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub description: Patch<String>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub roles: Patch<Vec<String>>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub enabled: Patch<bool>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ApiKey {
    pub id: KeyId,
    pub name: String,
    /// The first characters of the key, to recognise it by.
    pub prefix: String,
    /// What the key may do at most: permissions, or `*` for all that its owner may.
    pub scopes: Vec<String>,
    pub user: Option<UserId>,
    pub service_account: Option<ServiceAccountId>,
    /// Requests must carry `Plinth-Signature`.
    pub signed_requests: bool,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// Until when the key before the last rotation still works.
    pub previous_valid_until: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    pub name: String,
    pub scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The key acts as this service account; without it as you.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccountId>,
    #[serde(default)]
    pub signed_requests: bool,
}

/// The secrets are shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyCreated {
    #[serde(flatten)]
    pub api_key: ApiKey,
    pub key: String,
    /// The secret for `Plinth-Signature`, when the key demands signed requests; its characters are the key of the HMAC. A
    /// rotation shows it only when it made a new one, which it does when it leaves no overlap.
    pub signing_secret: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateApiKey {
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub scopes: Patch<Vec<String>>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub expires_at: Patch<Timestamp>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateApiKey {
    /// How long the old key works beside the new one; 24 hours without it, 7 days at most, 0 to end it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_seconds: Option<u32>,
}

/// What a key did on one route in one hour.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct KeyUsage {
    pub hour: Timestamp,
    pub route: String,
    pub calls: u64,
    pub client_errors: u64,
    pub server_errors: u64,
    pub mean_ms: f64,
    pub max_ms: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct KeyUsageReport {
    pub from: Timestamp,
    pub to: Timestamp,
    pub rows: Vec<KeyUsage>,
}
