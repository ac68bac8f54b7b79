//! `Plinth-Signature`: proof that a request was made by the holder of a key's signing secret and not changed since.
//!
//! The text under the HMAC is `{t}.{METHOD}.{path_and_query}.{hex SHA-256 of the body}`. The kernel accepts a `t` that is
//! five minutes off at most, so every attempt of a call is signed anew.

use data_encoding::HEXLOWER;
use http::Method;
use ring::{digest, hmac};

pub(crate) const HEADER: &str = "plinth-signature";

pub(crate) fn sign(secret: &str, unix_seconds: i64, method: &Method, path_and_query: &str, body: &[u8]) -> String {
    let body_hash = HEXLOWER.encode(digest::digest(&digest::SHA256, body).as_ref());
    let text = format!("{unix_seconds}.{method}.{path_and_query}.{body_hash}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes());
    format!("t={unix_seconds},v1={}", HEXLOWER.encode(tag.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values come from Python's `hmac` and `hashlib`.
    #[test]
    fn signatures_are_what_another_implementation_makes() {
        assert_eq!(
            sign("sks_secret", 1_767_225_600, &Method::POST, "/api/v1/events?dry_run=true", br#"{"category":"a"}"#),
            "t=1767225600,v1=3fcbf80569836a7acb1be2adea3014d29f861a8ecc0771e1b49b396354bc1dee"
        );
        assert_eq!(
            sign("sks_secret", 0, &Method::GET, "/api/v1/me", b""),
            "t=0,v1=d548ab6e0297953b07df4fd40b2013a5b34e1aa35c33a0ca4bc99ea1c474b6f2"
        );
    }
}
