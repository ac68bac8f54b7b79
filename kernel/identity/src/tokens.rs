//! Opaque tokens: API keys, refresh tokens, one-time tokens and invitations, all of one form:
//!
//! ```text
//! plk_8vj3k0c2m5qd7wxt_<52 characters: 256 secret bits><6 characters: checksum>
//! ```
//!
//! Invariants:
//!
//! * Only [`TokenHash`] is stored. The secret is 256 random bits, so a plain SHA-256 of the whole text protects it, and the
//!   hash covers kind and public id: a token of one kind never passes for another.
//! * The public id finds the row; the comparison that follows takes constant time.
//! * The checksum lets anyone tell a mistyped token from a revoked one, and a secret scanner a token from noise, without
//!   asking the server. It is no protection and is not meant to be one.

use std::fmt;

use data_encoding::{Encoding, Specification};
use ring::digest::{Context, SHA256};
use ring::rand::SecureRandom;
use subtle::ConstantTimeEq;

/// Lower case, no look-alikes, survives a double click and a URL.
const ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";
const ID_BYTES: usize = 10;
const ID_LEN: usize = 16;
const SECRET_BYTES: usize = 32;
const SECRET_LEN: usize = 52;
const CHECKSUM_LEN: usize = 6;
const PREFIX_LEN: usize = 4;
const ID_END: usize = PREFIX_LEN + ID_LEN;
/// The length of every token.
pub const TOKEN_LEN: usize = ID_END + 1 + SECRET_LEN + CHECKSUM_LEN;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    ApiKey,
    Refresh,
    OneTime,
    Invitation,
}

impl TokenKind {
    pub const ALL: [Self; 4] = [Self::ApiKey, Self::Refresh, Self::OneTime, Self::Invitation];

    pub fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "plk_",
            Self::Refresh => "plr_",
            Self::OneTime => "plo_",
            Self::Invitation => "pli_",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenParseError {
    #[error("not a token of this platform: it starts with none of plk_, plr_, plo_ and pli_")]
    UnknownPrefix,
    #[error("the token is incomplete or holds characters that no token has; copy it again as a whole")]
    Malformed,
    #[error("the token was mistyped: its checksum is wrong; copy it again as a whole")]
    Checksum,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random number generator failed; no token was made")]
pub struct RandomError;

/// SHA-256 of a token's text: what the database holds.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Takes a stored hash back; `None` where the length is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Constant time, and the only way to compare.
impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// A new token in clear, to be shown once.
pub struct Secret {
    kind: TokenKind,
    text: String,
}

impl Secret {
    pub fn generate(kind: TokenKind, rng: &dyn SecureRandom) -> Result<Self, RandomError> {
        let encoding = encoding();
        let mut id = [0; ID_BYTES];
        let mut secret = [0; SECRET_BYTES];
        rng.fill(&mut id).and_then(|()| rng.fill(&mut secret)).map_err(|_| RandomError)?;
        let mut text = String::with_capacity(TOKEN_LEN);
        text.push_str(kind.prefix());
        encoding.encode_append(&id, &mut text);
        text.push('_');
        encoding.encode_append(&secret, &mut text);
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Ok(Self { kind, text })
    }

    /// The clear text, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The part that may be stored, listed and logged: finds the row and tells keys apart.
    pub fn public_id(&self) -> &str {
        &self.text[PREFIX_LEN..ID_END]
    }

    pub fn hash(&self) -> TokenHash {
        hash(&self.text)
    }

    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// Splits what a client sent. Nothing is looked up: a token that parses may still be unknown or revoked.
    pub fn parse(text: &str) -> Result<Presented<'_>, TokenParseError> {
        let kind = TokenKind::ALL
            .into_iter()
            .find(|kind| text.starts_with(kind.prefix()))
            .ok_or(TokenParseError::UnknownPrefix)?;
        if text.len() != TOKEN_LEN || !text.is_ascii() || text.as_bytes()[ID_END] != b'_' {
            return Err(TokenParseError::Malformed);
        }
        let body = &text.as_bytes()[ID_END + 1..];
        let all_known = |part: &[u8]| part.iter().all(|c| ALPHABET.as_bytes().contains(c));
        if !all_known(&text.as_bytes()[PREFIX_LEN..ID_END]) || !all_known(body) {
            return Err(TokenParseError::Malformed);
        }
        let (signed, given) = text.split_at(TOKEN_LEN - CHECKSUM_LEN);
        if checksum(signed) != given {
            return Err(TokenParseError::Checksum);
        }
        Ok(Presented { kind, text })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}{}_..)", self.kind.prefix(), self.public_id())
    }
}

/// A well-formed token that a client sent.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    kind: TokenKind,
    text: &'a str,
}

impl<'a> Presented<'a> {
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    pub fn public_id(&self) -> &'a str {
        &self.text[PREFIX_LEN..ID_END]
    }

    pub fn hash(&self) -> TokenHash {
        hash(self.text)
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Presented({}{}_..)", self.kind.prefix(), self.public_id())
    }
}

