//! Envelope encryption of everything that is secret at rest.
//!
//! Two layers: a few *master keys* ([`MasterKeys`]), which live outside the database, wrap many *data keys*
//! ([`DataKey`]), which live inside it in wrapped form and encrypt the values. A data key may also wrap further data keys,
//! so that a tenant's key can hold one key per person.
//!
//! Invariants:
//!
//! * Every ciphertext names the key that made it, so keys rotate without touching a single value: rotation re-wraps data
//!   keys and never rewrites what they sealed.
//! * The cipher is AES-256-GCM. Header and caller's context are authenticated with the content, so a ciphertext that is
//!   moved to another row, or changed in any bit, is refused.
//! * Nonces are random. One key seals at most 2^32 values before the risk of a repeat matters; keys per tenant and per
//!   person stay far below that.
//! * Key bytes sit on the heap in one place, are wiped on drop and never appear in `Debug` or in an error. The key
//!   schedule that the cipher derives exists for the length of one call.

mod cipher;
mod command;
mod data_key;
mod error;
mod file;
mod master;
mod source;
mod text;

#[cfg(test)]
mod tests;

pub use data_key::{DataKey, WrappedKey, key_id_of};
pub use error::{KeyError, SourceError};
pub use master::MasterKeys;
pub use source::MasterKeySource;
