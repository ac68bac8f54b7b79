#![doc = include_str!("../README.md")]

mod builder;
mod client;
mod credentials;
mod environment;
mod error;
mod exchange;
mod paging;
mod query;
mod reply;
mod request;
mod retry;
mod session;
mod signature;

pub mod areas;
pub mod stream;

pub use builder::ClientBuilder;
pub use client::Client;
pub use credentials::Credentials;
pub use environment::{Environment, SystemEnvironment, Wait};
pub use error::{Error, Result};
pub use http::{Method, StatusCode};
pub use paging::Pages;
pub use plinth_api as api;
pub use query::Query;
pub use reply::{Meta, RateLimit, Reply};
pub use request::{Empty, Json, RequestBuilder, Untyped, segment};
pub use stream::{EventStream, ServerEvent, StreamQuery, StreamState, StreamStatus};
