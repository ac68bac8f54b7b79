//! The kernel, its disk and its database fail in the middle of things: nothing accepted is lost, nothing is done twice, and
//! what can go on goes on.

mod disk;
mod kill;
mod postgres;
mod proxy;
mod random;
mod sqlite;
