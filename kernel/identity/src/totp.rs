//! The second factor: time-based one-time passwords (RFC 6238) and recovery codes.
//!
//! Invariants:
//!
//! * A code is accepted once. [`verify`] gives the time step it belongs to, the caller stores it with the account, and no
//!   step up to that one is accepted again.
//! * Recovery codes are stored as hashes and shown once. Comparison takes the same time whichever code matches, or none.

use std::fmt;

use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use ring::digest::{Context, SHA256};
use ring::rand::SecureRandom;
use subtle::{ConstantTimeEq, ConstantTimeLess};
use totp_rs::{Algorithm, TOTP};

/// Every authenticator knows these; many ignore others silently.
const ALGORITHM: Algorithm = Algorithm::SHA1;
const DIGITS: usize = 6;
const STEP_SECONDS: i64 = 30;
/// How many steps before and after the present one are accepted, for clocks that are off and people who are slow.
const WINDOW: i64 = 1;
const SECRET_LEN: usize = 20;

pub const RECOVERY_CODES: usize = 10;
const RECOVERY_GROUPS: usize = 4;
/// Crockford's alphabet: what it leaves out is read as what it looks like.
const RECOVERY_ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TotpError {
    #[error("the code is not {DIGITS} digits; type the number the authenticator shows")]
    Malformed,
    #[error("the code is wrong or has expired; wait for the next one and check the device's clock")]
    Wrong,
    #[error("the code was used before; wait for the next one")]
    Replayed,
    #[error("the stored secret is too short for a second factor; enrol again")]
    Secret,
    #[error("`{0}` contains a colon, which an authenticator's address cannot; leave it out")]
    Name(String),
    #[error("the system's random number generator failed")]
    Random,
}

/// What an authenticator needs to know, shown once.
pub struct Enrolment {
    /// To be stored encrypted.
    pub secret: Vec<u8>,
    /// For typing by hand.
    pub secret_base32: String,
    /// For a QR code.
    pub url: String,
}

impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enrolment(secret)")
    }
}

/// Makes a new secret. `issuer` is the name of this platform and `account` usually the e-mail address; the authenticator
/// shows both.
pub fn enrol(rng: &dyn SecureRandom, issuer: &str, account: &str) -> Result<Enrolment, TotpError> {
    if let Some(name) = [issuer, account].into_iter().find(|name| name.contains(':')) {
        return Err(TotpError::Name(name.to_owned()));
    }
    let mut secret = vec![0; SECRET_LEN];
    rng.fill(&mut secret).map_err(|_| TotpError::Random)?;
    let totp = generator(secret.clone(), Some(issuer.to_owned()), account.to_owned())?;
    Ok(Enrolment { secret_base32: BASE32_NOPAD.encode(&secret), url: totp.get_url(), secret })
}

/// Checks a code at the time `now` in unix seconds. `last_used` is the step of the last accepted code; on success the new
/// one is returned and has to be stored in the same transaction that lets the person in.
pub fn verify(secret: &[u8], code: &str, now: i64, last_used: Option<i64>) -> Result<i64, TotpError> {
    let code: String = code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if code.len() != DIGITS || !code.bytes().all(|c| c.is_ascii_digit()) {
        return Err(TotpError::Malformed);
    }
    let totp = generator(secret.to_vec(), None, String::new())?;
    let present = now.div_euclid(STEP_SECONDS);
    let mut accepted = None;
    let mut replayed = false;
    for step in (present - WINDOW).max(0)..=present + WINDOW {
        let expected = totp.generate((step * STEP_SECONDS) as u64);
        let matches = bool::from(expected.as_bytes().ct_eq(code.as_bytes()));
        let fresh = last_used.is_none_or(|last| step > last);
        replayed |= matches && !fresh;
        if matches && fresh && accepted.is_none() {
            accepted = Some(step);
        }
    }
    accepted.ok_or(if replayed { TotpError::Replayed } else { TotpError::Wrong })
}

fn generator(secret: Vec<u8>, issuer: Option<String>, account: String) -> Result<TOTP, TotpError> {
    TOTP::new(ALGORITHM, DIGITS, WINDOW as u8, STEP_SECONDS as u64, secret, issuer, account)
        .map_err(|_| TotpError::Secret)
}

/// The hash of a recovery code, as it is stored.
pub type RecoveryHash = [u8; 32];

