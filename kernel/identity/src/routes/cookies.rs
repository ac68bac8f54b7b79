//! The refresh token in a cookie, for browsers: scripts cannot read it, and it goes to the sign-in endpoints only.
//!
//! A browser sends a cookie whoever asks for it to be sent, so a request that comes from a page elsewhere is refused. A
//! browser names the origin of the page with every POST; a program that sends none keeps its own cookies.

use axum::http::{HeaderMap, HeaderValue, header};
use plinth_gateway::Done;
use url::Url;

use crate::Identity;

const NAME: &str = "plinth_refresh";
const PATH: &str = "/api/v1/auth";

/// A cookie came along with a request that a page elsewhere made.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "a page of another origin may not use the cookie; call from the platform's public address, or send refresh_token in the body"
)]
pub struct ForeignOrigin;

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
pub fn read(identity: &Identity, headers: &HeaderMap) -> Result<Option<String>, ForeignOrigin> {
    if identity.config().cookies.is_none() {
        return Ok(None);
    }
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let token = all.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='));
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let origins = headers.get_all(header::ORIGIN);
    if origins.iter().all(|origin| is_ours(&identity.config().public_url, origin)) {
        Ok(Some(token.to_owned()))
    } else {
        Err(ForeignOrigin)
    }
}

fn is_ours(public_url: &str, origin: &HeaderValue) -> bool {
    let Ok(public) = Url::parse(public_url).map(|url| url.origin()) else { return false };
    public.is_tuple() && origin.to_str().is_ok_and(|origin| origin == public.ascii_serialization())
}

#[cfg(test)]
mod tests {
    use plinth_testkit::Reply;
    use serde_json::json;

    use crate::{
        CookieConfig, IdentityConfig,
        testing::{PASSWORD, TestApp, apps_with, config},
    };

    const HERE: &str = "https://plinth.example";

    async fn apps() -> Vec<TestApp> {
        let cookies = CookieConfig { same_site: "Lax", domain: Some("plinth.example".into()), secure: true };
        apps_with(IdentityConfig { public_url: format!("{HERE}/base"), cookies: Some(cookies), ..config() }).await
    }

    /// The cookie of an answer: its value and its attributes.
    fn cookie(reply: &Reply) -> (String, String) {
        let text = reply.header("set-cookie").expect("a cookie");
        let (pair, attributes) = text.split_once("; ").expect("attributes");
        (pair.strip_prefix("plinth_refresh=").expect("its name").to_owned(), attributes.to_owned())
    }

    async fn sign_in(test: &TestApp) -> Reply {
        let owner = test.owner().await;
        let login = json!({ "email": owner.email, "password": PASSWORD });
        test.app.post("/api/v1/auth/login").json(&login).send().await
    }

    async fn refresh(test: &TestApp, value: &str, origin: Option<&str>) -> Reply {
        let request = test.app.post("/api/v1/auth/refresh").header("cookie", &format!("a=b; plinth_refresh={value}"));
        match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
        .send()
        .await
    }

    #[tokio::test]
    async fn a_session_lives_in_a_cookie_that_scripts_cannot_read() {
        for test in apps().await {
            let signed_in = sign_in(&test).await;
            let (value, attributes) = cookie(&signed_in);
            let wanted = "Path=/api/v1/auth; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure; Domain=plinth.example";
            assert_eq!(attributes, wanted);
            assert_eq!(signed_in.expect(200)["refresh_token"], value);
            let renewed = refresh(&test, &value, Some(HERE)).await;
            let (next, _) = cookie(&renewed);
            let pair = renewed.expect(200);
            assert!(next != value && pair["refresh_token"] == next);
            let token = pair["access_token"].as_str().expect("a token");
            let signed_out = test.app.post("/api/v1/auth/logout").token(token).send().await;
            let (gone, attributes) = cookie(&signed_out);
            assert!(gone.is_empty() && attributes.contains("Max-Age=0;"), "{attributes}");
            signed_out.expect(204);
            refresh(&test, &next, Some(HERE)).await.refused(401, "token_revoked");
        }
    }

    #[tokio::test]
    async fn a_page_elsewhere_cannot_use_the_cookie() {
        for test in apps().await {
            let (value, _) = cookie(&sign_in(&test).await);
            let elsewhere = [
                "https://evil.example",
                "http://plinth.example",
                "https://plinth.example:8443",
                "https://plinth.example.evil.example",
                "null",
            ];
            for origin in elsewhere {
                refresh(&test, &value, Some(origin)).await.refused(403, "foreign_origin");
            }
            let (value, _) = cookie(&refresh(&test, &value, None).await);
            // In the body the token is shown by somebody who has it, whatever page that is.
            let body = json!({ "refresh_token": value });
            let request = test.app.post("/api/v1/auth/refresh").json(&body).header("origin", "https://evil.example");
            request.header("cookie", "plinth_refresh=other").send().await.expect(200);
        }
    }

    #[tokio::test]
    async fn without_cookies_none_is_set_and_none_is_read() {
        for test in crate::testing::apps().await {
            let signed_in = sign_in(&test).await;
            assert_eq!(signed_in.header("set-cookie"), None);
            let value = signed_in.expect(200)["refresh_token"].as_str().expect("a token").to_owned();
            refresh(&test, &value, None).await.refused(401, "refresh_missing");
        }
    }
}
