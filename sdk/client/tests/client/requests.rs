//! What goes out.

use http::Method;
use plinth_client::{Client, Credentials, Error, Query, api::TenantId};
use ring::{digest, hmac};
use serde_json::json;

use crate::support::{START, Seen, Server, TestEnvironment, builder, client, ok, problem, tokens};

fn expected_signature(seen: &Seen, secret: &str, seconds: i64) -> String {
    let hex = data_encoding::HEXLOWER;
    let body = hex.encode(digest::digest(&digest::SHA256, &seen.body).as_ref());
    let text = format!("{seconds}.{}.{}.{body}", seen.method, seen.path);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("t={seconds},v1={}", hex.encode(hmac::sign(&key, text.as_bytes()).as_ref()))
}

#[tokio::test]
async fn every_attempt_is_signed_for_what_is_sent_and_when() {
    let server = Server::start(|_, before| async move {
        if before == 0 {
            crate::support::with(problem(503, "unavailable"), "retry-after", "20")
        } else {
            ok(&json!({}))
        }
    })
    .await;
    let (builder, _) = builder(&server);
    let credentials = Credentials::ApiKey { key: "plk_a".into(), signing_secret: Some("secret".into()) };
    let client = builder.credentials(credentials).build().expect("a client");
    let call =
        client.request(Method::POST, "events?a=b c").query("q", "ü&").dry_run().body(&json!({ "category": "x" }));
    call.send_empty().await.expect("done");
    let seen = server.seen();
    assert_eq!(seen[0].path, "/api/v1/events?a=b%20c&q=%C3%BC%26&dry_run=true");
    assert_eq!(seen[0].header("authorization"), Some("Bearer plk_a"));
    let first = expected_signature(&seen[0], "secret", START / 1000);
    assert_eq!(seen[0].header("plinth-signature"), Some(first.as_str()));
    let second = seen[1].header("plinth-signature").expect("signed");
    let later: i64 = second.strip_prefix("t=").and_then(|text| text.split(',').next()?.parse().ok()).expect("a time");
    assert!(later >= START / 1000 + 20, "signed anew");
    assert_eq!(second, expected_signature(&seen[1], "secret", later));
}

#[tokio::test]
async fn a_key_without_a_secret_signs_nothing_and_nobody_shows_nothing() {
    let server = Server::start(|_, _| async { ok(&json!({})) }).await;
    let (client, _) = client(&server);
    client.with_credentials(Credentials::api_key("plk_b")).request(Method::GET, "me").send_empty().await.expect("done");
    client.request(Method::GET, "me").send_empty().await.expect("done");
    client.adopt(&tokens(1));
    client.request(Method::GET, "me").anonymous().send_empty().await.expect("done");
    let shown: Vec<_> = server.seen().iter().map(|seen| seen.header("authorization").map(str::to_owned)).collect();
    assert_eq!(shown, [Some("Bearer plk_b".to_owned()), None, None]);
    assert!(server.seen().iter().all(|seen| seen.header("plinth-signature").is_none()));
}

#[tokio::test]
async fn wishes_become_headers_and_parameters() {
    let server = Server::start(|_, _| async { ok(&json!({})) }).await;
    let (builder, _) = builder(&server);
    let client = builder.user_agent("console/1").build().expect("a client");
    let tenant: TenantId = "ten_00000000000000000000000001".parse().expect("an id");
    let query = Query::new().set("limit", 50).set("status", "paid").set("limit", 20);
    let call = client.request(Method::PATCH, "orders/o").queries(query).tenant(tenant).if_match("\"v1\"");
    call.min_position("77").header("x-extra", "1").body(&json!({ "a": null })).send_empty().await.expect("done");
    let seen = &server.seen()[0];
    assert_eq!(seen.path, "/api/v1/orders/o?status=paid&limit=20");
    let header = |name: &str| seen.header(name).expect(name).to_owned();
    assert_eq!(header("plinth-tenant"), tenant.to_string());
    assert_eq!(header("if-match"), "\"v1\"");
    assert_eq!(header("plinth-min-position"), "77");
    assert_eq!(header("x-extra"), "1");
    assert_eq!(header("user-agent"), "console/1");
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(seen.body, br#"{"a":null}"#);
}

#[tokio::test]
async fn a_prefix_of_the_base_url_is_kept() {
    let server = Server::start(|_, _| async { ok(&json!({})) }).await;
    let client = Client::builder(format!("{}/plinth/", server.url))
        .environment(TestEnvironment::new())
        .build()
        .expect("a client");
    client.request(Method::GET, "me").send_empty().await.expect("done");
    client.request(Method::GET, "/healthz").send_empty().await.expect("done");
    let paths: Vec<_> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/plinth/api/v1/me", "/plinth/healthz"]);
}

#[tokio::test]
async fn what_cannot_be_right_is_not_sent() {
    let server = Server::start(|_, _| async { ok(&json!({})) }).await;
    let (client, _) = client(&server);
    let calls = [
        client.request(Method::GET, "orders/../tenants"),
        client.request(Method::GET, "me").header("x-bad", "a\nb"),
        client.request(Method::GET, "me").idempotency_key("ü\u{7f}"),
        client.request(Method::POST, "me").body(&std::collections::BTreeMap::from([((1, 2), 3)])),
        client.with_credentials(Credentials::api_key("a\nb")).request(Method::GET, "me"),
    ];
    for call in calls {
        let error = call.send_empty().await.expect_err("not valid");
        assert!(matches!(error, Error::Request(_)), "{error:?}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn a_base_url_that_cannot_work_is_refused_with_a_reason() {
    for bad in ["", "plinth.example.com", "ftp://host", "https://u:p@host", "https://host/?a=b", "https://host/#a"] {
        let error = Client::builder(bad).build().expect_err(bad);
        assert!(matches!(error, Error::Setup { .. }), "{bad}: {error:?}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let secret = "s3cr3t".to_owned();
    let all = [
        Credentials::Tokens { access: secret.clone(), refresh: secret.clone() },
        Credentials::AccessToken(secret.clone()),
        Credentials::ApiKey { key: secret.clone(), signing_secret: Some(secret.clone()) },
    ];
    for credentials in all {
        let client = Client::builder("http://localhost").credentials(credentials.clone()).build().expect("a client");
        assert!(!format!("{credentials:?} {client:?}").contains(&secret));
    }
}
