//! The command line: what scripts and administrators rely on.

mod backup;
mod configuration;
mod interface;
mod keys;
mod operators;
mod tenants;
