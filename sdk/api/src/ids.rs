//! Typed identifiers: a prefix that names the kind and a sortable UUIDv7 in base32.
//!
//! `usr_06f2k…` cannot be passed where a `ten_…` is asked for, neither in Rust nor over the wire, and a log line reads
//! itself. A malformed identifier is reported like an unknown one, so [`ParseIdError`] carries no detail.

use std::{borrow::Cow, cmp::Ordering, fmt, hash::Hash, hash::Hasher, marker::PhantomData, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// What an identifier is of.
pub trait Kind: 'static {
    /// The three letters before the underscore.
    const PREFIX: &'static str;
    /// The name of the schema in the OpenAPI document.
    const NAME: &'static str;
}

/// An identifier of one kind of thing.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

/// The text is no identifier of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier that starts with {0}_")]
pub struct ParseIdError(&'static str);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 26;

impl<K: Kind> Id<K> {
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    pub const fn uuid(self) -> Uuid {
        self.0
    }

    fn write(self, out: &mut [u8; 3 + 1 + TEXT_LEN]) -> &str {
        out[..3].copy_from_slice(K::PREFIX.as_bytes());
        out[3] = b'_';
        let mut value = self.0.as_u128();
        for slot in out[4..].iter_mut().rev() {
            *slot = ALPHABET[(value & 31) as usize];
            value >>= 5;
        }
        std::str::from_utf8(out).unwrap_or_default()
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write(&mut [0; 30]))
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bad = ParseIdError(K::PREFIX);
        let digits = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(bad)?;
        // 26 digits hold 130 bits: a first digit above 7 would overflow, so every value has exactly one spelling.
        if digits.len() != TEXT_LEN || digits.as_bytes()[0] > b'7' {
            return Err(bad);
        }
        let mut value: u128 = 0;
        for byte in digits.bytes() {
            let digit = ALPHABET.iter().position(|letter| *letter == byte).ok_or(bad)?;
            value = value << 5 | digit as u128;
        }
        Ok(Self::from_uuid(Uuid::from_u128(value)))
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.write(&mut [0; 30]))
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl<K: Kind> JsonSchema for Id<K> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed(K::NAME)
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", K::PREFIX),
            "examples": [format!("{}_01jd3v7k2qf5e8m0s4w6y9b1c3", K::PREFIX)],
        })
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $id:ident $kind:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $kind {}
        impl Kind for $kind {
            const PREFIX: &'static str = $prefix;
            const NAME: &'static str = stringify!($id);
        }
        $(#[$doc])*
        pub type $id = Id<$kind>;
    )*};
}

kinds! {
    /// A customer organisation that uses the platform.
    TenantId TenantKind "ten";
    /// A person.
    UserId UserKind "usr";
    /// A signed-in device of a person.
    SessionId SessionKind "ses";
    /// A membership of a person in a tenant.
    MemberId MemberKind "mem";
    /// A role that a tenant defined.
    RoleId RoleKind "rol";
    /// A team inside a tenant.
    OrganizationId OrganizationKind "org";
    /// An invitation into a tenant.
    InvitationId InvitationKind "ivt";
    /// A machine identity of a tenant.
    ServiceAccountId ServiceAccountKind "sva";
    /// An API key.
    KeyId KeyKind "key";
    /// A link between a person and an account at an identity provider.
    IdentityId IdentityKind "idn";
    /// An event in the log.
    EventId EventKind "evt";
    /// A message handed to the mail port.
    MailId MailKind "mai";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_sorts_like_the_value() {
        let small = TenantId::from_uuid(Uuid::from_u128(1));
        let large = TenantId::from_uuid(Uuid::from_u128(u128::MAX));
        assert_eq!(small.to_string(), "ten_00000000000000000000000001");
        assert_eq!(large.to_string().parse::<TenantId>(), Ok(large));
        assert!(small.to_string() < large.to_string());
    }

    #[test]
    fn another_kind_a_bad_digit_and_an_overflow_are_refused() {
        let good = TenantId::from_uuid(Uuid::from_u128(77)).to_string();
        for bad in [
            good.replace("ten_", "usr_"),
            good.replace('0', "u"),
            good.replacen('0', "8", 1),
            good.to_uppercase(),
            good[..29].to_string(),
            String::new(),
        ] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad} was accepted");
        }
    }
}
