//! CPU time, of the whole process or of the threads of one runtime.

use std::time::Duration;

/// CPU time that this process has used.
pub fn process_cpu() -> Duration {
    times("/proc/self/stat").unwrap_or_default()
}

/// CPU time of the threads whose name begins so.
pub fn threads_cpu(prefix: &str) -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .map(|task| task.path())
        .filter(|path| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with(prefix)))
        .filter_map(|path| schedstat(&path.join("schedstat")).or_else(|| times(path.join("stat").to_str()?)))
        .sum()
}

/// Nanoseconds on a processor: finer than the ticks in `stat`.
fn schedstat(path: &std::path::Path) -> Option<Duration> {
    let text = std::fs::read_to_string(path).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn times(path: &str) -> Option<Duration> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let ticks = fields.nth(11)?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// A small generator for shuffling the order of slices: measurements must not follow the drift of the machine.
pub struct Shuffle(u64);

impl Shuffle {
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub fn coin(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 & 1 == 1
    }
}
