//! People: registration, passwords, one-time tokens.

pub mod login;
pub mod one_time;
pub mod register;
