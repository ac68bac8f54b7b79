//! Cookies carry a session for the sign-in endpoints of the platform's own pages, and for nothing else.

use plinth_tests::{Answer, Kernel, PASSWORD};
use serde_json::json;

fn cookie(answer: &Answer) -> &str {
    answer.header("set-cookie").expect("a cookie")
}

fn pair(answer: &Answer) -> String {
    cookie(answer).split(';').next().expect("a pair").to_owned()
}

async fn sign_in(kernel: &Kernel) -> Answer {
    let owner = kernel.owner().await;
    kernel.post("auth/login", &json!({ "email": owner.email, "password": PASSWORD })).send().await.expect(200)
}

#[tokio::test]
async fn a_cookie_is_no_authorisation() {
    let kernel = Kernel::setup().env("PLINTH_SERVER__COOKIES__ENABLED", "true").start();
    let signed_in = sign_in(&kernel).await;
    for part in ["HttpOnly", "SameSite=Lax", "Path=/api/v1/auth"] {
        assert!(cookie(&signed_in).contains(part), "{}", cookie(&signed_in));
    }
    let access = signed_in.json()["access_token"].as_str().expect("a token").to_owned();
    let jar = format!("{}; access_token={access}; authorization=Bearer {access}; token={access}", pair(&signed_in));
    for (method, path) in [
        ("GET", "me"),
        ("POST", "api-keys"),
        ("DELETE", "auth/sessions"),
        ("POST", "auth/logout"),
        ("POST", "auth/password/change"),
        ("POST", "auth/switch-tenant"),
        ("GET", "auth/sessions"),
    ] {
        let ask = kernel.ask(method, path).header("cookie", &jar).header("origin", kernel.url());
        ask.send().await.refused(401, "authentication_needed");
    }
}

#[tokio::test]
async fn a_page_elsewhere_cannot_renew_the_session() {
    let setup = Kernel::setup().env("PLINTH_SERVER__COOKIES__ENABLED", "true");
    let kernel = setup.env("PLINTH_SERVER__CORS__ORIGINS", r#"["https://shop.example"]"#).start();
    let signed_in = sign_in(&kernel).await;
    let refresh = |cookie: String, origin: &str| {
        kernel.ask("POST", "auth/refresh").header("cookie", cookie).header("origin", origin).send()
    };
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1"] {
        refresh(pair(&signed_in), origin).await.refused(403, "foreign_origin");
    }
    // What a form elsewhere can send without asking first.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let form = kernel.ask("POST", "auth/refresh").body(kind, "refresh_token=x");
        let answer = form.header("cookie", pair(&signed_in)).header("origin", "https://evil.example").send().await;
        assert!([403, 415].contains(&answer.status), "{answer:?}");
    }
    let renewed = refresh(pair(&signed_in), kernel.url()).await.expect(200);
    assert_ne!(pair(&renewed), pair(&signed_in));

    let token = renewed.json()["access_token"].as_str().expect("a token").to_owned();
    let ended = kernel.ask("POST", "auth/logout").token(token).send().await.expect(204);
    assert!(cookie(&ended).contains("Max-Age=0"), "{}", cookie(&ended));
    refresh(pair(&renewed), kernel.url()).await.refused(401, "token_revoked");
}

#[tokio::test]
async fn without_cookies_none_is_set_and_none_is_read() {
    let kernel = Kernel::start();
    let signed_in = sign_in(&kernel).await;
    assert_eq!(signed_in.header("set-cookie"), None);
    let token = signed_in.json()["refresh_token"].as_str().expect("a token").to_owned();
    let ask = kernel.ask("POST", "auth/refresh").header("cookie", format!("plinth_refresh={token}"));
    ask.send().await.refused(401, "refresh_missing");
}

#[tokio::test]
async fn over_https_cookies_are_for_https_only() {
    let setup = Kernel::setup().env("PLINTH_SERVER__COOKIES__ENABLED", "true");
    let kernel = setup.env("PLINTH_SERVER__PUBLIC_URL", "https://platform.example").start();
    let signed_in = sign_in(&kernel).await;
    assert!(cookie(&signed_in).contains("; Secure"), "{}", cookie(&signed_in));
    assert!(signed_in.header("strict-transport-security").is_some());
}
