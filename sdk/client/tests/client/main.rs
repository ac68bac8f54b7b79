//! The client against servers that misbehave. Nothing sleeps: waiting is an argument of the client.

mod answers;
mod areas;
mod paging;
mod requests;
mod retries;
mod sessions;
mod streams;
mod support;
mod tls;
