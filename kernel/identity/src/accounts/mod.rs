//! People: registration, passwords, one-time tokens, the second factor, identity providers.

pub mod login;
pub mod magic_link;
pub mod mfa;
pub mod oauth;
pub mod one_time;
pub mod passwords;
pub mod profile;
pub mod register;
pub mod verify;
