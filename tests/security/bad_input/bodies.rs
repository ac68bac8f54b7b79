//! Bodies that are no JSON, not the JSON that was asked for, or too much of it.

use plinth_tests::{Ask, Kernel, on_both_databases};
use serde_json::{Value, json};

use super::raw;

on_both_databases!(text_that_a_database_cannot_hold_is_refused);

fn login(kernel: &Kernel, body: impl Into<Vec<u8>>) -> Ask {
    kernel.ask("POST", "auth/login").body("application/json", body)
}

#[tokio::test]
async fn what_is_no_json_is_malformed() {
    let kernel = Kernel::start();
    let mut wire = kernel.wire().await;
    let texts: &[&[u8]] = &[
        b"",
        b"{",
        b"}",
        b"nonsense",
        b"{\"email\":\"a@b.co\",\"password\":\"x\"} tail",
        b"{'email':'a@b.co'}",
        b"{\"email\":NaN}",
        b"{\"email\":\"a@b.co\",}",
        b"\xef\xbb\xbf{}",
        b"{\"email\":\"\xff\xfe\"}",
        b"{\"email\":\"\\ud800\"}",
        b"{\"email\":\"line\nbreak\"}",
        b"{\"email\":\"\\x41\"}",
        b"\x00\x01\x02",
    ];
    for text in texts {
        let answer = login(&kernel, *text).on(&mut wire).await.expect("the connection stays usable");
        answer.refused(400, "malformed_json");
    }
    let huge = format!("{{\"email\":{}}}", "9".repeat(10_000));
    let status = login(&kernel, huge).on(&mut wire).await.expect("answered").status;
    assert!([400, 422].contains(&status), "{status}");
    assert!(wire.is_usable().await);
}

#[tokio::test]
async fn depth_and_size_of_numbers_are_bounded() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let mut wire = kernel.wire().await;
    let levels = 10_000;
    let nested = [
        "[".repeat(levels),
        format!("{}{}", "[".repeat(levels), "]".repeat(levels)),
        "{\"a\":".repeat(levels),
        format!("{{\"email\":{}{}}}", "[".repeat(levels), "]".repeat(levels)),
        format!("{{\"email\":{}1{}}}", "{\"a\":".repeat(levels), "}".repeat(levels)),
    ];
    for text in nested {
        let status = login(&kernel, text).on(&mut wire).await.expect("answered").status;
        assert!([400, 422].contains(&status), "{status}");
    }
    let key = owner.api_key(&["*"]).await.api_key.id;
    for number in ["1e400", "-1", "4294967296", "1.5", "99999999999999999999999999", "1e-400", "-0.5"] {
        let body = format!("{{\"overlap_seconds\":{number}}}");
        let ask = owner.ask("POST", &format!("api-keys/{key}/rotate")).body("application/json", body);
        let answer = ask.on(&mut wire).await.expect("answered");
        assert!([400, 422].contains(&answer.status), "{number}: {answer:?}");
        answer.problem();
    }
    assert!(wire.is_usable().await);
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let mut wire = kernel.wire().await;
    let cases: [(Value, &str, &str); 8] = [
        (json!({ "name": "n", "scopes": [], "extra": 1 }), "/extra", "unknown_field"),
        (json!({ "scopes": [] }), "/name", "missing_field"),
        (json!({ "name": 7, "scopes": [] }), "/name", "wrong_type"),
        (json!({ "name": "n", "scopes": "all" }), "/scopes", "wrong_type"),
        (json!({ "name": "n", "scopes": [1] }), "/scopes/0", "wrong_type"),
        (json!({ "name": "n", "scopes": ["no:such"] }), "/scopes/0", "unknown_permission"),
        (json!({ "name": "n", "scopes": [], "expires_at": "yesterday" }), "/expires_at", "invalid_value"),
        (json!({ "name": "n", "scopes": [], "service_account": "usr_1" }), "/service_account", "invalid_value"),
    ];
    for (body, pointer, code) in cases {
        let problem = owner.post("api-keys", &body).on(&mut wire).await.expect("answered").refused(422, "invalid");
        assert_eq!(
            (problem["errors"][0]["pointer"].as_str(), problem["errors"][0]["code"].as_str()),
            (Some(pointer), Some(code)),
            "{problem}"
        );
    }
    let twice = owner.ask("POST", "api-keys").body("application/json", r#"{"name":"a","name":"b","scopes":[]}"#);
    let problem = twice.on(&mut wire).await.expect("answered").refused(422, "invalid");
    assert_eq!(problem["errors"][0]["code"], "duplicate_field");
    for body in [json!([]), json!("text"), json!(null), json!(1)] {
        owner.post("api-keys", &body).on(&mut wire).await.expect("answered").refused(422, "invalid");
    }
    assert!(wire.is_usable().await);
}

