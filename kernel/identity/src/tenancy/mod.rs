//! Tenants and their life, settings, members, invitations and organisations.

pub mod erasure;
pub mod invitations;
pub mod members;
pub mod organizations;
pub mod settings;
pub mod tenants;
