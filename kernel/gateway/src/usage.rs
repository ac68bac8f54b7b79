//! Usage per API key and route: counted here per minute, written to the database by somebody else.
//!
//! Invariants:
//! * A request whose key, route and minute were seen before allocates nothing and takes one lock of one shard.
//! * Memory is bounded: by the number of distinct (tenant, key, route) of the last minutes and by the number of rows
//!   that wait to be taken. What does not fit is counted in [`Usage::lost`], never silently dropped.
//! * Every counted call is in exactly one row that [`Usage::take_completed`] hands out.

use std::{
    hash::BuildHasher,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use http::StatusCode;
use rustc_hash::{FxBuildHasher, FxHashMap};

const SHARDS: usize = 32;
const MINUTE_MS: u64 = 60_000;
/// Distinct (tenant, key, route), about 96 bytes each.
const MAX_KEYS: usize = 100_000;
/// Rows waiting for a writer that is late.
const MAX_WAITING: usize = 400_000;

/// What one key did on one route within one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    pub tenant: u128,
    pub key: u128,
    /// [`crate::metrics::RouteMetrics::index`].
    pub route: u16,
    /// The first millisecond of the minute since the Unix epoch.
    pub minute_ms: u64,
    pub calls: u64,
    /// Of these, answers with a 4xx.
    pub client_errors: u64,
    /// Of these, answers with a 5xx.
    pub server_errors: u64,
    pub latency_sum_us: u64,
    pub latency_max_us: u64,
}

/// One answered request.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub tenant: u128,
    pub key: u128,
    pub route: u16,
    pub status: StatusCode,
    pub latency_us: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Who {
    tenant: u128,
    key: u128,
    route: u16,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    minute: u64,
    calls: u64,
    client_errors: u64,
    server_errors: u64,
    latency_sum_us: u64,
    latency_max_us: u64,
}

/// The counters of the process.
pub struct Usage {
    shards: Box<[Shard]>,
    max_keys: usize,
    max_waiting: usize,
    lost: AtomicU64,
}

/// A part of the counters on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Counters>);

#[derive(Default)]
struct Counters {
    current: FxHashMap<Who, Counts>,
    /// Minutes that ended because a later call arrived.
    completed: Vec<UsageRow>,
}

impl Default for Usage {
    fn default() -> Self {
        Self::with_capacity(MAX_KEYS, MAX_WAITING)
    }
}

