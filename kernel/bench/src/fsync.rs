//! Counts what is synced to disk. SQLite is linked into this binary and calls these two functions by name, so the ones
//! defined here are the ones it finds.
#![expect(unsafe_code, reason = "the functions of the C library are counted by standing in for them")]

use std::{
    fs::File,
    io::Write,
    os::fd::AsRawFd,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

static SYNCS: AtomicU64 = AtomicU64::new(0);

/// SAFETY: called by SQLite like the C library's function of this name, and does what that does.
#[unsafe(no_mangle)]
extern "C" fn fdatasync(file: libc::c_int) -> libc::c_int {
    SYNCS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: passes the caller's file descriptor on to the system call of the same meaning.
    unsafe { libc::syscall(libc::SYS_fdatasync, file) as libc::c_int }
}

/// SAFETY: called by SQLite like the C library's function of this name, and does what that does.
#[unsafe(no_mangle)]
extern "C" fn fsync(file: libc::c_int) -> libc::c_int {
    SYNCS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: passes the caller's file descriptor on to the system call of the same meaning.
    unsafe { libc::syscall(libc::SYS_fsync, file) as libc::c_int }
}

pub fn count() -> u64 {
    SYNCS.load(Ordering::Relaxed)
}

/// What one fdatasync of a small append costs here and now, in milliseconds: the median of some.
pub fn reference(folder: &std::path::Path) -> anyhow::Result<f64> {
    let mut file = File::create(folder.join("reference"))?;
    let mut costs = Vec::new();
    for _ in 0..100 {
        file.write_all(&[7; 4096])?;
        let begun = Instant::now();
        // SAFETY: the descriptor belongs to a file that is open.
        unsafe { libc::syscall(libc::SYS_fdatasync, file.as_raw_fd()) };
        costs.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    costs.sort_by(f64::total_cmp);
    Ok(costs[costs.len() / 2])
}
