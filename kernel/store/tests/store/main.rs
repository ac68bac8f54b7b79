//! The store against both databases: what it promises, and what it does when the database, the disk or its callers fail it.

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
