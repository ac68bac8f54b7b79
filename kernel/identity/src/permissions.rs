//! The words of this room, and the system roles made of words.

use plinth_core::{PermissionInfo, PermissionSet, permissions};

permissions! {
    ReadTenant = "tenant:read", "See the tenant and its settings";
    WriteTenant = "tenant:write", "Change the tenant and its settings";
    ExportTenant = "tenant:export", "Take all data of the tenant along";
    EraseTenant = "tenant:erase", "Have the tenant and all its data erased";
    ReadMembers = "members:read", "See who belongs to the tenant";
    WriteMembers = "members:write", "Invite people, change their roles, remove them";
    ReadRoles = "roles:read", "See roles and what they allow";
    WriteRoles = "roles:write", "Define and change roles";
    ReadOrganizations = "organizations:read", "See the teams of the tenant";
    WriteOrganizations = "organizations:write", "Create and change teams and their members";
    ReadServiceAccounts = "service_accounts:read", "See machine identities";
    WriteServiceAccounts = "service_accounts:write", "Create and change machine identities";
    ReadApiKeys = "api_keys:read", "See API keys and their usage";
    WriteApiKeys = "api_keys:write", "Create, rotate and revoke API keys";
}

permissions!(operator {
    ListTenants = "tenants:read", "See all tenants of the platform";
    SuspendTenants = "tenants:suspend", "Suspend and resume tenants";
    LimitTenants = "tenants:limit", "Set the limits of tenants";
    EraseTenants = "tenants:erase", "Have any tenant erased";
    Impersonate = "impersonations:write", "Act as a person, with a reason that the audit log keeps";
    ReadImpersonations = "impersonations:read", "See who acted as whom";
});

/// A role that every tenant has and nobody can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemRole {
    pub key: &'static str,
    pub name: &'static str,
    pub description: &'static str,
    pub patterns: &'static [&'static str],
}

/// May do everything; a tenant always has one.
pub const OWNER: &str = "owner";

pub const SYSTEM_ROLES: &[SystemRole] = &[
    SystemRole { key: OWNER, name: "Owner", description: "Everything, and having the tenant erased", patterns: &["*"] },
    SystemRole {
        key: "admin",
        name: "Administrator",
        description: "Everything but the end of the tenant",
        patterns: &["*:read", "*:write", "tenant:export"],
    },
    SystemRole {
        key: "viewer",
        name: "Viewer",
        description: "Sees everything and changes nothing",
        patterns: &["*:read"],
    },
    SystemRole {
        key: "member",
        name: "Member",
        description: "Belongs to the tenant; what else a member may do comes from other roles",
        patterns: &["tenant:read", "members:read", "organizations:read"],
    },
];

pub fn system_role(key: &str) -> Option<&'static SystemRole> {
    SYSTEM_ROLES.iter().find(|role| role.key == key)
}

impl SystemRole {
    pub fn permissions(&self) -> PermissionSet {
        self.patterns.iter().collect()
    }
}

/// Words that no endpoint has at its door: they open more behind one that others pass too. They belong to the vocabulary
/// like the rest.
pub const ASKED_INSIDE: &[PermissionInfo] =
    &[PermissionInfo::of::<ListTenants>(), PermissionInfo::of::<LimitTenants>(), PermissionInfo::of::<EraseTenants>()];