impl Usage {
    /// Keeps about `max_keys` counters and `max_waiting` rows.
    pub fn with_capacity(max_keys: usize, max_waiting: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            max_keys: max_keys.div_ceil(SHARDS),
            max_waiting: max_waiting.div_ceil(SHARDS),
            lost: AtomicU64::new(0),
        }
    }

    /// Counts a call at `now_ms` since the Unix epoch.
    pub fn record(&self, call: &Call, now_ms: u64) {
        let who = Who { tenant: call.tenant, key: call.key, route: call.route };
        let minute = now_ms / MINUTE_MS;
        let mut counters = self.shards[shard_of(&who)].lock();
        let Counters { current, completed } = &mut *counters;
        if let Some(counts) = current.get_mut(&who) {
            if minute > counts.minute {
                self.complete(completed, who, counts);
                counts.minute = minute;
            }
            // A reading of the clock that another thread overtook counts in the minute that has begun.
            counts.add(call);
        } else if current.len() < self.max_keys {
            let mut counts = Counts { minute, ..Counts::default() };
            counts.add(call);
            current.insert(who, counts);
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands out every minute that is over at `now_ms`, and forgets keys that were idle in it.
    pub fn take_completed(&self, now_ms: u64) -> Vec<UsageRow> {
        let minute = now_ms / MINUTE_MS;
        let mut rows = Vec::new();
        for shard in &self.shards {
            let mut counters = shard.lock();
            rows.append(&mut counters.completed);
            counters.current.retain(|who, counts| {
                if counts.minute >= minute {
                    return true;
                }
                // An empty one was already handed out at the last look and has been idle since.
                let busy = counts.calls > 0;
                if busy {
                    rows.push(counts.row(*who));
                    *counts = Counts { minute, ..Counts::default() };
                }
                busy
            });
        }
        rows
    }

    /// Hands out everything, the running minute included, and forgets all keys: for the end of the process.
    pub fn take_all(&self) -> Vec<UsageRow> {
        let mut rows = Vec::new();
        for shard in &self.shards {
            let mut counters = shard.lock();
            rows.append(&mut counters.completed);
            let current = std::mem::take(&mut counters.current);
            rows.extend(current.iter().filter(|(_, counts)| counts.calls > 0).map(|(who, counts)| counts.row(*who)));
        }
        rows
    }

    /// Calls that found no room and are in no row.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn complete(&self, completed: &mut Vec<UsageRow>, who: Who, counts: &mut Counts) {
        if counts.calls > 0 {
            if completed.len() < self.max_waiting {
                completed.push(counts.row(who));
            } else {
                self.lost.fetch_add(counts.calls, Ordering::Relaxed);
            }
        }
        *counts = Counts::default();
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The map inside a shard uses the upper bits and the lowest ones; these lie between.
fn shard_of(who: &Who) -> usize {
    (FxBuildHasher.hash_one(who) >> 40) as usize % SHARDS
}

impl Counts {
    fn add(&mut self, call: &Call) {
        self.calls += 1;
        self.client_errors += u64::from(call.status.is_client_error());
        self.server_errors += u64::from(call.status.is_server_error());
        self.latency_sum_us = self.latency_sum_us.saturating_add(call.latency_us);
        self.latency_max_us = self.latency_max_us.max(call.latency_us);
    }

    fn row(&self, who: Who) -> UsageRow {
        UsageRow {
            tenant: who.tenant,
            key: who.key,
            route: who.route,
            minute_ms: self.minute * MINUTE_MS,
            calls: self.calls,
            client_errors: self.client_errors,
            server_errors: self.server_errors,
            latency_sum_us: self.latency_sum_us,
            latency_max_us: self.latency_max_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(key: u128, status: u16, latency_us: u64) -> Call {
        Call { tenant: 1, key, route: 3, status: StatusCode::from_u16(status).unwrap(), latency_us }
    }

    #[test]
    fn sums_per_key_and_minute() {
        let usage = Usage::default();
        for (status, latency) in [(200, 10), (404, 30), (503, 20)] {
            usage.record(&call(7, status, latency), 60_001);
        }
        assert_eq!(usage.take_completed(119_999), [], "the minute is not over");
        let row = UsageRow {
            tenant: 1,
            key: 7,
            route: 3,
            minute_ms: 60_000,
            calls: 3,
            client_errors: 1,
            server_errors: 1,
            latency_sum_us: 60,
            latency_max_us: 30,
        };
        assert_eq!(usage.take_completed(120_000), [row]);
        assert_eq!(usage.take_completed(120_000), [], "handed out once");
    }

    #[test]
    fn tenants_keys_and_routes_are_apart() {
        let usage = Usage::default();
        for (tenant, key, route) in [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)] {
            usage.record(&Call { tenant, key, route, ..call(0, 200, 1) }, 0);
        }
        let rows = usage.take_completed(60_000);
        assert_eq!(rows.len(), 4);
        assert!(rows.iter().all(|row| row.calls == 1));
    }

    #[test]
    fn a_later_call_completes_the_minute_before() {
        let usage = Usage::default();
        usage.record(&call(7, 200, 5), 59_999);
        usage.record(&call(7, 200, 9), 60_000);
        usage.record(&call(7, 200, 1), 59_999);
        let mut rows = usage.take_completed(180_000);
        rows.sort_by_key(|row| row.minute_ms);
        let seen: Vec<_> = rows.iter().map(|row| (row.minute_ms, row.calls, row.latency_max_us)).collect();
        assert_eq!(seen, [(0, 1, 5), (60_000, 2, 9)]);
    }

    #[test]
    fn idle_keys_are_forgotten_so_that_new_ones_find_room() {
        let usage = Usage::with_capacity(SHARDS, 1000);
        for round in 0..20 {
            for key in 0..1000 {
                usage.record(&call(round * 1000 + key, 200, 1), round as u64 * 120_000);
            }
            usage.take_completed(round as u64 * 120_000 + 60_000);
            usage.take_completed(round as u64 * 120_000 + 120_000);
            let kept: usize = usage.shards.iter().map(|shard| shard.lock().current.len()).sum();
            assert_eq!(kept, 0);
        }
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let usage = Usage::with_capacity(SHARDS, SHARDS);
        for key in 0..10_000 {
            usage.record(&call(key, 200, 1), 0);
        }
        let kept: u64 = usage.take_completed(60_000).iter().map(|row| row.calls).sum();
        assert!(kept <= SHARDS as u64);
        assert_eq!(kept + usage.lost(), 10_000);

        let late = Usage::with_capacity(SHARDS, SHARDS);
        for minute in 0..10 {
            late.record(&call(1, 200, 1), minute * 60_000);
        }
        let kept: u64 = late.take_all().iter().map(|row| row.calls).sum();
        assert_eq!((kept, late.lost()), (2, 8), "one row waits, one minute runs");
    }

    #[test]
    fn no_call_is_lost_or_doubled_between_threads() {
        let usage = Usage::default();
        let taken = AtomicU64::new(0);
        let sum = |rows: Vec<UsageRow>| rows.iter().map(|row| row.calls).sum::<u64>();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let usage = &usage;
                scope.spawn(move || {
                    for n in 0..10_000_u64 {
                        usage.record(&call(u128::from(n % 17 + thread % 2), 200, 1), n * 60);
                    }
                });
            }
            for minute in 0..20 {
                taken.fetch_add(sum(usage.take_completed(minute * 60_000)), Ordering::Relaxed);
            }
        });
        assert_eq!(taken.into_inner() + sum(usage.take_all()), 40_000);
        assert_eq!(usage.lost(), 0);
    }
}
