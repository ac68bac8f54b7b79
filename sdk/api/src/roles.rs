//! Roles and the permissions they are made of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Patch, RoleId, Timestamp};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Role {
    /// What members carry in `roles`: the name of a system role, or the id of one of yours.
    pub key: String,
    /// Absent for a system role.
    pub id: Option<RoleId>,
    pub name: String,
    pub description: Option<String>,
    pub permissions: Vec<String>,
    /// System roles cannot be changed.
    pub system: bool,
    pub created_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRole {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// You cannot give what you do not have.
    pub permissions: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRole {
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub description: Patch<String>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub permissions: Patch<Vec<String>>,
}

/// A word of the permission vocabulary.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Permission {
    pub name: String,
    pub description: String,
    /// Only people and keys of the system tenant can hold it.
    pub operator_only: bool,
}