/// A fresh set of recovery codes: the text for the person and, at the same place, the hash to store.
pub struct RecoveryCodes {
    pub codes: Vec<String>,
    pub hashes: Vec<RecoveryHash>,
}

impl fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecoveryCodes({} secret)", self.codes.len())
    }
}

impl RecoveryCodes {
    /// Ten codes of 80 random bits, such as `k7qd-3m9x-0tbw-hs5e`. So many bits cannot be searched, which is why a plain
    /// hash protects them.
    pub fn generate(rng: &dyn SecureRandom) -> Result<Self, TotpError> {
        let encoding = recovery_encoding();
        let (mut codes, mut hashes) = (Vec::new(), Vec::new());
        for _ in 0..RECOVERY_CODES {
            let mut bytes = [0; RECOVERY_GROUPS * 4 * 5 / 8];
            rng.fill(&mut bytes).map_err(|_| TotpError::Random)?;
            let plain = encoding.encode(&bytes);
            hashes.push(hash_normalised(&plain));
            codes.push((0..RECOVERY_GROUPS).map(|group| &plain[group * 4..][..4]).collect::<Vec<_>>().join("-"));
        }
        Ok(Self { codes, hashes })
    }
}

/// The position of the stored hash that the typed code belongs to. The caller removes it: a code works once. Case, dashes
/// and blanks do not matter, and `o`, `i`, `l` are read as the digits they resemble.
pub fn find_recovery_code(hashes: &[RecoveryHash], typed: &str) -> Option<usize> {
    // Longer input cannot be a code, whatever blanks it holds.
    if typed.len() > 128 {
        return None;
    }
    let typed = hash_normalised(&normalise(typed));
    let none = hashes.len() as u64;
    let mut found = none;
    for (position, hash) in hashes.iter().enumerate() {
        let position = position as u64;
        let better = hash.ct_eq(&typed) & position.ct_lt(&found);
        found = subtle::ConditionallySelectable::conditional_select(&found, &position, better);
    }
    (found < none).then_some(found as usize)
}

fn normalise(typed: &str) -> String {
    typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| match c.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect()
}

