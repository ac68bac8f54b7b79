//! One file for each word after `cargo xtask`.

pub mod bench;
pub mod ci;
pub mod generate;
mod largest;
mod nextest;
pub mod plugins;
pub mod run;
pub mod soak;
pub mod test;
