//! What tests of the kernel stand on: databases of their own, an app behind its real layers, actors who speak through the
//! front door, and a clock that can be moved.
//!
//! Nothing here reaches around the edge: an actor is a token and a list of verbs. What a test must see of the database it
//! asks the store for, in plain sight.

mod app;
mod database;
mod reply;

pub use app::{App, Request, unique};
pub use database::{Kind, TestDatabase, databases, sqlite};
pub use reply::Reply;
