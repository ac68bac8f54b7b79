//! Wire types of the Plinth API: what crosses the wall between server, clients and console.
//!
//! This crate is the leaf of the workspace. It knows JSON, identifiers and time, and nothing of how a kernel stores or
//! decides anything. Requests refuse unknown fields; responses may grow.

mod ids;
mod page;
mod patch;
mod problem;
mod timestamp;

pub mod auth;
pub mod keys;
pub mod operations;
pub mod roles;
pub mod tenants;
pub mod users;

pub use ids::*;
pub use page::Page;
pub use patch::Patch;
pub use problem::{FieldError, Problem};
pub use timestamp::Timestamp;
