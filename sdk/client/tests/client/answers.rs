//! What is made of answers, good and bad.

use std::time::Duration;

use axum::body::Body;
use http::Method;
use plinth_client::{Error, RateLimit, StatusCode, api::tenants::Limits};
use serde_json::{Value, json};

use crate::support::{Server, answer, builder, client, ok, problem, with};

#[tokio::test]
async fn a_reply_tells_what_its_headers_mean() {
    let server = Server::start(|_, _| async {
        let mut response = answer(201, "application/json", r#"{"users":7}"#);
        for (name, value) in [
            ("etag", "\"v3\""),
            ("plinth-position", "4711"),
            ("idempotent-replayed", "true"),
            ("ratelimit", "\"key\";r=9;t=5"),
            ("ratelimit-policy", "\"key\";q=10;w=60"),
        ] {
            response = with(response, name, value);
        }
        response
    })
    .await;
    let (client, _) = client(&server);
    let reply = client.request(Method::POST, "x").send::<Limits>().await.expect("good");
    assert_eq!(reply.body.users, Some(7));
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(reply.etag.as_deref(), Some("\"v3\""));
    assert_eq!(reply.position.as_deref(), Some("4711"));
    assert_eq!(reply.request_id.as_deref(), Some("req_1"));
    assert!(reply.replayed);
    let limit = RateLimit {
        policy: "key".into(),
        remaining: 9,
        reset: Some(Duration::from_secs(5)),
        limit: Some(10),
        window: Some(Duration::from_mins(1)),
    };
    assert_eq!(reply.rate_limit, Some(limit));
}

#[tokio::test]
async fn a_problem_keeps_its_code_fields_and_headers() {
    let server = Server::start(|_, _| async {
        let body = json!({
            "type": "https://plinth.example/problems/invalid", "title": "A field was refused", "status": 422, "code": "invalid",
            "request_id": "req_9", "errors": [{ "pointer": "/name", "code": "too_short", "message": "needs a letter" }],
        });
        answer(422, "application/problem+json", body.to_string())
    })
    .await;
    let (client, _) = client(&server);
    let error = client.request(Method::POST, "x").send_empty().await.expect_err("refused");
    let problem = error.problem().expect("a problem");
    assert_eq!(problem.errors[0].pointer, "/name");
    assert_eq!(error.code(), Some("invalid"));
    assert_eq!(error.status(), Some(StatusCode::UNPROCESSABLE_ENTITY));
    assert_eq!(error.to_string(), "A field was refused (invalid; /name: needs a letter)");
}

#[tokio::test]
async fn garbage_is_a_decode_error_with_the_request_id() {
    for garbage in ["", "<html>", "{\"users\":", "{\"users\":\"many\"}", "\u{0}", "{} {}"] {
        let server = Server::start(move |_, _| async move { answer(200, "application/json", garbage) }).await;
        let (client, _) = client(&server);
        let error = client.request(Method::GET, "x").send::<Limits>().await.expect_err("garbage");
        assert!(matches!(error, Error::Decode { .. }), "{garbage:?}: {error:?}");
        assert_eq!(error.request_id(), Some("req_1"));
        assert_eq!(error.status(), Some(StatusCode::OK));
        assert!(error.to_string().contains("req_1"), "{error}");
        assert_eq!(server.seen().len(), 1, "a garbage answer is not asked for again");
    }
}

#[tokio::test]
async fn an_error_that_is_no_problem_document_keeps_its_status() {
    let server = Server::start(|_, _| async { answer(404, "text/html", "<h1>nginx</h1>") }).await;
    let (client, _) = client(&server);
    let error = client.request(Method::GET, "x").send::<Value>().await.expect_err("not found");
    assert!(matches!(error, Error::Decode { .. }));
    assert_eq!((error.status(), error.code()), (Some(StatusCode::NOT_FOUND), None));
}

#[tokio::test]
async fn a_redirect_is_not_followed_but_explained() {
    let server =
        Server::start(|_, _| async { with(answer(308, "text/plain", ""), "location", "https://other.example/") }).await;
    let (client, _) = client(&server);
    let error = client.request(Method::GET, "x").send::<Value>().await.expect_err("elsewhere");
    assert!(error.to_string().contains("https://other.example/"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_whether_its_length_is_told_or_not() {
    let server = Server::start(|seen, _| async move {
        let text = "1".repeat(100);
        if seen.path.ends_with("/known") {
            answer(200, "application/json", text)
        } else {
            let pieces =
                text.into_bytes().chunks(10).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
            answer(200, "application/json", Body::from_stream(futures::stream::iter(pieces)))
        }
    })
    .await;
    let (builder, _) = builder(&server);
    let client = builder.max_body(99).build().expect("a client");
    for path in ["known", "unknown"] {
        let error = client.request(Method::GET, path).send_raw().await.expect_err("too large");
        assert!(matches!(error, Error::TooLarge { limit: 99, .. }), "{path}: {error:?}");
        assert_eq!(error.request_id(), Some("req_1"));
        let reply = client.request(Method::GET, path).max_body(100).send_raw().await.expect("fits");
        assert_eq!(reply.body.len(), 100, "{path}");
    }
}

#[tokio::test]
async fn an_empty_answer_needs_no_body() {
    let server = Server::start(|seen, _| async move {
        if seen.method == Method::DELETE { answer(204, "application/json", "") } else { ok(&json!({ "ignored": 1 })) }
    })
    .await;
    let (client, _) = client(&server);
    let reply = client.request(Method::DELETE, "x").send_empty().await.expect("done");
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert!(!reply.replayed);
    client.request(Method::POST, "x").empty().await.expect("a body is ignored");
}

#[tokio::test]
async fn the_request_id_of_a_problem_stands_in_for_a_missing_header() {
    let server = Server::start(|_, _| async {
        let mut response = problem(403, "forbidden");
        response.headers_mut().remove("request-id");
        response
    })
    .await;
    let (client, _) = client(&server);
    let error = client.request(Method::GET, "x").send_empty().await.expect_err("refused");
    assert_eq!(error.request_id(), Some("req_1"));
}
