//! Rate limits: token buckets by the generic cell rate algorithm.
//!
//! A bucket is one number, the instant at which it will be full again. Invariants:
//! * In any window of length t no key is granted more than its burst plus its rate times t, whatever the number of
//!   threads, and whatever was evicted in between.
//! * Memory is bounded. Full buckets carry no information and go first. When every bucket is in debt the ones with the
//!   least debt go, and what is unknown afterwards starts with the greatest debt that was thrown away, so that flooding
//!   the limiter with keys never refills a bucket.
//! * Keys are mixed with a secret of the process, so that nobody can aim keys at one shard.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use http::HeaderValue;
use rustc_hash::FxHashMap;

const SHARDS: usize = 64;
const MINUTE: u64 = 60_000_000_000;
const MILLISECOND: u64 = 1_000_000;
/// What a limiter keeps unless told otherwise: about 4 MB when all of it is used.
const MAX_KEYS: usize = 131_072;

/// A steady rate and how much of it may be used at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    burst: u32,
    per_minute: u32,
    /// Nanoseconds in which one token comes back, rounded up so that the rate is never exceeded.
    interval: u64,
}

impl Policy {
    /// Zero is read as one: a limit that lets nothing through is a closed door and belongs elsewhere.
    pub const fn new(per_minute: u32, burst: u32) -> Self {
        let per_minute = if per_minute == 0 { 1 } else { per_minute };
        let burst = if burst == 0 { 1 } else { burst };
        Self { burst, per_minute, interval: MINUTE.div_ceil(per_minute as u64) }
    }

    /// Whether so much can ever be granted at once.
    pub const fn admits(&self, cost: u32) -> bool {
        cost <= self.burst
    }

    /// Nanoseconds in which an empty bucket fills.
    const fn depth(&self) -> u64 {
        self.interval.saturating_mul(self.burst as u64)
    }

    /// Seconds in which an empty bucket fills.
    pub const fn window_seconds(&self) -> u64 {
        (self.burst as u64 * 60).div_ceil(self.per_minute as u64)
    }
}

/// What a limiter decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// The size of the bucket.
    pub limit: u32,
    /// What is left in it.
    pub remaining: u32,
    /// Until it is full again.
    pub reset_after_ms: u64,
    /// Until the same request would be allowed; 0 for one that was. For a cost that no bucket of this policy holds
    /// ([`Policy::admits`]) it is the time until the bucket is full.
    pub retry_after_ms: u64,
}

/// A set of buckets, one per key.
pub struct Limiter {
    policy: Policy,
    secret: u64,
    max_keys_per_shard: usize,
    shards: Box<[Shard]>,
}

/// A part of the buckets on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Shard(RwLock<Buckets>);

#[derive(Default)]
struct Buckets {
    /// By mixed key, the instant at which the bucket is full.
    full_at: FxHashMap<u64, AtomicU64>,
    /// The greatest debt that was evicted. A key that is not in the map owes this.
    floor: u64,
}

impl Limiter {
    pub fn new(per_minute: u32, burst: u32) -> Self {
        Self::with_capacity(Policy::new(per_minute, burst), MAX_KEYS)
    }

