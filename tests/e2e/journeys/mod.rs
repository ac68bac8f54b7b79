//! What a newcomer, an owner and a program do, from the first request on.

mod first_minutes;
mod invitations;
mod passwords;
mod sessions;

use plinth_tests::Kernel;

/// What the person's authenticator app shows by the kernel's clock (RFC 6238: SHA-1, 30 s, 6 digits).
pub async fn totp_code(kernel: &Kernel, secret: &str) -> String {
    let now = kernel.client().operations().clock().await.expect("a clock").body.now;
    let step = (now.seconds() / 30) as u64;
    let secret = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).expect("the secret is base32");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let tag = ring::hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 15);
    let word = u32::from_be_bytes(tag[offset..offset + 4].try_into().expect("four bytes")) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}
