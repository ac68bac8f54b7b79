//! Signed requests: an API key may demand that each request proves possession of a second secret, which never travels.
//!
//! ```text
//! Plinth-Signature: t=1700000000,v1=<hex of HMAC-SHA256(secret, message)>
//! message: 1700000000.POST./api/v1/events?dry_run=true.<hex of SHA-256(body)>
//! ```
//!
//! The message is unambiguous: the time has digits only, the method has no dot, and the hash at the end has a fixed length.
//! Path and query are taken as they stand in the request line. While a secret is rotated a client may send several `v1`;
//! one that is right is enough. Other elements are ignored, so that a `v2` can appear beside `v1`.

mod check;

pub(crate) use check::check;

use std::fmt::Write as _;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::digest::{SHA256, digest};
use ring::hmac;

/// The name of the header.
pub const HEADER: &str = "plinth-signature";
/// How far the time of a signature may be from now, either way, in seconds.
pub const TOLERANCE_SECONDS: i64 = 300;
/// More signatures than a rotation needs would only buy an attacker guesses.
const MAX_SIGNATURES: usize = 4;

/// What is signed of a request.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// Upper case, as it stands in the request line.
    pub method: &'a str,
    pub path_and_query: &'a str,
    pub body: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the signature is malformed; send Plinth-Signature: t=<unix seconds>,v1=<hex of the HMAC-SHA256>")]
    Malformed,
    #[error(
        "the signature is {0} s old, at most {TOLERANCE_SECONDS} s are allowed; sign each request anew and check the clock"
    )]
    TooOld(i64),
    #[error("the signature is {0} s in the future, at most {TOLERANCE_SECONDS} s are allowed; check the clock")]
    InFuture(i64),
    #[error("the signature does not match; sign the exact method, path, query and body with this key's signing secret")]
    Mismatch,
}

/// The header's value for a request that is sent at `now`, in unix seconds.
pub fn sign(secret: &[u8], request: &SignedRequest<'_>, now: i64) -> String {
    let tag = hmac::sign(&key(secret), message(request, now).as_bytes());
    format!("t={now},v1={}", HEXLOWER.encode(tag.as_ref()))
}

/// Checks the header's value of a request that arrived at `now`, in unix seconds.
pub fn verify(secret: &[u8], header: &str, request: &SignedRequest<'_>, now: i64) -> Result<(), SignatureError> {
    let (time, signatures) = parse(header)?;
    let age = now.saturating_sub(time);
    if age > TOLERANCE_SECONDS {
        return Err(SignatureError::TooOld(age));
    }
    if age < -TOLERANCE_SECONDS {
        return Err(SignatureError::InFuture(age.saturating_neg()));
    }
    let (key, message) = (key(secret), message(request, time));
    let matches = |signature: &[u8; 32]| hmac::verify(&key, message.as_bytes(), signature).is_ok();
    if signatures.iter().any(matches) { Ok(()) } else { Err(SignatureError::Mismatch) }
}

fn parse(header: &str) -> Result<(i64, Vec<[u8; 32]>), SignatureError> {
    let mut time = None;
    let mut signatures = Vec::new();
    for element in header.split(',') {
        let (name, value) = element.trim().split_once('=').ok_or(SignatureError::Malformed)?;
        match name {
            "t" if time.is_none() => time = Some(parse_time(value)?),
            "v1" if signatures.len() < MAX_SIGNATURES => {
                let signature = HEXLOWER_PERMISSIVE.decode(value.as_bytes()).ok();
                let signature = signature.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
                signatures.push(signature.ok_or(SignatureError::Malformed)?);
            }
            "t" | "v1" => return Err(SignatureError::Malformed),
            _ => {}
        }
    }
    match time {
        Some(time) if !signatures.is_empty() => Ok((time, signatures)),
        _ => Err(SignatureError::Malformed),
    }
}

/// Digits only: the message is built from the number again, and `+1` or `01` would not be what the client signed.
fn parse_time(value: &str) -> Result<i64, SignatureError> {
    let canonical = value.bytes().all(|c| c.is_ascii_digit()) && (value == "0" || !value.starts_with('0'));
    if !canonical {
        return Err(SignatureError::Malformed);
    }
    value.parse().map_err(|_| SignatureError::Malformed)
}

fn message(request: &SignedRequest<'_>, time: i64) -> String {
    let mut message = String::with_capacity(96 + request.path_and_query.len());
    write!(message, "{time}.{}.{}.", request.method, request.path_and_query).expect("a string takes everything");
    HEXLOWER.encode_append(digest(&SHA256, request.body).as_ref(), &mut message);
    message
}

