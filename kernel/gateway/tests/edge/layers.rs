//! What each layer does.

use std::{sync::atomic::Ordering, time::Duration};

use plinth_gateway::{Cors, limit::Policy, signature};
use serde_json::json;

use crate::room::{WRITER, start};

#[tokio::test]
async fn an_answer_carries_its_request_id_its_limits_and_the_security_headers() {
    let test = start(|_| ()).await;
    let reply = test.app.get("/things").token(WRITER).send().await;
    for (name, part) in [
        ("request-id", "req_"),
        ("ratelimit", "r="),
        ("ratelimit-policy", "q="),
        ("content-security-policy", "default-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("etag", "\""),
    ] {
        assert!(reply.header(name).is_some_and(|value| value.contains(part)), "{name}: {:?}", reply.header(name));
    }
    assert!(reply.header("strict-transport-security").is_none(), "not over plain http");
    reply.expect(200);
}

/// One request that every layer would refuse: the refusals come in the order of the layers.
#[tokio::test]
async fn the_layers_stand_in_their_order() {
    let huge = "x".repeat(300 * 1024);
    let refusal = |test: crate::room::Test, token: &'static str, body: String| async move {
        let request = test.app.post("/things").header("content-length", &body.len().to_string());
        let request = request.raw("text/plain", body).token(token).header("idempotency-key", "no spaces allowed");
        request.send().await.body["code"].as_str().unwrap_or_default().to_owned()
    };
    let spent = |config: &mut plinth_gateway::EdgeConfig| {
        config.address = Policy::new(1, 1);
        config.key = Policy::new(1, 1);
    };
    let spend = |test: crate::room::Test| async move {
        test.app.get("/things").token(WRITER).send().await;
        test
    };
    assert_eq!(refusal(spend(start(spent).await).await, "garbage", huge.clone()).await, "body_too_large");
    assert_eq!(refusal(spend(start(spent).await).await, "garbage", "x".into()).await, "rate_limited");
    let only_key = |config: &mut plinth_gateway::EdgeConfig| config.key = Policy::new(1, 1);
    assert_eq!(refusal(spend(start(only_key).await).await, WRITER, "x".into()).await, "rate_limited");
    assert_eq!(refusal(start(|_| ()).await, WRITER, "x".into()).await, "bad_idempotency_key");
    let test = start(|_| ()).await;
    test.app
        .post("/things")
        .token("1.things:read")
        .raw("text/plain", "x")
        .send()
        .await
        .refused(403, "permission_missing");
    test.app.post("/things").token(WRITER).raw("text/plain", "x").send().await.refused(415, "unsupported_media_type");
    test.app.post("/things").token(WRITER).raw("application/json", "x").send().await.refused(400, "malformed_json");
}

#[tokio::test]
async fn nothing_here_and_another_method_are_told_apart() {
    let test = start(|_| ()).await;
    test.app.get("/nowhere").send().await.refused(404, "not_found");
    let reply = test.app.delete("/things").token(WRITER).send().await;
    let allowed = reply.header("allow").unwrap_or_default().to_owned();
    reply.refused(405, "method_not_allowed");
    for method in ["GET", "POST", "PATCH"] {
        assert!(allowed.contains(method), "Allow: {allowed}");
    }
    test.app.post("/things/nonsense/slow").token(WRITER).send().await.refused(404, "not_found");
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing_and_harms_nobody() {
    let test = start(|_| ()).await;
    for reply in [test.app.get("/panic").send().await, test.app.post("/panic").send().await] {
        assert!(!reply.text.contains("secret"), "{}", reply.text);
        let problem = reply.refused(500, "internal");
        assert!(problem["request_id"].as_str().is_some_and(|id| id.starts_with("req_")));
    }
    test.app.get("/things").token(WRITER).send().await.expect(200);
}

#[tokio::test]
async fn a_read_that_takes_too_long_is_cut() {
    let test = start(|config| config.request_timeout = Duration::from_millis(50)).await;
    let reply = test.app.get("/sleep").send().await;
    assert_eq!(reply.header("retry-after"), Some("5"));
    reply.refused(503, "timeout");
}

#[tokio::test]
async fn each_limit_counts_for_itself() {
    let test = start(|config| config.sign_in = Policy::new(60, 2)).await;
    let sign_in = || test.app.post("/sign-in").json(&json!({ "name": "a" })).send();
    sign_in().await.expect(200);
    sign_in().await.expect(200);
    let reply = sign_in().await;
    assert!(
        reply.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|seconds| seconds >= 1))
    );
    reply.refused(429, "rate_limited");
    test.app.get("/things").token(WRITER).send().await.expect(200);
    test.database.world.advance(Duration::from_secs(2));
    sign_in().await.expect(200);

    let test = start(|config| config.key = Policy::new(60, 1)).await;
    test.app.get("/things").token(WRITER).send().await.expect(200);
    test.app.get("/things").token(WRITER).send().await.refused(429, "rate_limited");
    test.app.get("/things").token("2.things:read").send().await.expect(200);

    let test = start(|config| config.tenant = Policy::new(60, 2)).await;
    test.app.get("/things").token("2.things:read").send().await.expect(200);
    test.app.get("/things").token("3.things:read").send().await.expect(200);
    test.app.get("/things").token("2.things:read").send().await.refused(429, "rate_limited");
    test.app.get("/things").token("4.things:read").send().await.expect(200);
}

