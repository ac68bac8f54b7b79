//! The refresh token in a cookie, for browsers: scripts cannot read it, and it goes to the sign-in endpoints only.

use axum::http::{HeaderMap, HeaderValue, header};
use plinth_gateway::Done;

use crate::Identity;

const NAME: &str = "plinth_refresh";
const PATH: &str = "/api/v1/auth";

/// Adds the cookie to an answer that carries a refresh token, where cookies are switched on.
pub fn keep<R>(identity: &Identity, done: Done<R>, refresh_token: &str) -> Done<R> {
    set(identity, done, refresh_token, identity.config().refresh_token.as_secs())
}

/// Takes the cookie back.
pub fn drop<R>(identity: &Identity, done: Done<R>) -> Done<R> {
    set(identity, done, "", 0)
}

fn set<R>(identity: &Identity, done: Done<R>, value: &str, seconds: u64) -> Done<R> {
    let Some(cookies) = &identity.config().cookies else { return done };
    let mut text = format!("{NAME}={value}; Path={PATH}; Max-Age={seconds}; HttpOnly; SameSite={}", cookies.same_site);
    if cookies.secure {
        text.push_str("; Secure");
    }
    if let Some(domain) = &cookies.domain {
        text.push_str("; Domain=");
        text.push_str(domain);
    }
    match HeaderValue::try_from(text) {
        Ok(value) => done.with_header(header::SET_COOKIE, value),
        Err(_) => done,
    }
}

/// The refresh token that the browser sent, where cookies are switched on.
pub fn read(identity: &Identity, headers: &HeaderMap) -> Option<String> {
    identity.config().cookies.as_ref()?;
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let token = all.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))?;
    (!token.is_empty()).then(|| token.to_owned())
}