    /// Keeps at most about `max_keys` buckets that are not full.
    pub fn with_capacity(policy: Policy, max_keys: usize) -> Self {
        Self {
            policy,
            secret: RandomState::new().hash_one(policy.burst),
            max_keys_per_shard: max_keys.div_ceil(SHARDS).max(1),
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
        }
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes `cost` tokens of this key's bucket, or none. `now_nanos` is any clock that does not go back.
    pub fn check(&self, key_hash: u64, now_nanos: u64, cost: u32) -> Verdict {
        self.check_with(self.policy, key_hash, now_nanos, cost)
    }

    /// The same under another policy, for keys with a limit of their own.
    pub fn check_with(&self, policy: Policy, key_hash: u64, now_nanos: u64, cost: u32) -> Verdict {
        let key = mix(key_hash ^ self.secret);
        let shard = &self.shards[(key >> 58) as usize];
        {
            let buckets = shard.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(bucket) = buckets.full_at.get(&key) {
                return take(bucket, policy, now_nanos, cost);
            }
        }
        let mut buckets = shard.0.write().unwrap_or_else(PoisonError::into_inner);
        if buckets.full_at.len() >= self.max_keys_per_shard && !buckets.full_at.contains_key(&key) {
            buckets.evict(now_nanos, self.max_keys_per_shard);
        }
        // A newcomer is never refused for longer than one who used up a bucket of his own.
        let start = buckets.floor.min(now_nanos.saturating_add(policy.depth()));
        let bucket = buckets.full_at.entry(key).or_insert_with(|| AtomicU64::new(start));
        take(bucket, policy, now_nanos, cost)
    }

    /// How many buckets are kept.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.read().unwrap_or_else(PoisonError::into_inner).full_at.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Buckets {
    /// Makes room for an eighth of `capacity`: drops the full buckets and, if that is not enough, those with the least
    /// debt. An eighth and not one, so that a flood of keys does not scan the shard for every key.
    fn evict(&mut self, now: u64, capacity: usize) {
        self.full_at.retain(|_, full_at| *full_at.get_mut() > now);
        let target = capacity - (capacity / 8).max(1);
        let Some(excess) = self.full_at.len().checked_sub(target).filter(|excess| *excess > 0) else { return };
        let mut debts: Vec<u64> = self.full_at.values_mut().map(|full_at| *full_at.get_mut()).collect();
        let bound = *debts.select_nth_unstable(excess - 1).1;
        self.full_at.retain(|_, full_at| *full_at.get_mut() > bound);
        self.floor = self.floor.max(bound);
    }
}

/// The heart: moves the instant of fullness by what the cost takes, if the bucket is deep enough for it.
fn take(bucket: &AtomicU64, policy: Policy, now: u64, cost: u32) -> Verdict {
    let depth = policy.depth();
    let price = policy.interval.saturating_mul(u64::from(cost));
    let mut full_at = bucket.load(Ordering::Relaxed);
    loop {
        let owed = full_at.saturating_sub(now);
        let debt = owed.saturating_add(price);
        if !policy.admits(cost) {
            return verdict(policy, false, owed, owed);
        }
        // An instant past the end of the clock is never reached, so what leads there is refused.
        let Some(after) = now.checked_add(debt).filter(|_| debt <= depth) else {
            return verdict(policy, false, owed, debt.saturating_sub(depth));
        };
        match bucket.compare_exchange_weak(full_at, after, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return verdict(policy, true, debt, 0),
            Err(current) => full_at = current,
        }
    }
}

fn verdict(policy: Policy, allowed: bool, owed: u64, wait: u64) -> Verdict {
    Verdict {
        allowed,
        limit: policy.burst,
        remaining: (policy.depth().saturating_sub(owed) / policy.interval) as u32,
        reset_after_ms: owed.div_ceil(MILLISECOND),
        retry_after_ms: wait.div_ceil(MILLISECOND),
    }
}

/// The finaliser of SplitMix64: a bijection, so distinct keys stay distinct.
const fn mix(key: u64) -> u64 {
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

/// `RateLimit: "key";r=98;t=5`. The time is in seconds, rounded up. `name` is one of ours: letters, digits and dashes.
pub fn rate_limit_header(name: &'static str, verdict: &Verdict) -> HeaderValue {
    let mut text = Text::new();
    text.push(b"\"").push(name.as_bytes()).push(b"\";r=").number(u64::from(verdict.remaining));
    text.push(b";t=").number(verdict.reset_after_ms.div_ceil(1000));
    text.finish()
}

/// `RateLimit-Policy: "key";q=100;w=60`: the quota and the seconds in which all of it comes back. The same for every
/// request under a policy, so worth keeping.
pub fn rate_limit_policy_header(name: &'static str, policy: &Policy) -> HeaderValue {
    let mut text = Text::new();
    text.push(b"\"").push(name.as_bytes()).push(b"\";q=").number(u64::from(policy.burst));
    text.push(b";w=").number(policy.window_seconds());
    text.finish()
}

/// `Retry-After` in whole seconds, at least one.
pub fn retry_after_header(verdict: &Verdict) -> HeaderValue {
    HeaderValue::from(verdict.retry_after_ms.div_ceil(1000).max(1))
}

/// A header value under construction on the stack, with room for the longest numbers and a name of 40 letters.
struct Text {
    bytes: [u8; 96],
    len: usize,
}

impl Text {
    fn new() -> Self {
        Self { bytes: [0; 96], len: 0 }
    }

    fn push(&mut self, more: &[u8]) -> &mut Self {
        self.bytes[self.len..self.len + more.len()].copy_from_slice(more);
        self.len += more.len();
        self
    }

    fn number(&mut self, mut number: u64) -> &mut Self {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return self.push(&digits[at..]);
            }
        }
    }