#[tokio::test]
async fn objects_are_not_sent_twice_nor_changed_blindly() {
    let test = start(|_| ()).await;
    let tag = test.app.get("/things").token(WRITER).send().await.header("etag").map(str::to_owned).expect("a tag");
    let again = test.app.get("/things").token(WRITER).header("if-none-match", &tag).send().await;
    assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
    test.app.get("/things").token(WRITER).header("if-none-match", "\"other\"").send().await.expect(200);
    let patch = |tag: &str| {
        test.app.patch("/things").token(WRITER).header("if-match", tag).json(&json!({ "name": "b" })).send()
    };
    patch(&tag).await.expect(200);
    patch("*").await.expect(200);
    patch("\"other\"").await.refused(412, "stale");
}

#[tokio::test]
async fn a_key_that_demands_signatures_gets_nothing_without() {
    let test = start(|_| ()).await;
    let token = "1.things:write,things:read+signed";
    test.app.get("/things").token(token).send().await.refused(401, "signature_needed");
    let now = test.database.world.now().seconds();
    let body = json!({ "name": "signed" }).to_string();
    let sign = |body: &str, at: i64| {
        let request = signature::SignedRequest { method: "POST", path_and_query: "/things", body: body.as_bytes() };
        signature::sign(b"secret", &request, at)
    };
    let post = |body: &str, signature: &str| {
        test.app
            .post("/things")
            .token(token)
            .header("plinth-signature", signature)
            .raw("application/json", body.to_owned())
            .send()
    };
    post(&body, &sign(&body, now)).await.expect(201);
    post(&body.replace("signed", "forged"), &sign(&body, now)).await.refused(401, "signature_invalid");
    post(&body, &sign(&body, now - 301)).await.refused(401, "signature_invalid");
    assert_eq!(test.room.done.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_browser_of_another_origin_is_told_what_it_may() {
    let origin = "https://app.example.com";
    let test = start(|config| {
        config.cors = Some(Cors {
            origins: vec![origin.parse().expect("a value")],
            credentials: true,
            max_age: Duration::from_secs(60),
        });
    })
    .await;
    let preflight = |origin: &str| {
        let request = test.app.request(http::Method::OPTIONS, "/things").header("origin", origin);
        request.header("access-control-request-method", "POST").send()
    };
    assert_eq!(preflight(origin).await.header("access-control-allow-origin"), Some(origin));
    assert_eq!(preflight("https://evil.example").await.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn the_documentation_keeps_its_own_content_security_policy() {
    let test = start(|_| ()).await;
    let reply = test.app.get("/docs").send().await;
    assert!(reply.header("content-security-policy").is_some_and(|policy| policy.contains("script-src 'self'")));
    let document = test.app.get("/api/v1/openapi.json").send().await.expect(200);
    let operation = &document["paths"]["/things"]["post"];
    assert_eq!(operation["x-permission"], "things:write");
    assert!(operation["responses"]["409"]["description"].as_str().is_some_and(|codes| codes.contains("refused")));
    assert_eq!(operation["requestBody"]["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/Thing");
    assert_eq!(document["components"]["schemas"]["Thing"]["additionalProperties"], false);
}