fn hash(text: &str) -> TokenHash {
    let digest = ring::digest::digest(&SHA256, text.as_bytes());
    TokenHash(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// Thirty bits of a hash of everything before it. The label keeps them from being a part of [`TokenHash`].
fn checksum(text: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(b"plinth token checksum\0");
    context.update(text.as_bytes());
    let mut encoded = encoding().encode(&context.finish().as_ref()[..4]);
    encoded.truncate(CHECKSUM_LEN);
    encoded
}

fn encoding() -> &'static Encoding {
    static ENCODING: std::sync::LazyLock<Encoding> = std::sync::LazyLock::new(|| {
        let mut specification = Specification::new();
        specification.symbols.push_str(ALPHABET);
        specification.encoding().expect("32 distinct symbols make an encoding")
    });
    &ENCODING
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ring::rand::SystemRandom;

    use super::*;

    fn make(kind: TokenKind) -> Secret {
        Secret::generate(kind, &SystemRandom::new()).unwrap()
    }

    #[test]
    fn a_token_parses_into_what_it_was_made_of() {
        for (kind, prefix) in TokenKind::ALL.into_iter().zip(["plk_", "plr_", "plo_", "pli_"]) {
            let secret = make(kind);
            assert_eq!(secret.expose().len(), TOKEN_LEN);
            assert!(secret.expose().starts_with(prefix));
            assert_eq!(secret.public_id().len(), 16);
            let presented = Secret::parse(secret.expose()).unwrap();
            assert_eq!((presented.kind(), presented.public_id()), (kind, secret.public_id()));
            let stored = TokenHash::from_bytes(secret.hash().as_bytes()).unwrap();
            assert_eq!(presented.hash(), stored);
        }
    }

    #[test]
    fn tokens_differ_in_id_and_secret() {
        let tokens: Vec<_> = (0..100).map(|_| make(TokenKind::ApiKey)).collect();
        let ids: HashSet<_> = tokens.iter().map(Secret::public_id).collect();
        let secrets: HashSet<_> = tokens.iter().map(|token| &token.expose()[ID_END..]).collect();
        assert_eq!((ids.len(), secrets.len()), (100, 100));
        assert_ne!(tokens[0].hash(), tokens[1].hash());
    }

    #[test]
    fn every_single_typo_is_noticed_offline() {
        let secret = make(TokenKind::ApiKey);
        let text = secret.expose().as_bytes();
        for position in PREFIX_LEN..TOKEN_LEN {
            for typo in *b"07azZ_ " {
                let mut typed = text.to_vec();
                if typed[position] == typo {
                    continue;
                }
                typed[position] = typo;
                let typed = String::from_utf8(typed).unwrap();
                assert!(Secret::parse(&typed).is_err(), "{typed}");
            }
        }
        let mut swapped = text.to_vec();
        let pair = (ID_END + 1..TOKEN_LEN - 1).find(|&n| swapped[n] != swapped[n + 1]).unwrap();
        swapped.swap(pair, pair + 1);
        let swapped = String::from_utf8(swapped).unwrap();
        assert_eq!(Secret::parse(&swapped).unwrap_err(), TokenParseError::Checksum);
    }

    #[test]
    fn a_token_of_one_kind_does_not_pass_for_another() {
        let refresh = make(TokenKind::Refresh);
        let disguised = refresh.expose().replace("plr_", "plk_");
        assert_eq!(Secret::parse(&disguised).unwrap_err(), TokenParseError::Checksum);
        assert_ne!(hash(&disguised), refresh.hash());
    }

    #[test]
    fn what_is_no_token_says_why() {
        use TokenParseError::{Malformed, UnknownPrefix};
        let good = make(TokenKind::ApiKey);
        let cases = [
            (String::new(), UnknownPrefix),
            ("plk".to_owned(), UnknownPrefix),
            ("sk_live_abc".to_owned(), UnknownPrefix),
            (good.expose().to_uppercase(), UnknownPrefix),
            ("plk_".to_owned(), Malformed),
            (good.expose()[..TOKEN_LEN - 1].to_owned(), Malformed),
            (format!("{}0", good.expose()), Malformed),
            (format!("plk_{}", "ä".repeat((TOKEN_LEN - PREFIX_LEN) / 2)), Malformed),
            (format!("plk_{}", "_".repeat(TOKEN_LEN - PREFIX_LEN)), Malformed),
        ];
        for (text, error) in cases {
            assert_eq!(Secret::parse(&text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn the_form_is_fixed() {
        // Clients and scanners carry this algorithm: it must never change for these prefixes.
        let signed = format!("plk_{}_{}", "0".repeat(ID_LEN), "0".repeat(SECRET_LEN));
        let text = format!("{signed}{}", checksum(&signed));
        assert!(Secret::parse(&text).is_ok());
        assert_eq!(checksum(&signed), "n245j1");
    }

    #[test]
    fn the_secret_is_not_printed() {
        let secret = make(TokenKind::ApiKey);
        let printed = format!("{secret:?} {:?} {:?}", Secret::parse(secret.expose()).unwrap(), secret.hash());
        assert!(printed.contains(secret.public_id()));
        assert!(!printed.contains(&secret.expose()[ID_END + 1..ID_END + 9]), "{printed}");
    }
}
