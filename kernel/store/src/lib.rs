//! Where the kernel keeps things: SQLite or PostgreSQL behind one handle.
//!
//! * A change runs in a transaction that is dropped unless it is committed by name ([`TenantTx::commit`]).
//! * The tenant is in the constructor of every query ([`Scope::find`]); there is no finder to forget it with. On PostgreSQL
//!   row-level security is the second lock.
//! * An event is appended in the transaction of the change it tells of ([`Scope::emit`]). There is no other way to publish.
//! * Nothing that a reader can see may be lost to a power cut: a commit is on disk before it is visible.
//! * What is secret is stored sealed under a key of its tenant ([`Vault`]).

mod config;
mod entities;
mod erase;
mod error;
pub mod idempotency;
mod invalidation;
pub mod keyring;
mod list;
mod listeners;
pub mod log;
pub mod mail;
mod migrate;
mod postgres;
mod sqlite;
mod store;
mod tx;
mod vault;

pub use config::{Database, SqliteConfig, StoreConfig};
pub use erase::{count_tenant_rows, erase_tenant_rows};
pub use error::Error;
pub use invalidation::Invalidation;
pub use list::{Keyset, Slice, list};
pub use migrate::{MigrationError, MigrationState, migrations_fingerprint};
pub use postgres::PostgresError;
pub use sqlite::{BackupError, backup_sqlite, verify_sqlite};
pub use store::{OpenError, Store};
pub use tx::{Scope, SystemTx, TenantOwned, TenantTx, WhenCertain, Work};
pub use vault::Vault;