    fn finish(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.bytes[..self.len]).expect("names are ours and the rest is digits")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_is_granted_and_then_the_rate() {
        let limiter = Limiter::new(60, 3);
        let left: Vec<_> = (0..3).map(|_| limiter.check(1, SECOND, 1)).map(|v| (v.allowed, v.remaining)).collect();
        assert_eq!(left, [(true, 2), (true, 1), (true, 0)]);
        let refused = limiter.check(1, SECOND, 1);
        assert_eq!(
            refused,
            Verdict { allowed: false, limit: 3, remaining: 0, reset_after_ms: 3000, retry_after_ms: 1000 }
        );
        assert!(!limiter.check(1, 2 * SECOND - 1, 1).allowed);
        assert!(limiter.check(1, 2 * SECOND, 1).allowed);
        assert!(limiter.check(2, SECOND, 1).allowed, "another key has a bucket of its own");
    }

    #[test]
    fn a_refusal_costs_nothing_and_retry_after_is_exact() {
        let limiter = Limiter::new(600, 10);
        assert!(limiter.check(7, 0, 8).allowed);
        for _ in 0..100 {
            assert_eq!(limiter.check(7, 0, 5).retry_after_ms, 300);
        }
        assert!(!limiter.check(7, 299 * MILLISECOND, 5).allowed);
        assert!(limiter.check(7, 300 * MILLISECOND, 5).allowed);
    }

    #[test]
    fn a_cost_beyond_the_burst_is_refused_and_harmless() {
        let limiter = Limiter::new(60, 10);
        assert!(!limiter.check(1, 0, 11).allowed);
        assert!(!limiter.policy().admits(11));
        assert!(limiter.check(1, 0, 10).allowed);
        assert!(!limiter.check(2, 0, u32::MAX).allowed);
        assert!(!Limiter::new(1, u32::MAX).check(1, u64::MAX, u32::MAX).allowed, "no overflow at the end of time");
    }

    #[test]
    fn a_key_may_have_a_policy_of_its_own() {
        let limiter = Limiter::new(60, 1);
        let generous = Policy::new(6000, 50);
        assert_eq!((0..100).filter(|_| limiter.check_with(generous, 1, 0, 1).allowed).count(), 50);
        assert_eq!((0..100).filter(|_| limiter.check(2, 0, 1).allowed).count(), 1);
        let lowered = limiter.check(1, 0, 1);
        assert!(!lowered.allowed && lowered.remaining == 0 && lowered.limit == 1);
    }

    #[test]
    fn a_clock_that_is_behind_on_one_thread_grants_nothing_extra() {
        let limiter = Limiter::new(60, 2);
        assert!(limiter.check(1, 10 * SECOND, 2).allowed);
        assert!(!limiter.check(1, 9 * SECOND, 1).allowed);
    }

    #[test]
    fn memory_is_bounded_and_idle_buckets_go_first() {
        let limiter = Limiter::with_capacity(Policy::new(60, 5), 640);
        limiter.check(u64::MAX, 0, 5);
        for key in 0..50_000 {
            limiter.check(key, key * 10 * SECOND, 1);
        }
        assert!(limiter.len() <= 640, "{}", limiter.len());
        let floors = limiter.shards.iter().map(|shard| shard.0.read().unwrap().floor).max();
        assert_eq!(floors, Some(0), "full buckets were enough to make room");
    }

    #[test]
    fn a_flood_of_keys_does_not_refill_a_bucket() {
        let limiter = Limiter::with_capacity(Policy::new(60, 20), 640);
        let mut granted = (0..100).filter(|_| limiter.check(u64::MAX, 0, 1).allowed).count();
        for key in 0..100_000 {
            limiter.check(key, 0, 1);
            if key % 100 == 0 {
                granted += usize::from(limiter.check(u64::MAX, 0, 1).allowed);
            }
        }
        assert_eq!(granted, 20);
        assert!(limiter.len() <= 640);
    }

