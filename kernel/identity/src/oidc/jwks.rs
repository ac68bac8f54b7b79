//! The keys that a provider publishes. A set may hold keys for other purposes or of kinds that are not known here: those are
//! left out one by one and never spoil the rest.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// More keys than any provider publishes; bounds the work for a token that names none.
const MAX_KEYS: usize = 64;

#[derive(Deserialize)]
pub(super) struct RawKeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A key with the one algorithm it is used with: what a token's header says never decides how a key is read.
struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

pub(super) struct KeySet(Vec<Key>);

impl From<RawKeySet> for KeySet {
    fn from(raw: RawKeySet) -> Self {
        let keys = raw.keys.into_iter().take(MAX_KEYS);
        Self(keys.filter_map(|key| serde_json::from_value(key).ok()).filter_map(usable).collect())
    }
}

impl KeySet {
    pub(super) fn knows(&self, kid: Option<&str>, algorithm: Algorithm) -> bool {
        self.candidates(kid, algorithm).next().is_some()
    }

    /// The keys that may have signed: those of the given name, or where a token names none, all of the algorithm.
    pub(super) fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &DecodingKey> {
        self.0
            .iter()
            .filter(move |key| key.algorithm == algorithm && (kid.is_none() || key.kid.as_deref() == kid))
            .map(|key| &key.key)
    }
}

fn usable(raw: RawKey) -> Option<Key> {
    if raw.purpose.is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let (name, algorithm, key) = match (raw.kty.as_str(), raw.crv.as_deref()) {
        ("RSA", _) => ("RS256", Algorithm::RS256, DecodingKey::from_rsa_components(&raw.n?, &raw.e?)),
        ("EC", Some("P-256")) => ("ES256", Algorithm::ES256, DecodingKey::from_ec_components(&raw.x?, &raw.y?)),
        ("OKP", Some("Ed25519")) => ("EdDSA", Algorithm::EdDSA, DecodingKey::from_ed_components(&raw.x?)),
        _ => return None,
    };
    // RFC 9864 gives EdDSA with this curve a name of its own.
    let named = |alg: &str| alg == name || (name == "EdDSA" && alg == "Ed25519");
    if raw.alg.as_deref().is_some_and(|alg| !named(alg)) {
        return None;
    }
    Some(Key { kid: raw.kid, algorithm, key: key.ok()? })
}
