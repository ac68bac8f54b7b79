//! Who people are, which tenants they belong to, and what they may do there.
//!
//! A person ([`entities::users`]) belongs to no tenant; a membership places them in one with roles. A role is a set of
//! permissions; a session or an API key resolves to a [`plinth_core::Principal`] that holds them. What this room keeps of
//! a secret is a hash (tokens, keys, passwords) or sealed (TOTP secrets, signing keys).
//!
//! Answers do not tell whether an account exists: sign-in takes as long and says the same for a wrong password, a locked
//! account and no account at all.
//!
//! * `sessions/`: from credentials to tokens, and from tokens to a principal
//! * `accounts/`: registration, passwords, one-time tokens, second factor, identity providers
//! * `tenancy/`: tenants and their life, members, invitations, organisations
//! * `access/`: roles, service accounts, API keys, impersonation
//! * `routes/`: one file an endpoint

mod access;
mod accounts;
pub mod administration;
mod config;
pub mod entities;
mod fields;
mod identity;
pub mod jwt;
pub mod oidc;
pub mod password;
pub mod permissions;
mod routes;
mod sessions;
mod tenancy;
#[cfg(test)]
mod testing;
pub mod tokens;
pub mod totp;
mod view;

pub use config::{CookieConfig, IdentityConfig, ProviderConfig};
pub use identity::{Identity, StartError};
pub use routes::mount;
