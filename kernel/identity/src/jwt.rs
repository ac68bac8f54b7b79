//! Access tokens: JWTs signed with Ed25519, in the profile of RFC 9068 (`typ: at+jwt`).
//!
//! Invariants:
//!
//! * The algorithm is not negotiated. A token is checked with the one algorithm there is, by the key its `kid` names;
//!   what the header claims beyond that can only make it be refused.
//! * Keys rotate with overlap: a new key is published before it signs ([`SigningKeys::trust`]), an old one stays published
//!   until the last token it signed has expired.
//! * The signature is checked before a claim is looked at.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::pkcs8::Document;
use ring::rand::SecureRandom;
use ring::signature::{ED25519, ED25519_PUBLIC_KEY_LEN, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const ALGORITHM: &str = "EdDSA";
const TYPE: &str = "at+jwt";
/// How far the clock of the node that signed may be ahead of this one, in seconds.
pub const SKEW_SECONDS: i64 = 60;
/// Tokens made here have a few hundred bytes.
const MAX_TOKEN: usize = 4096;
const SIGNATURE_LEN: usize = 64;
/// The base64url form of a signature.
const SIGNATURE_TEXT: usize = 86;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is not a JWT of three parts in base64url")]
    Malformed,
    #[error("the token is signed with an algorithm other than {ALGORITHM}")]
    Algorithm,
    #[error("the token is no access token: its type is not {TYPE}")]
    Type,
    #[error("the token was signed by a key that is not known here, or not any more; sign in again")]
    UnknownKey,
    #[error("the signature of the token is wrong")]
    Signature,
    #[error("the token holds claims of an unexpected form")]
    Claims,
    #[error("the token was issued by someone else")]
    Issuer,
    #[error("the token is meant for another audience")]
    Audience,
    #[error("the token has expired; refresh it")]
    Expired,
    #[error("the token is not valid yet; check the clocks of the nodes")]
    NotYetValid,
}

#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    #[error("the system's random number generator failed; no signing key was made")]
    Random,
    #[error("the stored signing key cannot be read ({0}); restore it or rotate to a new one")]
    Rejected(String),
}

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// The user or API key that acts.
    pub sub: String,
    /// The tenant it acts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tid: Option<String>,
    /// The session the token belongs to; revoking it ends the token early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Who really acts, when an operator impersonates `sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
    pub iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    pub exp: i64,
    pub jti: String,
}

/// The actor claim of RFC 8693.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub sub: String,
}

/// The public half of a key: verifies, and is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    kid: String,
    public: [u8; ED25519_PUBLIC_KEY_LEN],
    /// The encoded header of every token this key signs.
    header: String,
}

impl VerifyingKey {
    fn new(public: [u8; ED25519_PUBLIC_KEY_LEN]) -> Self {
        let kid = thumbprint(&public);
        let header = json!({ "alg": ALGORITHM, "kid": kid, "typ": TYPE }).to_string();
        Self { kid, public, header: BASE64URL_NOPAD.encode(header.as_bytes()) }
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    fn jwk(&self) -> Value {
        json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "use": "sig",
            "alg": ALGORITHM,
            "kid": self.kid,
            "x": BASE64URL_NOPAD.encode(&self.public),
        })
    }
}

/// A key that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// A new key, and its PKCS#8 form to be stored encrypted.
    pub fn generate(rng: &dyn SecureRandom) -> Result<(Self, Document), SigningKeyError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(rng).map_err(|_| SigningKeyError::Random)?;
        let key = Self::from_pkcs8(pkcs8.as_ref())?;
        Ok((key, pkcs8))
    }

    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, SigningKeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|error| SigningKeyError::Rejected(error.to_string()))?;
        let public = pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes");
        Ok(Self { pair, verifying: VerifyingKey::new(public) })
    }

    pub fn kid(&self) -> &str {
        self.verifying.kid()
    }

    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid()).finish_non_exhaustive()
    }
}

