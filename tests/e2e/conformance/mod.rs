//! The conventions of the API, whatever the endpoint.

mod caching;
mod edge;
mod idempotency;
mod metrics;
mod paging;
mod published;
