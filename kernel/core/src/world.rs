//! What a room may not take from its surroundings by itself: time and randomness, and the identifiers made of both.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use plinth_api::{Id, Kind, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

use crate::{Clock, ManualClock, SystemClock};

#[derive(Clone)]
pub struct World {
    clock: Arc<dyn Clock>,
    random: Arc<SystemRandom>,
    last: Arc<AtomicU64>,
}

impl World {
    pub fn new(clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), random: Arc::new(SystemRandom::new()), last: Arc::default() }
    }

    pub fn system() -> Self {
        Self::new(SystemClock)
    }

    /// A world whose clock can be moved forward.
    pub fn movable() -> Self {
        Self::new(ManualClock::default())
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn advance(&self, by: Duration) -> bool {
        self.clock.advance(by)
    }

    pub fn random(&self) -> &(dyn SecureRandom + Sync) {
        &*self.random
    }

    pub fn fill(&self, bytes: &mut [u8]) {
        self.random.fill(bytes).expect("the operating system gives randomness");
    }

    /// Mints an identifier. Within this process identifiers ascend strictly, so they sort in the order of their making.
    pub fn mint<K: Kind>(&self) -> Id<K> {
        Id::from_uuid(self.mint_uuid())
    }

    pub fn mint_uuid(&self) -> Uuid {
        let now = (self.now().millis().max(0) as u64) << 12;
        let step = |last: u64| Some(now.max(last + 1));
        let before = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_default();
        let ordered = now.max(before + 1);
        let mut tail = [0_u8; 8];
        self.fill(&mut tail);
        let (millis, counter) = (ordered >> 12, ordered & 0xfff);
        let high = millis << 16 | 0x7000 | counter;
        let low = u64::from_be_bytes(tail) >> 2 | 1 << 63;
        Uuid::from_u64_pair(high, low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_ascend_and_are_version_seven() {
        let world = World::movable();
        let ids: Vec<Uuid> = (0..10_000).map(|_| world.mint_uuid()).collect();
        assert!(ids.is_sorted());
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122));
    }

    #[test]
    fn a_moved_clock_moves_what_is_read_from_it() {
        let world = World::movable();
        let before = world.now();
        assert!(world.advance(Duration::from_secs(3600)));
        assert!(world.now().since(before) >= Duration::from_secs(3600));
        assert!(!World::system().advance(Duration::from_secs(1)));
    }
}
