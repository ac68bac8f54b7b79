//! The tables of this room.

pub mod api_keys;
pub mod facts;
pub mod invitations;
pub mod key_usage;
pub mod linked_identities;
pub mod memberships;
pub mod oauth_attempts;
pub mod one_time_tokens;
pub mod organization_members;
pub mod organizations;
pub mod recovery_codes;
pub mod refresh_tokens;
pub mod roles;
pub mod service_accounts;
pub mod sessions;
pub mod signing_keys;
pub mod tenants;
pub mod users;
