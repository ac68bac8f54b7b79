//! What the room of identities needs to be told.

use std::{collections::BTreeMap, time::Duration};

use crate::oidc::Provider;

#[derive(Debug, Clone)]
pub struct IdentityConfig {
    /// Where people reach the platform; the issuer of tokens and the base of links in mails.
    pub public_url: String,
    pub open_registration: bool,
    pub access_token: Duration,
    pub refresh_token: Duration,
    /// How long a repeated refresh with the same Idempotency-Key gives the same pair.
    pub refresh_grace: Duration,
    pub session_idle: Duration,
    pub password_min_length: usize,
    pub email_verification: Duration,
    pub password_reset: Duration,
    pub magic_link: Duration,
    pub invitation: Duration,
    pub lockout_attempts: u32,
    pub lockout: Duration,
    pub signing_key: Duration,
    pub signing_key_overlap: Duration,
    pub deletion_grace: Duration,
    pub impersonation: Duration,
    pub argon2_memory_kib: u32,
    pub argon2_iterations: u32,
    pub hash_threads: usize,
    pub cookies: Option<CookieConfig>,
    pub providers: BTreeMap<String, ProviderConfig>,
}

/// Refresh tokens in a cookie, for browsers.
#[derive(Debug, Clone)]
pub struct CookieConfig {
    pub same_site: &'static str,
    pub domain: Option<String>,
    pub secure: bool,
}

#[derive(Debug, Clone)]
pub struct ProviderConfig {
    pub display_name: String,
    pub provider: Provider,
    /// An address that this provider calls verified signs in the account with that address.
    pub trust_email: bool,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            public_url: "http://127.0.0.1:8080".into(),
            open_registration: true,
            access_token: minutes(10),
            refresh_token: days(30),
            refresh_grace: minutes(1),
            session_idle: days(30),
            password_min_length: 10,
            email_verification: days(2),
            password_reset: minutes(30),
            magic_link: minutes(15),
            invitation: days(7),
            lockout_attempts: 10,
            lockout: minutes(15),
            signing_key: days(30),
            signing_key_overlap: days(1),
            deletion_grace: days(30),
            impersonation: minutes(30),
            argon2_memory_kib: 19_456,
            argon2_iterations: 2,
            hash_threads: 2,
            cookies: None,
            providers: BTreeMap::new(),
        }
    }
}
