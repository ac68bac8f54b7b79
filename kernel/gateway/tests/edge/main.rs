//! The layers around a small room: what each of them does, and in which order.

mod concurrency;
mod idempotency;
mod layers;
mod lists;
mod room;
