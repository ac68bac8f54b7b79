//! `kill -9` at any instant.

mod commands;
mod ledger;
mod writers;