    #[test]
    fn not_even_an_evicted_bucket_is_refilled() {
        // One bucket per shard, so that every other key of the shard evicts it.
        let limiter = Limiter::with_capacity(Policy::new(60, 20), 1);
        let mut granted = 0;
        for key in 0..10_000 {
            granted += u32::from(limiter.check(u64::MAX, 0, 1).allowed);
            limiter.check(key, 0, 2);
        }
        assert!(granted <= 20, "{granted}");
    }

    #[test]
    fn newcomers_get_the_steady_rate_even_in_a_flood() {
        let limiter = Limiter::with_capacity(Policy::new(6_000_000, 1), 64);
        let long = Policy::new(1, 100);
        for key in 0..10_000 {
            limiter.check_with(long, key, 0, 100);
        }
        assert!(
            limiter.check(u64::MAX, SECOND, 1).allowed
                || limiter.check(u64::MAX, SECOND + MINUTE / 6_000_000, 1).allowed
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_window_grants_more_than_burst_and_rate(
            per_minute in 1u32..5000,
            burst in 1u32..50,
            steps in prop::collection::vec((0u64..3 * SECOND, 0u32..8), 1..120),
        ) {
            let limiter = Limiter::new(per_minute, burst);
            let mut now = 0;
            let mut grants: Vec<(u64, u64)> = Vec::new();
            for (pause, cost) in steps {
                now += pause;
                let verdict = limiter.check(42, now, cost);
                prop_assert!(verdict.remaining <= verdict.limit);
                if verdict.allowed {
                    grants.push((now, u64::from(cost)));
                } else if limiter.policy().admits(cost) {
                    prop_assert!(verdict.retry_after_ms > 0);
                }
            }
            for from in 0..grants.len() {
                let mut sum = 0;
                for (at, cost) in &grants[from..] {
                    sum += cost;
                    let seconds = (at - grants[from].0) as f64 / SECOND as f64;
                    prop_assert!(sum as f64 <= f64::from(burst) + f64::from(per_minute) / 60.0 * seconds + 1e-6);
                }
            }
        }

        #[test]
        fn waiting_as_told_is_enough(per_minute in 1u32..5000, burst in 1u32..50, spent in 1u32..50, cost in 1u32..50) {
            let limiter = Limiter::new(per_minute, burst);
            prop_assume!(cost <= burst && spent <= burst);
            limiter.check(1, 0, spent);
            let verdict = limiter.check(1, 0, cost);
            if !verdict.allowed {
                prop_assert!(limiter.check(1, verdict.retry_after_ms * MILLISECOND, cost).allowed);
            }
        }
    }

    #[test]
    fn threads_together_get_no_more() {
        let limiter = Limiter::new(600, 50);
        let clock = AtomicU64::new(0);
        let granted = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let now = clock.fetch_add(100_000, Ordering::Relaxed);
                        granted.fetch_add(u32::from(limiter.check(1, now, 1).allowed), Ordering::Relaxed);
                    }
                });
            }
        });
        let elapsed = clock.load(Ordering::Relaxed);
        let most = 50 + u32::try_from(elapsed * 600 / MINUTE).unwrap();
        let granted = granted.load(Ordering::Relaxed);
        assert!(granted <= most, "{granted} of {most}");
        // Threads may hold a reading of the clock for a while, so a little less than everything is right too.
        assert!(granted >= most - 10, "{granted} of {most}");
    }

    #[test]
    fn headers_are_those_of_the_draft() {
        let verdict = Verdict { allowed: true, limit: 100, remaining: 98, reset_after_ms: 4200, retry_after_ms: 0 };
        assert_eq!(rate_limit_header("key", &verdict), "\"key\";r=98;t=5");
        assert_eq!(rate_limit_policy_header("key", &Policy::new(100, 100)), "\"key\";q=100;w=60");
        assert_eq!(rate_limit_policy_header("address", &Policy::new(600, 25)), "\"address\";q=25;w=3");
        assert_eq!(retry_after_header(&verdict), "1");
        assert_eq!(retry_after_header(&Verdict { retry_after_ms: 1001, ..verdict }), "2");
        let longest = Verdict { remaining: u32::MAX, reset_after_ms: u64::MAX, ..verdict };
        assert_eq!(
            rate_limit_header("a-name-that-is-as-long-as-names-may-be-4", &longest),
            "\"a-name-that-is-as-long-as-names-may-be-4\";r=4294967295;t=18446744073709552"
        );
    }
}