/// The keys of this platform: one signs, all verify.
#[derive(Debug)]
pub struct SigningKeys {
    issuer: String,
    audience: String,
    active: SigningKey,
    others: Vec<VerifyingKey>,
}

impl SigningKeys {
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, active: SigningKey) -> Self {
        Self { issuer: issuer.into(), audience: audience.into(), active, others: Vec::new() }
    }

    /// Publishes and accepts a further key: one that signed before, or one that will sign next.
    #[must_use]
    pub fn trust(mut self, key: VerifyingKey) -> Self {
        if self.find(&key.kid).is_none() {
            self.others.push(key);
        }
        self
    }

    pub fn active_kid(&self) -> &str {
        self.active.kid()
    }

    /// Claims of a token that is issued now for `lifetime` seconds, to be completed by the caller.
    pub fn claims(&self, sub: impl Into<String>, jti: impl Into<String>, now: i64, lifetime: i64) -> Claims {
        Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: sub.into(),
            tid: None,
            sid: None,
            act: None,
            iat: now,
            nbf: None,
            exp: now.saturating_add(lifetime),
            jti: jti.into(),
        }
    }

    pub fn sign(&self, claims: &Claims) -> String {
        let payload = serde_json::to_vec(claims).expect("strings and numbers always serialise");
        let header = &self.active.verifying.header;
        let encoded = BASE64URL_NOPAD.encode_len(payload.len());
        let mut token = String::with_capacity(header.len() + encoded + SIGNATURE_TEXT + 2);
        token.push_str(header);
        token.push('.');
        BASE64URL_NOPAD.encode_append(&payload, &mut token);
        let signature = self.active.pair.sign(token.as_bytes());
        token.push('.');
        BASE64URL_NOPAD.encode_append(signature.as_ref(), &mut token);
        token
    }

    /// Checks a token at the time `now` in unix seconds. There is no grace after expiry: a client refreshes earlier.
    pub fn verify(&self, token: &str, now: i64) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        if payload.contains('.') {
            return Err(TokenError::Malformed);
        }
        let key = self.key_of(header)?;
        let signature = decode_signature(signature)?;
        UnparsedPublicKey::new(&ED25519, &key.public)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| TokenError::Signature)?;
        let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).map_err(|_| TokenError::Malformed)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Claims)?;
        self.check(&claims, now)?;
        Ok(claims)
    }

    /// The public keys, as served at `/.well-known/jwks.json`.
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.all().map(VerifyingKey::jwk).collect::<Vec<_>>() })
    }

    fn check(&self, claims: &Claims, now: i64) -> Result<(), TokenError> {
        let latest = now.saturating_add(SKEW_SECONDS);
        if claims.iss != self.issuer {
            Err(TokenError::Issuer)
        } else if claims.aud != self.audience {
            Err(TokenError::Audience)
        } else if claims.exp <= now {
            Err(TokenError::Expired)
        } else if claims.iat > latest || claims.nbf.is_some_and(|nbf| nbf > latest) {
            Err(TokenError::NotYetValid)
        } else {
            Ok(())
        }
    }

    fn all(&self) -> impl Iterator<Item = &VerifyingKey> {
        std::iter::once(&self.active.verifying).chain(&self.others)
    }

    fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.all().find(|key| key.kid == kid)
    }

    /// A header made here is recognised as text, without being decoded; any other is taken apart.
    fn key_of(&self, header: &str) -> Result<&VerifyingKey, TokenError> {
        if let Some(key) = self.all().find(|key| key.header == header) {
            return Ok(key);
        }
        let header = BASE64URL_NOPAD.decode(header.as_bytes()).map_err(|_| TokenError::Malformed)?;
        let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
        if header.alg != ALGORITHM {
            return Err(TokenError::Algorithm);
        }
        let kind = header.typ.unwrap_or_default();
        let kind = kind.strip_prefix("application/").unwrap_or(kind);
        // An extension marked critical must be understood, and none is.
        if !kind.eq_ignore_ascii_case(TYPE) || header.crit.is_some() {
            return Err(TokenError::Type);
        }
        header.kid.and_then(|kid| self.find(kid)).ok_or(TokenError::UnknownKey)
    }
}

