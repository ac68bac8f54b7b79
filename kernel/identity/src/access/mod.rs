//! What somebody may do: roles, service accounts, API keys and their usage, impersonation.

pub mod api_keys;
pub mod impersonation;
pub mod roles;
pub mod service_accounts;
pub mod usage;
