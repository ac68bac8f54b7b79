//! The store against both databases: what it promises, and what it does when the database, the disk or its callers fail it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test, and says where")]

mod backup;
mod chain;
mod errors;
mod idempotency;
mod invalidations;
mod list;
mod log;
mod migrations;
mod support;
mod tenants;
mod transactions;
mod vault;
mod weather;
