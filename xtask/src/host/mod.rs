//! The machine: processes, signals, programs, packages, ports.

pub mod apt;
pub mod daemon;
pub mod http;
pub mod interrupt;
pub mod kernel;
pub mod ports;
pub mod process;
pub mod programs;

use std::os::unix::fs::MetadataExt;

/// The user this runs as. The owner of `/proc/self` is that user; asking the system directly needs unsafe code.
pub fn user_id() -> u32 {
    std::fs::metadata("/proc/self").map_or(u32::MAX, |metadata| metadata.uid())
}

pub fn is_root() -> bool {
    user_id() == 0
}
