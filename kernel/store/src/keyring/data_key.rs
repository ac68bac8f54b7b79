//! Data keys: what values are sealed with, and the wrapped form in which they are stored.
//!
//! A sealed value is `1 ‖ key id (16) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`. A wrapped key is
//! `2 ‖ wrapping key id (16) ‖ key id (16) ‖ nonce (12) ‖ encrypted key (32) ‖ tag (16)`. The first byte keeps the two apart,
//! so that a wrapped key can never be opened as a value.

use std::fmt;

use ring::aead::NONCE_LEN;
use ring::rand::SecureRandom;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::cipher::{ID_LEN, KEY_LEN, KeyBytes, TAG_LEN, id_at, new_id};
use super::{KeyError, MasterKeys};

const SEALED_VERSION: u8 = 1;
const SEALED_HEADER: usize = 1 + ID_LEN;
const WRAPPED_VERSION: u8 = 2;
const WRAPPED_HEADER: usize = 1 + ID_LEN + ID_LEN;
const WRAPPED_LEN: usize = WRAPPED_HEADER + NONCE_LEN + KEY_LEN + TAG_LEN;

/// A key that seals values, or wraps further data keys.
pub struct DataKey {
    id: Uuid,
    bytes: KeyBytes,
}

impl DataKey {
    pub fn generate(rng: &dyn SecureRandom) -> Result<Self, KeyError> {
        Ok(Self { id: new_id(rng)?, bytes: KeyBytes::generate(rng)? })
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Encrypts `plaintext`. `context` says where the ciphertext belongs (table, row, column); it is not stored and has to
    /// be the same on opening, so that a ciphertext copied to another row does not open there.
    pub fn seal(&self, rng: &dyn SecureRandom, context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut header = [SEALED_VERSION; SEALED_HEADER];
        header[1..].copy_from_slice(self.id.as_bytes());
        self.bytes.seal(rng, &header, context, plaintext)
    }

    /// Decrypts what [`DataKey::seal`] gave for the same context. A ciphertext of another key is
    /// [`KeyError::UnknownKey`] with that key's id.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        let id = key_id_of(sealed).ok_or(KeyError::Malformed("it does not start with a known version and a key id"))?;
        if id != self.id {
            return Err(KeyError::UnknownKey(id));
        }
        self.bytes.open(SEALED_HEADER, context, sealed)
    }

    /// The form in which this key may be stored, encrypted by the active master key.
    pub fn wrap(&self, masters: &MasterKeys, rng: &dyn SecureRandom) -> Result<WrappedKey, KeyError> {
        let master = masters.active_key();
        WrappedKey::make(master.id, &master.bytes, self, rng)
    }

    /// The same, encrypted by another data key instead: destroying `parent` destroys this one.
    pub fn wrap_under(&self, parent: &Self, rng: &dyn SecureRandom) -> Result<WrappedKey, KeyError> {
        WrappedKey::make(parent.id, &parent.bytes, self, rng)
    }

    /// Recovers a key that was wrapped by any master key still in the set.
    pub fn unwrap(wrapped: &WrappedKey, masters: &MasterKeys) -> Result<Self, KeyError> {
        let id = wrapped.wrapping_key_id();
        let master = masters.find(id).ok_or(KeyError::UnknownKey(id))?;
        wrapped.unwrap_with(&master.bytes)
    }

    /// Recovers a key that was wrapped by [`DataKey::wrap_under`].
    pub fn unwrap_under(wrapped: &WrappedKey, parent: &Self) -> Result<Self, KeyError> {
        let id = wrapped.wrapping_key_id();
        if id != parent.id {
            return Err(KeyError::UnknownKey(id));
        }
        wrapped.unwrap_with(&parent.bytes)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The data key that a sealed value was made with, so that it can be looked up; `None` where the bytes are no sealed value.
pub fn key_id_of(sealed: &[u8]) -> Option<Uuid> {
    if *sealed.first()? != SEALED_VERSION {
        return None;
    }
    id_at(sealed, 1)
}

/// A data key in the form in which it is stored: useless without the key that wraps it.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    bytes: Vec<u8>,
    wrapping_key_id: Uuid,
    key_id: Uuid,
}

impl WrappedKey {
    /// Takes stored bytes back. Only the shape is checked here; the content is authenticated on unwrapping.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, KeyError> {
        if bytes.len() != WRAPPED_LEN || bytes[0] != WRAPPED_VERSION {
            return Err(KeyError::Malformed("it is not a wrapped key of a known version"));
        }
        let ids = id_at(&bytes, 1).zip(id_at(&bytes, 1 + ID_LEN));
        let (wrapping_key_id, key_id) = ids.ok_or(KeyError::Malformed("it holds no key ids"))?;
        Ok(Self { bytes, wrapping_key_id, key_id })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The master key, or parent data key, that this key is wrapped by.
    pub fn wrapping_key_id(&self) -> Uuid {
        self.wrapping_key_id
    }

    /// The data key inside.
    pub fn key_id(&self) -> Uuid {
        self.key_id
    }

    /// The same data key wrapped by the active master key, or `None` when it already is.
    pub fn rewrap(&self, masters: &MasterKeys, rng: &dyn SecureRandom) -> Result<Option<Self>, KeyError> {
        if self.wrapping_key_id == masters.active_id() {
            return Ok(None);
        }
        DataKey::unwrap(self, masters)?.wrap(masters, rng).map(Some)
    }

    fn make(wrapping_id: Uuid, wrapping: &KeyBytes, key: &DataKey, rng: &dyn SecureRandom) -> Result<Self, KeyError> {
        let mut header = [WRAPPED_VERSION; WRAPPED_HEADER];
        header[1..=ID_LEN].copy_from_slice(wrapping_id.as_bytes());
        header[1 + ID_LEN..].copy_from_slice(key.id.as_bytes());
        let bytes = wrapping.seal(rng, &header, &[], key.bytes.expose())?;
        Ok(Self { bytes, wrapping_key_id: wrapping_id, key_id: key.id })
    }

    fn unwrap_with(&self, wrapping: &KeyBytes) -> Result<DataKey, KeyError> {
        let opened = Zeroizing::new(wrapping.open(WRAPPED_HEADER, &[], &self.bytes)?);
        let bytes = KeyBytes::copy_of(&opened).ok_or(KeyError::Malformed("the wrapped key has the wrong length"))?;
        Ok(DataKey { id: self.key_id, bytes })
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedKey")
            .field("key_id", &self.key_id)
            .field("wrapping_key_id", &self.wrapping_key_id)
            .finish_non_exhaustive()
    }
}