#[tokio::test]
async fn other_content_types_are_not_read() {
    let kernel = Kernel::start();
    let mut wire = kernel.wire().await;
    let body = r#"{"email":"a@b.co","password":"wrong password"}"#;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonx",
        "text/json",
        "",
        "application/json\u{e9}",
    ] {
        let ask = kernel.ask("POST", "auth/login").body(kind, body);
        ask.on(&mut wire).await.expect("answered").refused(415, "unsupported_media_type");
    }
    let none = format!("POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    raw(&kernel, none).await.expect("answered").refused(415, "unsupported_media_type");
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
        let ask = kernel.ask("POST", "auth/login").body(kind, body);
        ask.on(&mut wire).await.expect("answered").refused(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_announced_or_not() {
    let kernel = Kernel::setup().env("PLINTH_SERVER__BODY_LIMIT_KIB", "64").start();
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    // Announced: nothing of it is waited for.
    let announced = raw(&kernel, format!("{head}content-length: 65537\r\n\r\n")).await;
    announced.expect("answered before the body").refused(413, "body_too_large");
    let absurd = raw(&kernel, format!("{head}content-length: 18446744073709551615\r\n\r\n")).await;
    assert!(absurd.is_none_or(|answer| [400, 413, 431].contains(&answer.status)));
    // Not announced: no more than the limit is read.
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..40 {
        chunked.extend_from_slice(format!("800\r\n{}\r\n", " ".repeat(0x800)).as_bytes());
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    raw(&kernel, chunked).await.expect("answered").refused(413, "body_too_large");
    // Just within: read, and found to be no JSON.
    let within = login(&kernel, " ".repeat(64 * 1024));
    within.send().await.refused(400, "malformed_json");
    let with_key = login(&kernel, " ".repeat(65 * 1024)).key("k").send().await;
    with_key.refused(413, "body_too_large");
}

#[tokio::test]
async fn broken_chunks_and_a_body_cut_short_are_malformed() {
    let kernel = Kernel::start();
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for chunks in ["zz\r\n{}\r\n0\r\n\r\n", "-1\r\n{}\r\n0\r\n\r\n", "fffffffffffffffff\r\n{}\r\n", "2{}\r\n0\r\n\r\n"]
    {
        let answer = raw(&kernel, format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}")).await;
        assert!(answer.as_ref().is_none_or(|answer| answer.status == 400), "{chunks:?}: {answer:?}");
    }
    let mut wire = kernel.wire().await;
    wire.send(format!("{head}content-length: 100\r\n\r\n{{\"email\":")).await;
    drop(wire);
    assert!(kernel.wire().await.is_usable().await);
}

/// PostgreSQL holds no NUL in a text. What may hold one is refused before it gets there.
async fn text_that_a_database_cannot_hold_is_refused(kernel: Kernel) {
    let owner = kernel.owner().await;
    let nul = "a\0b";
    let asks = [
        kernel.post("auth/login", &json!({ "email": format!("{nul}@example.com"), "password": "x" })),
        kernel.post("auth/login", &json!({ "email": owner.email, "password": nul })),
        kernel.post("auth/login", &json!({ "email": owner.email, "password": plinth_tests::PASSWORD, "tenant": nul })),
        kernel.post("auth/password/forgot", &json!({ "email": format!("{nul}@example.com") })),
        kernel.post("auth/magic-link", &json!({ "email": format!("{nul}@example.com") })),
        kernel.post("auth/verify-email", &json!({ "token": nul })),
        kernel.post("auth/refresh", &json!({ "refresh_token": nul })),
        kernel.post("auth/oauth/x%00y/start", &json!({ "redirect_uri": nul })),
        owner.post("organizations", &json!({ "name": nul, "slug": "abc" })),
        owner.post("organizations", &json!({ "name": "A", "slug": nul })),
        owner.post("roles", &json!({ "name": "R", "description": nul, "permissions": [] })),
        owner.post("roles", &json!({ "name": "R", "permissions": [nul] })),
        owner.post("service-accounts", &json!({ "name": "S", "description": nul, "roles": [] })),
        owner.post("service-accounts", &json!({ "name": "S", "roles": [nul] })),
        owner.post("api-keys", &json!({ "name": nul, "scopes": [] })),
        owner.post("invitations", &json!({ "email": format!("{nul}@example.com"), "roles": ["member"] })),
        owner.ask("PATCH", "me").json(&json!({ "name": nul })),
        owner.ask("PATCH", "me").json(&json!({ "locale": nul })),
        owner.ask("PATCH", "settings").json(&json!({ "time_zone": nul })),
        owner.get("roles?q=%00"),
        owner.get("organizations?q=a%00b"),
        owner.get("organizations?slug=%00"),
        owner.get("organizations?after=%00&ids=%00"),
        owner.get("api-keys?status=%00"),
        owner.get("roles/%00"),
        owner.get("me").header("plinth-tenant", "ten_%00"),
    ];
    let mut failed = Vec::new();
    for ask in asks {
        let bytes = ask.bytes();
        let answer = ask.send().await;
        if answer.status >= 500 {
            let asked = String::from_utf8_lossy(&bytes).into_owned();
            let line = asked.lines().next().unwrap_or_default().to_owned();
            failed.push(format!("{line} {} → {}", asked.lines().last().unwrap_or_default(), answer.status));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    // Other odd characters are fine where text is free.
    let odd = json!({ "name": "Ünïcödé 🎛 \u{202e}", "slug": "odd" });
    let made = owner.post("organizations", &odd).send().await.expect(201).json();
    assert_eq!(made["name"], odd["name"]);
}