#[derive(Deserialize)]
struct Header<'a> {
    alg: &'a str,
    typ: Option<&'a str>,
    kid: Option<&'a str>,
    crit: Option<Value>,
}

fn decode_signature(text: &str) -> Result<[u8; SIGNATURE_LEN], TokenError> {
    let mut signature = [0; SIGNATURE_LEN];
    if text.len() != SIGNATURE_TEXT {
        return Err(TokenError::Signature);
    }
    BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut signature).map_err(|_| TokenError::Malformed)?;
    Ok(signature)
}

/// RFC 7638: the same key has the same id on every node, without anyone having to agree on one.
fn thumbprint(public: &[u8]) -> String {
    let x = BASE64URL_NOPAD.encode(public);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    BASE64URL_NOPAD.encode(ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use ring::hmac;
    use ring::rand::SystemRandom;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn key() -> SigningKey {
        SigningKey::generate(&SystemRandom::new()).unwrap().0
    }

    fn keys() -> SigningKeys {
        SigningKeys::new("https://plinth.example", "plinth", key())
    }

    fn claims(keys: &SigningKeys) -> Claims {
        let mut claims = keys.claims("usr_1", "jti_1", NOW, 600);
        claims.tid = Some("ten_1".to_owned());
        claims.sid = Some("ses_1".to_owned());
        claims
    }

    fn encode(value: &Value) -> String {
        BASE64URL_NOPAD.encode(value.to_string().as_bytes())
    }

    /// A token with any header and payload, honestly signed by the active key.
    fn forge(keys: &SigningKeys, header: &Value, payload: &Value) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = keys.active.pair.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    fn header(keys: &SigningKeys) -> Value {
        json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": keys.active_kid() })
    }

    #[test]
    fn a_token_says_what_was_signed() {
        let keys = keys();
        let plain = keys.claims("usr_1", "jti_1", NOW, 600);
        let mut full = claims(&keys);
        full.act = Some(Actor { sub: "usr_operator".to_owned() });
        full.nbf = Some(NOW);
        for claims in [plain, full] {
            assert_eq!(keys.verify(&keys.sign(&claims), NOW), Ok(claims));
        }
    }

    #[test]
    fn the_header_is_exactly_the_profile() {
        let keys = keys();
        let token = keys.sign(&claims(&keys));
        let encoded = BASE64URL_NOPAD.decode(token.split('.').next().unwrap().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&encoded).unwrap(), header(&keys));
    }

    #[test]
    fn a_stored_key_signs_the_same() {
        let (key, pkcs8) = SigningKey::generate(&SystemRandom::new()).unwrap();
        let again = SigningKey::from_pkcs8(pkcs8.as_ref()).unwrap();
        assert_eq!(key.kid(), again.kid());
        let keys = SigningKeys::new("i", "a", key);
        let others = SigningKeys::new("i", "a", again);
        let claims = keys.claims("usr_1", "jti", NOW, 600);
        assert_eq!(keys.sign(&claims), others.sign(&claims));
        assert!(SigningKey::from_pkcs8(&pkcs8.as_ref()[..40]).is_err());
    }

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_8037() {
        let x = BASE64URL_NOPAD.decode(b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(thumbprint(&x), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn any_changed_character_is_refused() {
        let keys = keys();
        let token = keys.sign(&claims(&keys));
        for position in 0..token.len() {
            for replacement in ["A", "B", "-", "."] {
                let mut changed = token.clone();
                changed.replace_range(position..=position, replacement);
                if changed != token {
                    assert!(keys.verify(&changed, NOW).is_err(), "{position}: {changed}");
                }
            }
        }
    }

    #[test]
    fn a_tampered_payload_is_a_wrong_signature() {
        let keys = keys();
        let token = keys.sign(&claims(&keys));
        let mut other = claims(&keys);
        other.sub = "usr_2".to_owned();
        let payload = encode(&serde_json::to_value(&other).unwrap());
        let parts: Vec<_> = token.split('.').collect();
        let tampered = format!("{}.{payload}.{}", parts[0], parts[2]);
        assert_eq!(keys.verify(&tampered, NOW), Err(TokenError::Signature));
    }

    #[test]
    fn other_algorithms_are_refused_whoever_signed() {
        let keys = keys();
        let payload = serde_json::to_value(claims(&keys)).unwrap();
        for alg in ["none", "None", "", "HS256", "RS256", "ES256", "eddsa"] {
            let mut header = header(&keys);
            header["alg"] = json!(alg);
            assert_eq!(keys.verify(&forge(&keys, &header, &payload), NOW), Err(TokenError::Algorithm), "{alg}");
        }
        let mut none = header(&keys);
        none["alg"] = json!("none");
        let unsigned = format!("{}.{}.", encode(&none), encode(&payload));
        assert_eq!(keys.verify(&unsigned, NOW), Err(TokenError::Algorithm));
        let stripped = format!("{}.{}.", encode(&header(&keys)), encode(&payload));
        assert_eq!(keys.verify(&stripped, NOW), Err(TokenError::Signature));
    }

    #[test]
    fn the_public_key_is_no_shared_secret() {
        let keys = keys();
        let public = keys.active.verifying.public;
        let payload = serde_json::to_value(claims(&keys)).unwrap();
        for alg in ["HS256", "EdDSA"] {
            let mut header = header(&keys);
            header["alg"] = json!(alg);
            let signed = format!("{}.{}", encode(&header), encode(&payload));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, &public), signed.as_bytes());
            let token = format!("{signed}.{}", BASE64URL_NOPAD.encode(tag.as_ref()));
            let error = if alg == "HS256" { TokenError::Algorithm } else { TokenError::Signature };
            assert_eq!(keys.verify(&token, NOW), Err(error));
        }
    }

    #[test]
    fn another_key_is_refused_under_its_own_name_and_under_ours() {
        let (ours, theirs) = (keys(), keys());
        let payload = serde_json::to_value(claims(&ours)).unwrap();
        let own_name = forge(&theirs, &header(&theirs), &payload);
        assert_eq!(ours.verify(&own_name, NOW), Err(TokenError::UnknownKey));
        let our_name = forge(&theirs, &header(&ours), &payload);
        assert_eq!(ours.verify(&our_name, NOW), Err(TokenError::Signature));
        let nameless = forge(&ours, &json!({ "alg": "EdDSA", "typ": "at+jwt" }), &payload);
        assert_eq!(ours.verify(&nameless, NOW), Err(TokenError::UnknownKey));
    }

    #[test]
    fn only_access_tokens_pass() {
        let keys = keys();
        let payload = serde_json::to_value(claims(&keys)).unwrap();
        let with = |name: &str, value: Value| {
            let mut header = header(&keys);
            header[name] = value;
            keys.verify(&forge(&keys, &header, &payload), NOW)
        };
        for kind in ["JWT", "", "id+jwt", "jwt"] {
            assert_eq!(with("typ", json!(kind)), Err(TokenError::Type), "{kind}");
        }
        assert_eq!(with("crit", json!(["b64"])), Err(TokenError::Type));
        for kind in ["AT+JWT", "application/at+jwt"] {
            assert!(with("typ", json!(kind)).is_ok(), "{kind}");
        }
    }

    #[test]
    fn time_is_checked_at_the_edges() {
        let keys = keys();
        let token = keys.sign(&claims(&keys));
        for (now, expected) in [
            (NOW - 61, Some(TokenError::NotYetValid)),
            (NOW - 60, None),
            (NOW, None),
            (NOW + 599, None),
            (NOW + 600, Some(TokenError::Expired)),
            (i64::MAX, Some(TokenError::Expired)),
        ] {
            assert_eq!(keys.verify(&token, now).err(), expected, "{now}");
        }
        let mut later = claims(&keys);
        for (nbf, expected) in [(NOW + 60, None), (NOW + 61, Some(TokenError::NotYetValid))] {
            later.nbf = Some(nbf);
            assert_eq!(keys.verify(&keys.sign(&later), NOW).err(), expected, "{nbf}");
        }
    }

    #[test]
    fn issuer_and_audience_have_to_be_ours() {
        let keys = keys();
        let mut other = claims(&keys);
        other.iss = "https://evil.example".to_owned();
        assert_eq!(keys.verify(&keys.sign(&other), NOW), Err(TokenError::Issuer));
        let mut other = claims(&keys);
        other.aud = "another".to_owned();
        assert_eq!(keys.verify(&keys.sign(&other), NOW), Err(TokenError::Audience));
    }

    #[test]
    fn missing_or_odd_claims_are_refused() {
        let keys = keys();
        let good = serde_json::to_value(claims(&keys)).unwrap();
        for name in ["iss", "aud", "sub", "iat", "exp", "jti"] {
            let mut payload = good.clone();
            payload.as_object_mut().unwrap().remove(name);
            assert_eq!(keys.verify(&forge(&keys, &header(&keys), &payload), NOW), Err(TokenError::Claims), "{name}");
        }
        for (name, value) in
            [("exp", json!("never")), ("exp", json!(1e30)), ("aud", json!(["plinth"])), ("act", json!("x"))]
        {
            let mut payload = good.clone();
            payload[name] = value;
            assert_eq!(keys.verify(&forge(&keys, &header(&keys), &payload), NOW), Err(TokenError::Claims), "{name}");
        }
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let keys = keys();
        let token = keys.sign(&claims(&keys));
        let cases =
            [String::new(), ".".to_owned(), "a.b".to_owned(), "..".to_owned(), format!("{token}.x"), "x".repeat(5000)];
        for text in cases {
            assert_eq!(keys.verify(&text, NOW), Err(TokenError::Malformed), "{text}");
        }
    }

    #[test]
    fn keys_rotate_with_overlap() {
        let (first, pkcs8) = SigningKey::generate(&SystemRandom::new()).unwrap();
        let old = first.verifying().clone();
        let before = SigningKeys::new("i", "a", first);
        let token = before.sign(&before.claims("usr_1", "jti", NOW, 600));

        let next = key();
        let upcoming = next.verifying().clone();
        let after = SigningKeys::new("i", "a", next);
        assert_eq!(after.verify(&token, NOW), Err(TokenError::UnknownKey));
        let after = after.trust(old.clone()).trust(old.clone());
        assert!(after.verify(&token, NOW).is_ok());

        // A node that has not switched yet accepts what the others sign already.
        let behind = SigningKeys::new("i", "a", SigningKey::from_pkcs8(pkcs8.as_ref()).unwrap()).trust(upcoming);
        let new = after.sign(&after.claims("usr_1", "jti", NOW, 600));
        assert!(behind.verify(&new, NOW).is_ok());

        let jwks = after.jwks();
        let kids: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
        assert_eq!(kids, [after.active_kid(), old.kid()], "published once each");
    }

    #[test]
    fn a_stranger_can_verify_with_the_published_keys() {
        let keys = keys();
        let token = keys.sign(&claims(&keys));
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(keys.jwks()).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(set.find(keys.active_kid()).unwrap()).unwrap();
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
        validation.set_audience(&["plinth"]);
        // That library has a clock of its own.
        validation.validate_exp = false;
        let data = jsonwebtoken::decode::<Claims>(&token, &key, &validation).unwrap();
        assert_eq!(data.claims, claims(&keys));
        assert!(!keys.jwks().to_string().contains("\"d\""), "no private part is published");
    }
}
