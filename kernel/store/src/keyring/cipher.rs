//! The one place that calls the cipher: AES-256-GCM with a header that is authenticated together with the caller's context.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::SecureRandom;
use uuid::Uuid;
use zeroize::Zeroize;

use super::KeyError;

pub(super) const KEY_LEN: usize = 32;
pub(super) const TAG_LEN: usize = 16;
pub(super) const ID_LEN: usize = 16;

/// 256 secret bits. Boxed, so that moving the owner leaves no copy behind; wiped on drop.
pub(super) struct KeyBytes(Box<[u8; KEY_LEN]>);

impl KeyBytes {
    pub(super) fn generate(rng: &dyn SecureRandom) -> Result<Self, KeyError> {
        let mut key = Self(Box::new([0; KEY_LEN]));
        rng.fill(key.0.as_mut_slice()).map_err(|_| KeyError::Random)?;
        Ok(key)
    }

    /// The caller keeps, and has to wipe, its own copy.
    pub(super) fn copy_of(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != KEY_LEN {
            return None;
        }
        let mut key = Self(Box::new([0; KEY_LEN]));
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }

    fn cipher(&self) -> LessSafeKey {
        let key =
            UnboundKey::new(&AES_256_GCM, self.0.as_slice()).expect("a key of the cipher's own length is accepted");
        LessSafeKey::new(key)
    }

    /// Gives `header ‖ nonce ‖ ciphertext ‖ tag`.
    pub(super) fn seal(
        &self,
        rng: &dyn SecureRandom,
        header: &[u8],
        context: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill(&mut nonce).map_err(|_| KeyError::Random)?;
        let start = header.len() + NONCE_LEN;
        let mut out = Vec::with_capacity(start + plaintext.len() + TAG_LEN);
        out.extend_from_slice(header);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plaintext);
        let tag = self
            .cipher()
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                authenticated(header, context),
                &mut out[start..],
            )
            .map_err(|_| KeyError::Malformed("the value is larger than the cipher can seal"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens what [`KeyBytes::seal`] gave for a header of `header_len` bytes.
    pub(super) fn open(&self, header_len: usize, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        if sealed.len() < header_len + NONCE_LEN + TAG_LEN {
            return Err(KeyError::Malformed("it is too short"));
        }
        let (header, rest) = sealed.split_at(header_len);
        let (nonce, content) = rest.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyError::Tampered)?;
        let mut plaintext = content.to_vec();
        let opened = self.cipher().open_in_place(nonce, authenticated(header, context), &mut plaintext);
        if let Ok(opened) = opened.map(|text| text.len()) {
            plaintext.truncate(opened);
            Ok(plaintext)
        } else {
            plaintext.zeroize();
            Err(KeyError::Tampered)
        }
    }
}

impl Drop for KeyBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The header has a fixed length per format and its first byte tells the format, so header and context cannot be shifted
/// against each other.
fn authenticated(header: &[u8], context: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([header, context].concat())
}

/// Key ids are random and say nothing about when a key was made.
pub(super) fn new_id(rng: &dyn SecureRandom) -> Result<Uuid, KeyError> {
    let mut bytes = [0; ID_LEN];
    rng.fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// Reads a key id out of a ciphertext; `None` past its end.
pub(super) fn id_at(bytes: &[u8], offset: usize) -> Option<Uuid> {
    Uuid::from_slice(bytes.get(offset..offset + ID_LEN)?).ok()
}
