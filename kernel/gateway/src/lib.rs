//! The REST edge: everything between a socket and a room's handler.
//!
//! A room describes its endpoints ([`endpoint`]), mounts them ([`Mounted`]), and the edge puts its layers around all of them
//! ([`assemble`]; the order stands in `stack.rs`). Handlers are let at the store only by the front desk ([`Caller`],
//! [`Person`], [`Visitor`]).

mod access_log;
pub mod address;
mod answer;
mod assemble;
mod desk;
pub mod docs;
mod edge;
pub mod endpoint;
mod input;
pub mod limit;
pub mod listener;
mod listing;
mod meta;
pub mod metrics;
mod openapi;
mod refuse;
mod replay;
pub mod signature;
mod stack;
pub mod usage;

pub use access_log::{AccessLog, LogFormat};
pub use answer::{Accepted, Created, Done, Json, NoContent, POSITION, Paged, Ready, Reply};
pub use assemble::{Parts, assemble};
pub use desk::{Caller, Exchange, Person, Stale, Visitor};
pub(crate) use edge::not_found;
pub use edge::{Cors, Edge, EdgeConfig};
pub use endpoint::{Access, Endpoint, Mounted};
pub use input::{Body, DryRun, Path, Query};
pub use listing::{Asked, ListSpec, Listing};
pub use meta::Readiness;
#[doc(hidden)]
pub use plinth_core as core;
pub use refuse::{Failed, Refuses, refuse};
pub use stack::REQUEST_ID;