fn key(secret: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;
    const SECRET: &[u8] = b"a signing secret";
    const REQUEST: SignedRequest<'static> =
        SignedRequest { method: "POST", path_and_query: "/api/v1/events?dry_run=true", body: b"{\"category\":\"a\"}" };

    #[test]
    fn a_signed_request_is_accepted() {
        let header = sign(SECRET, &REQUEST, NOW);
        assert_eq!(verify(SECRET, &header, &REQUEST, NOW), Ok(()));
    }

    #[test]
    fn the_form_is_what_other_languages_compute() {
        // printf '1700000000.POST./api/v1/events?dry_run=true.%s' "$(printf '{"category":"a"}' | sha256sum | cut -c-64)" \
        //   | openssl dgst -sha256 -hmac 'a signing secret'
        let expected = "t=1700000000,v1=afbd69dcc4d30151885751d08a536eec57c955f333106c8056003acc7733716b";
        assert_eq!(sign(SECRET, &REQUEST, NOW), expected);
    }

    #[test]
    fn any_change_of_the_request_is_refused() {
        let header = sign(SECRET, &REQUEST, NOW);
        let changed = [
            SignedRequest { method: "PUT", ..REQUEST },
            SignedRequest { path_and_query: "/api/v1/events", ..REQUEST },
            SignedRequest { path_and_query: "/api/v1/events?dry_run=false", ..REQUEST },
            SignedRequest { body: b"", ..REQUEST },
            SignedRequest { body: b"{\"category\":\"b\"}", ..REQUEST },
        ];
        for request in changed {
            assert_eq!(verify(SECRET, &header, &request, NOW), Err(SignatureError::Mismatch), "{request:?}");
        }
        assert_eq!(verify(b"another secret", &header, &REQUEST, NOW), Err(SignatureError::Mismatch));
        let moved = header.replace("t=1700000000", "t=1700000001");
        assert_eq!(verify(SECRET, &moved, &REQUEST, NOW), Err(SignatureError::Mismatch), "the time is signed");
    }

    #[test]
    fn the_clock_may_be_off_by_five_minutes_and_no_more() {
        let header = sign(SECRET, &REQUEST, NOW);
        for now in [NOW - 300, NOW + 300] {
            assert_eq!(verify(SECRET, &header, &REQUEST, now), Ok(()), "{now}");
        }
        assert_eq!(verify(SECRET, &header, &REQUEST, NOW + 301), Err(SignatureError::TooOld(301)));
        assert_eq!(verify(SECRET, &header, &REQUEST, NOW - 301), Err(SignatureError::InFuture(301)));
    }

    #[test]
    fn one_right_signature_of_several_is_enough() {
        let right = sign(SECRET, &REQUEST, NOW);
        let wrong = sign(b"the old secret", &REQUEST, NOW);
        let (right_v1, wrong_v1) = (&right["t=1700000000,".len()..], &wrong["t=1700000000,".len()..]);
        for header in [
            format!("t={NOW},{wrong_v1},{right_v1}"),
            format!("{right_v1}, t={NOW} ,v2=future"),
            format!("t={NOW},v1={}", right_v1["v1=".len()..].to_uppercase()),
        ] {
            assert_eq!(verify(SECRET, &header, &REQUEST, NOW), Ok(()), "{header}");
        }
        let many = format!("t={NOW},{},{right_v1}", vec![wrong_v1; MAX_SIGNATURES].join(","));
        assert_eq!(verify(SECRET, &many, &REQUEST, NOW), Err(SignatureError::Malformed));
    }

    #[test]
    fn a_malformed_header_is_refused() {
        let good = sign(SECRET, &REQUEST, NOW);
        let v1 = &good["t=1700000000,".len()..];
        let cases = [
            String::new(),
            "nonsense".to_owned(),
            format!("t={NOW}"),
            v1.to_owned(),
            format!("t={NOW},v1="),
            format!("t={NOW},v1=abc"),
            good[..good.len() - 2].to_owned(),
            format!("{good}00"),
            format!("t=+{NOW},{v1}"),
            format!("t=0{NOW},{v1}"),
            format!("t=,{v1}"),
            format!("t=-5,{v1}"),
            format!("t=99999999999999999999,{v1}"),
            format!("t={NOW},t={NOW},{v1}"),
        ];
        for header in cases {
            assert_eq!(verify(SECRET, &header, &REQUEST, NOW), Err(SignatureError::Malformed), "{header}");
        }
        let far = format!("t={},{v1}", i64::MAX);
        assert!(matches!(verify(SECRET, &far, &REQUEST, NOW), Err(SignatureError::InFuture(_))));
    }
}