fn hash_normalised(code: &str) -> RecoveryHash {
    let mut context = Context::new(&SHA256);
    context.update(b"plinth recovery code\0");
    context.update(code.as_bytes());
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn recovery_encoding() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str(RECOVERY_ALPHABET);
    specification.encoding().expect("32 distinct symbols make an encoding")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ring::rand::SystemRandom;

    use super::*;

    /// The secret and the SHA-1 codes of RFC 6238, appendix B, cut to six digits.
    const RFC_SECRET: &[u8] = b"12345678901234567890";
    const RFC_CODES: &[(i64, &str)] = &[
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];

    #[test]
    fn the_vectors_of_the_rfc_are_accepted_within_one_step_only() {
        for &(time, code) in RFC_CODES {
            let step = time / 30;
            for near in [time - 30, time, time + 30] {
                assert_eq!(verify(RFC_SECRET, code, near, None), Ok(step), "{code} at {near}");
            }
            for far in [(step - 1) * 30 - 1, (step + 2) * 30] {
                assert_eq!(verify(RFC_SECRET, code, far, None), Err(TotpError::Wrong), "{code} at {far}");
            }
            assert_eq!(verify(b"12345678901234567891", code, time, None), Err(TotpError::Wrong));
        }
    }

    #[test]
    fn a_code_works_once_and_none_before_it_works_later() {
        let now = 1_111_111_111;
        let step = verify(RFC_SECRET, "050471", now, None).unwrap();
        assert_eq!(verify(RFC_SECRET, "050471", now, Some(step)), Err(TotpError::Replayed));
        // 081804 belongs to the step before and is still inside the window.
        assert_eq!(verify(RFC_SECRET, "081804", now, Some(step)), Err(TotpError::Replayed));
        assert_eq!(verify(RFC_SECRET, "081804", now, Some(step - 2)), Ok(step - 1));
        assert_eq!(verify(RFC_SECRET, "050471", now, Some(step - 1)), Ok(step));
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        for typed in ["287082", " 287 082 ", "287-082"] {
            assert_eq!(verify(RFC_SECRET, typed, 59, None), Ok(1), "{typed}");
        }
        for typed in ["", "28708", "2870820", "28708a", "٢٨٧٠٨٢", "28708²"] {
            assert_eq!(verify(RFC_SECRET, typed, 59, None), Err(TotpError::Malformed), "{typed}");
        }
    }

    #[test]
    fn the_first_moments_of_time_and_short_secrets_are_no_trap() {
        for now in [-31, -1, 0, 29] {
            assert_eq!(verify(RFC_SECRET, "000000", now, None), Err(TotpError::Wrong), "{now}");
        }
        assert_eq!(verify(b"short", "287082", 59, None), Err(TotpError::Secret));
    }

    #[test]
    fn an_enrolled_authenticator_and_the_server_agree() {
        let enrolment = enrol(&SystemRandom::new(), "Plinth & Co", "ann+x@example.com").unwrap();
        assert!(enrolment.url.starts_with("otpauth://totp/"), "{}", enrolment.url);
        let device = TOTP::from_url(&enrolment.url).unwrap();
        assert_eq!(device.secret, enrolment.secret);
        assert_eq!(BASE32_NOPAD.decode(enrolment.secret_base32.as_bytes()).unwrap(), enrolment.secret);
        assert_eq!(device.issuer.as_deref(), Some("Plinth & Co"));
        assert_eq!(device.account_name, "ann+x@example.com");
        let now = 1_700_000_000;
        let code = device.generate(now as u64);
        assert_eq!(verify(&enrolment.secret, &code, now, None), Ok(now / 30));
        assert!(!format!("{enrolment:?}").contains(&enrolment.secret_base32));
    }

    #[test]
    fn names_an_authenticator_cannot_hold_are_refused() {
        let rng = SystemRandom::new();
        assert_eq!(enrol(&rng, "a:b", "c").unwrap_err(), TotpError::Name("a:b".to_owned()));
        assert_eq!(enrol(&rng, "a", "c:d").unwrap_err(), TotpError::Name("c:d".to_owned()));
    }

    #[test]
    fn recovery_codes_are_ten_different_ones_without_look_alikes() {
        let set = RecoveryCodes::generate(&SystemRandom::new()).unwrap();
        assert_eq!((set.codes.len(), set.hashes.len()), (10, 10));
        assert_eq!(set.codes.iter().collect::<HashSet<_>>().len(), 10);
        for code in &set.codes {
            let groups: Vec<_> = code.split('-').collect();
            assert!(groups.len() == 4 && groups.iter().all(|group| group.len() == 4), "{code}");
            assert!(code.chars().all(|c| c == '-' || (c.is_ascii_alphanumeric() && !"ilou".contains(c))), "{code}");
        }
        assert!(!format!("{set:?}").contains(&set.codes[0]));
    }

    #[test]
    fn each_recovery_code_finds_its_own_hash() {
        let mut set = RecoveryCodes::generate(&SystemRandom::new()).unwrap();
        for (position, code) in set.codes.iter().enumerate() {
            for typed in
                [code.clone(), code.to_uppercase(), code.replace('-', ""), format!(" {} ", code.replace('-', " "))]
            {
                assert_eq!(find_recovery_code(&set.hashes, &typed), Some(position), "{typed}");
            }
        }
        set.hashes.remove(3);
        assert_eq!(find_recovery_code(&set.hashes, &set.codes[3]), None, "a used code is gone");
        assert_eq!(find_recovery_code(&set.hashes, &set.codes[4]), Some(3));
    }

    #[test]
    fn look_alikes_are_read_as_digits() {
        let hashes = [hash_normalised("0000111100001111")];
        for typed in ["0000-1111-0000-1111", "oOoO-iIlL-OoOo-1lLi"] {
            assert_eq!(find_recovery_code(&hashes, typed), Some(0), "{typed}");
        }
    }

    #[test]
    fn what_is_no_recovery_code_finds_nothing() {
        let set = RecoveryCodes::generate(&SystemRandom::new()).unwrap();
        let almost = format!("{}0", set.codes[0]);
        let padded = format!("{}{}", set.codes[0], " ".repeat(200));
        for typed in ["", "-", "0000-0000-0000-0000", &almost, &set.codes[0][..18], &padded] {
            assert_eq!(find_recovery_code(&set.hashes, typed), None, "{typed}");
        }
        assert_eq!(find_recovery_code(&[], &set.codes[0]), None);
    }
}
