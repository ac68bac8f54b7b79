//! The master keys: an ordered set of which one is active. The active one wraps, all of them unwrap.

use std::fmt;

use ring::rand::SecureRandom;
use uuid::Uuid;

use super::KeyError;
use super::cipher::{KeyBytes, new_id};

pub(super) struct MasterKey {
    pub(super) id: Uuid,
    pub(super) bytes: KeyBytes,
}

/// Master keys in the order they were made. There is always at least one, ids are unique, and exactly one is active.
pub struct MasterKeys {
    keys: Vec<MasterKey>,
    active: Uuid,
}

impl MasterKeys {
    /// A new set with a single key.
    pub fn generate(rng: &dyn SecureRandom) -> Result<Self, KeyError> {
        let id = new_id(rng)?;
        Ok(Self { keys: vec![MasterKey { id, bytes: KeyBytes::generate(rng)? }], active: id })
    }

    /// Checks the invariants of a set that came from outside; the error is a reason for the operator.
    pub(super) fn from_parts(keys: Vec<MasterKey>, active: Uuid) -> Result<Self, &'static str> {
        if keys.iter().enumerate().any(|(n, key)| keys[..n].iter().any(|earlier| earlier.id == key.id)) {
            return Err("two keys have the same id");
        }
        if !keys.iter().any(|key| key.id == active) {
            return Err("`active` names a key that is not in `keys`");
        }
        Ok(Self { keys, active })
    }

    /// Adds a new key and makes it the active one; the others stay for unwrapping. Save the set before anything is wrapped
    /// with the new key: what only a lost key can open is lost.
    pub fn rotate(&mut self, rng: &dyn SecureRandom) -> Result<Uuid, KeyError> {
        let id = new_id(rng)?;
        self.keys.push(MasterKey { id, bytes: KeyBytes::generate(rng)? });
        self.active = id;
        Ok(id)
    }

    /// Removes a key. `still_wrapped` is how many data keys the caller still finds wrapped by it: only the caller sees the
    /// database, and a key that is needed must not go.
    pub fn retire(&mut self, id: Uuid, still_wrapped: u64) -> Result<(), KeyError> {
        if id == self.active {
            return Err(KeyError::ActiveKey(id));
        }
        let position = self.keys.iter().position(|key| key.id == id).ok_or(KeyError::UnknownKey(id))?;
        if still_wrapped > 0 {
            return Err(KeyError::StillInUse { id, wrapped: still_wrapped });
        }
        self.keys.remove(position);
        Ok(())
    }

    pub fn active_id(&self) -> Uuid {
        self.active
    }

    /// All ids, oldest first.
    pub fn ids(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.keys.iter().map(|key| key.id)
    }

    pub(super) fn keys(&self) -> &[MasterKey] {
        &self.keys
    }

    pub(super) fn active_key(&self) -> &MasterKey {
        self.find(self.active).expect("the active key is always in the set")
    }

    pub(super) fn find(&self, id: Uuid) -> Option<&MasterKey> {
        self.keys.iter().find(|key| key.id == id)
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<Uuid> = self.ids().collect();
        f.debug_struct("MasterKeys").field("active", &self.active).field("ids", &ids).finish_non_exhaustive()
    }
}
