//! How the process begins and ends.

mod starting;
mod stopping;
mod tls;
