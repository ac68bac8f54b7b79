//! Who hears of invalidations: a list that grows at start and is read at every commit.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{PoisonError, RwLock},
};

use crate::invalidation::{Invalidation, Listener};

#[derive(Default)]
pub(crate) struct Listeners(RwLock<Vec<Listener>>);

impl Listeners {
    pub fn add(&self, listener: Listener) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// A listener that panics is its own loss: the change is committed, and the others still have to hear of it.
    pub fn tell(&self, invalidation: Invalidation) {
        for listener in &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            if catch_unwind(AssertUnwindSafe(|| listener(invalidation))).is_err() {
                tracing::error!(?invalidation, "what hears of changes has panicked; it may remember what is old");
            }
        }
    }
}
