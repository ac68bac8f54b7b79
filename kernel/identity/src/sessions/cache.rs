//! Who is behind a token, remembered. Verifying a signature and reading five tables costs a hundred times the rest of a
//! request, so it is done once a minute and token at most.
//!
//! A change names what has become old (a session, a person, a tenant). An answer that was read before the change was told
//! is not used after it, also when the reading was under way at that moment: each answer carries the number of the last
//! change it can have seen.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use plinth_core::{Actor, Principal, SYSTEM_TENANT, TenantId, Timestamp};
use plinth_store::Invalidation;
use quick_cache::sync::Cache;
use ring::digest;
use rustc_hash::FxHashMap;
use uuid::Uuid;

/// The longest that an answer is used, should a change of another node not be heard of.
const FRESH: Duration = Duration::from_secs(60);
const CAPACITY: usize = 100_000;

/// A token, hashed, and the tenant an operator asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey {
    token: [u8; 16],
    act_in: Option<TenantId>,
}

impl CacheKey {
    pub fn new(token: &str, act_in: Option<TenantId>) -> Self {
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&hash.as_ref()[..16]);
        Self { token: short, act_in }
    }
}

#[derive(Clone)]
struct Remembered {
    principal: Arc<Principal>,
    seen: u64,
    until: Timestamp,
}

pub struct PrincipalCache {
    entries: Cache<CacheKey, Remembered>,
    changes: AtomicU64,
    /// The last change of a session, key, person, machine or tenant.
    stale: RwLock<Stale>,
}

#[derive(Default)]
struct Stale {
    by_id: FxHashMap<Uuid, u64>,
    everything: u64,
}

impl PrincipalCache {
    pub fn new() -> Self {
        Self { entries: Cache::new(CAPACITY), changes: AtomicU64::new(1), stale: RwLock::default() }
    }

    /// Take this before reading what will be remembered.
    pub fn mark(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub fn get(&self, key: CacheKey, now: Timestamp) -> Option<Arc<Principal>> {
        let found = self.entries.get(&key)?;
        let fresh = now < found.until && !self.is_stale(&found);
        fresh.then_some(found.principal)
    }

    fn is_stale(&self, entry: &Remembered) -> bool {
        let stale = self.stale.read().unwrap_or_else(PoisonError::into_inner);
        if entry.seen < stale.everything {
            return true;
        }
        !stale.by_id.is_empty()
            && tags(&entry.principal)
                .into_iter()
                .flatten()
                .any(|id| stale.by_id.get(&id).is_some_and(|at| entry.seen < *at))
    }

    pub fn put(&self, key: CacheKey, principal: Arc<Principal>, seen: u64, now: Timestamp) {
        let until = principal.expires_at.map_or(now + FRESH, |end| end.min(now + FRESH));
        self.entries.insert(key, Remembered { principal, seen, until });
    }

    pub fn forget(&self, what: Invalidation) {
        let mut stale = self.stale.write().unwrap_or_else(PoisonError::into_inner);
        let change = self.changes.fetch_add(1, Ordering::AcqRel) + 1;
        let id = match what {
            Invalidation::Session(id) => id.uuid(),
            Invalidation::Key(id) => id.uuid(),
            Invalidation::User(id) => id.uuid(),
            Invalidation::ServiceAccount(id) => id.uuid(),
            Invalidation::Tenant(id) => id.uuid(),
            Invalidation::SigningKeys => return,
            Invalidation::Everything => {
                stale.everything = change;
                stale.by_id.clear();
                return;
            }
        };
        stale.by_id.insert(id, change);
        // What nobody can remember any more need not be told apart: one broad stroke keeps the list short.
        if stale.by_id.len() > 50_000 {
            stale.everything = change;
            stale.by_id.clear();
        }
    }
}

impl Default for PrincipalCache {
    fn default() -> Self {
        Self::new()
    }
}

/// What a change may name that makes this principal old.
fn tags(principal: &Principal) -> [Option<Uuid>; 6] {
    let actor = match principal.actor {
        Actor::User(id) => Some(id.uuid()),
        Actor::ServiceAccount(id) => Some(id.uuid()),
        Actor::System | Actor::Anonymous => None,
    };
    [
        principal.session.map(|id| id.uuid()),
        principal.key.map(|id| id.uuid()),
        actor,
        principal.tenant.map(|id| id.uuid()),
        // In a customer's tenant an operator still acts with the roles of the system tenant.
        principal.operator.then(|| SYSTEM_TENANT.uuid()),
        principal.impersonator.map(|id| id.uuid()),
    ]
}
