//! Where a person is signed in.

mod end;
mod end_others;
mod list;
#[cfg(test)]
pub mod testing;

use plinth_core::Fault;
use plinth_gateway::{Endpoint, Stale, refuses};

use crate::{Identity, accounts::profile::NotOneself};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    NotOneself(#[from] NotOneself),
    #[error("you have no open session with this id")]
    NotFound,
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error(transparent)]
    Fault(#[from] Fault),
}

refuses!(Error {
    Self::NotOneself(NotOneself::SessionNeeded) => Forbidden "session_needed",
    Self::NotOneself(NotOneself::Impersonating) => Forbidden "not_while_impersonating",
    Self::NotFound => NotFound "not_found",
    Self::Stale(_) => PreconditionFailed "stale",
});

pub fn endpoints() -> Vec<Endpoint<Identity>> {
    vec![list::endpoint(), end::endpoint(), end_others::endpoint()]
}
