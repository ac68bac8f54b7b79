//! ID tokens: parsed, checked against the provider's keys, then against what this sign-in expects (OpenID Connect Core,
//! section 3.1.3.7).

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::error::{IdTokenError, excerpt};
use super::jwks::KeySet;

/// How far the provider's clock may be off, in seconds.
const SKEW_SECONDS: i64 = 60;
/// The longest subject the specification allows.
const MAX_SUBJECT: usize = 255;

/// A token that is well-formed and signed with an algorithm that can be trusted; nothing in it is verified yet.
pub(super) struct IdToken<'a> {
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
    kid: Option<String>,
    algorithm: Algorithm,
}

/// What the token of this sign-in has to say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: i64,
}

#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    pub(super) sub: String,
    aud: Audience,
    azp: Option<String>,
    #[serde(deserialize_with = "seconds")]
    exp: i64,
    #[serde(deserialize_with = "seconds")]
    iat: i64,
    #[serde(default, deserialize_with = "maybe_seconds")]
    nbf: Option<i64>,
    nonce: Option<String>,
    #[serde(flatten)]
    pub(super) profile: Profile,
}

/// The claims about the person, in an ID token and from the userinfo endpoint alike.
#[derive(Deserialize)]
pub(super) struct Profile {
    email: Option<String>,
    #[serde(default, deserialize_with = "truth")]
    pub(super) email_verified: bool,
    pub(super) name: Option<String>,
}

impl Profile {
    /// Some providers send an empty text for an address they do not have.
    pub(super) fn email(&self) -> Option<String> {
        self.email.clone().filter(|email| !email.trim().is_empty())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl<'a> IdToken<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, IdTokenError> {
        let (signed, signature) = text.rsplit_once('.').ok_or(IdTokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(IdTokenError::Malformed)?;
        let header: Header = decode(header).ok_or(IdTokenError::Malformed)?;
        let algorithm = match header.alg.as_str() {
            "RS256" => Algorithm::RS256,
            "ES256" => Algorithm::ES256,
            "EdDSA" | "Ed25519" => Algorithm::EdDSA,
            // Above all `none`, and HS256 with a public key as the secret.
            other => return Err(IdTokenError::Algorithm(excerpt(other))),
        };
        if header.crit.is_some() {
            return Err(IdTokenError::Extension);
        }
        Ok(Self { signed, payload, signature, kid: header.kid, algorithm })
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn verify(&self, keys: &KeySet, expected: &Expected<'_>) -> Result<Claims, IdTokenError> {
        if !keys.knows(self.kid(), self.algorithm) {
            return Err(IdTokenError::UnknownKey(excerpt(self.kid().unwrap_or("(no name)"))));
        }
        let signed_by = |key| {
            jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, self.algorithm).unwrap_or(false)
        };
        if !keys.candidates(self.kid(), self.algorithm).any(signed_by) {
            return Err(IdTokenError::Signature);
        }
        let claims: Claims = decode(self.payload).ok_or(IdTokenError::Claims)?;
        claims.check(expected)?;
        Ok(claims)
    }
}

impl Claims {
    fn check(&self, expected: &Expected<'_>) -> Result<(), IdTokenError> {
        if self.iss != expected.issuer {
            return Err(IdTokenError::Issuer(excerpt(&self.iss)));
        }
        self.check_audience(expected.client_id)?;
        if self.exp <= expected.now.saturating_sub(SKEW_SECONDS) {
            return Err(IdTokenError::Expired);
        }
        let latest = expected.now.saturating_add(SKEW_SECONDS);
        if self.iat > latest || self.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(IdTokenError::NotYetValid);
        }
        let nonce = self.nonce.as_deref().unwrap_or_default();
        if expected.nonce.is_empty() || !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
            return Err(IdTokenError::Nonce);
        }
        if self.sub.is_empty() || self.sub.len() > MAX_SUBJECT {
            return Err(IdTokenError::Subject);
        }
        Ok(())
    }

    fn check_audience(&self, client_id: &str) -> Result<(), IdTokenError> {
        let (ours, several) = match &self.aud {
            Audience::One(one) => (one == client_id, false),
            Audience::Many(many) => (many.iter().any(|one| one == client_id), many.len() > 1),
        };
        if !ours {
            return Err(IdTokenError::Audience);
        }
        match self.azp.as_deref() {
            Some(party) if party != client_id => Err(IdTokenError::AuthorizedParty),
            None if several => Err(IdTokenError::AuthorizedParty),
            _ => Ok(()),
        }
    }
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A NumericDate may have a fraction.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Date {
        Whole(i64),
        Fraction(f64),
    }
    Ok(match Date::deserialize(deserializer)? {
        Date::Whole(seconds) => seconds,
        Date::Fraction(seconds) => seconds as i64,
    })
}

fn maybe_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    struct Seconds(#[serde(deserialize_with = "seconds")] i64);
    Ok(Option::<Seconds>::deserialize(deserializer)?.map(|Seconds(value)| value))
}

/// Some providers send booleans as text. Anything unclear means no.
fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(value) => value,
        Value::String(text) => text == "true",
        _ => false,
    })
}
