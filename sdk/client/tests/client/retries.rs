//! What is repeated, when, and under which key.

use std::{collections::HashSet, sync::Arc, time::Duration};

use http::Method;
use plinth_client::{Client, Error, Wait};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};

use crate::support::{Server, TestEnvironment, broken, builder, client, ok, problem, with};

#[tokio::test]
async fn a_get_is_repeated_until_it_succeeds() {
    let server = Server::start(|_, before| async move {
        match before {
            0 => problem(503, "unavailable"),
            1 => broken(),
            2 => problem(429, "rate_limited"),
            _ => ok(&json!(before)),
        }
    })
    .await;
    let (client, environment) = client(&server);
    let reply = client.request(Method::GET, "me").send::<Value>().await.expect("the fourth attempt succeeds");
    assert_eq!(reply.body, json!(3));
    let back_offs = environment.back_offs();
    assert_eq!(back_offs.len(), 3);
    assert!(back_offs.iter().zip([200, 400, 800]).all(|(wait, ceiling)| *wait <= Duration::from_millis(ceiling)));
}

#[tokio::test]
async fn the_last_failure_is_told_when_repeating_does_not_help() {
    let server = Server::start(|_, _| async { problem(503, "unavailable") }).await;
    let (builder, _) = builder(&server);
    let client = builder.retries(2).build().expect("a client");
    let error = client.request(Method::GET, "me").send::<Value>().await.expect_err("never succeeds");
    assert_eq!((error.code(), error.status().map(|status| status.as_u16())), (Some("unavailable"), Some(503)));
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    for status in [400, 401, 403, 404, 409, 412, 422, 500] {
        let server = Server::start(move |_, _| async move { problem(status, "no") }).await;
        let (client, _) = client(&server);
        client.request(Method::POST, "orders").send_empty().await.expect_err("refused");
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn the_idempotency_key_is_the_same_over_attempts_and_another_for_each_call() {
    for method in [Method::POST, Method::PATCH, Method::DELETE] {
        let server = Server::start(|_, before| async move {
            match before {
                0 => broken(),
                1 => problem(503, "unavailable"),
                2 => problem(409, "in_progress"),
                _ => ok(&json!({})),
            }
        })
        .await;
        let (client, _) = client(&server);
        client.request(method.clone(), "orders").body(&json!({ "a": 1 })).send_empty().await.expect("succeeds");
        client.request(method.clone(), "orders").body(&json!({ "a": 1 })).send_empty().await.expect("succeeds");
        let keys: Vec<String> =
            server.seen().iter().map(|seen| seen.header("idempotency-key").expect("a key").to_owned()).collect();
        assert_eq!(keys.len(), 5, "{method}");
        assert_eq!(keys[..4].iter().collect::<HashSet<_>>().len(), 1, "{method}");
        assert_ne!(keys[3], keys[4], "{method}");
        assert!(server.seen().iter().all(|seen| seen.json() == json!({ "a": 1 })));
    }
}

#[tokio::test]
async fn a_change_without_a_key_is_never_repeated() {
    for method in [Method::POST, Method::PATCH, Method::DELETE] {
        for failure in 0..3 {
            let server = Server::start(move |_, _| async move {
                [problem(503, "unavailable"), with(problem(429, "rate_limited"), "retry-after", "1"), broken()]
                    .into_iter()
                    .nth(failure)
                    .expect("three")
            })
            .await;
            let (builder, environment) = builder(&server);
            let client = builder.idempotency_keys(false).build().expect("a client");
            client.request(method.clone(), "orders").send::<Value>().await.expect_err("fails");
            assert_eq!(server.seen().len(), 1, "{method} {failure}");
            assert_eq!(server.seen()[0].header("idempotency-key"), None);
            assert!(environment.back_offs().is_empty());
        }
    }
}

#[tokio::test]
async fn a_key_of_ones_own_is_kept_and_can_be_left_out_for_one_call() {
    let server = Server::start(|_, _| async { problem(503, "unavailable") }).await;
    let (client, _) = client(&server);
    client.request(Method::POST, "orders").idempotency_key("mine").send_empty().await.expect_err("fails");
    assert!(server.seen().iter().all(|seen| seen.header("idempotency-key") == Some("mine")));
    assert_eq!(server.seen().len(), 4);
    client.request(Method::POST, "orders").without_idempotency_key().send_empty().await.expect_err("fails");
    assert_eq!(server.seen().len(), 5);
    assert_eq!(server.seen()[4].header("idempotency-key"), None);
}

#[tokio::test]
async fn retry_after_is_the_least_that_is_waited() {
    let server = Server::start(|_, before| async move {
        match before {
            0 => with(problem(429, "rate_limited"), "retry-after", "17"),
            1 => with(problem(503, "unavailable"), "retry-after", "Thu, 01 Jan 2026 00:01:00 GMT"),
            _ => ok(&json!({})),
        }
    })
    .await;
    let (client, environment) = client(&server);
    client.request(Method::GET, "me").send::<Value>().await.expect("succeeds");
    let back_offs = environment.back_offs();
    assert!((17_000..=17_200).contains(&back_offs[0].as_millis()), "{back_offs:?}");
    // The clock stood at 00:00:17 and a bit by then.
    assert!((42_000..=43_400).contains(&back_offs[1].as_millis()), "{back_offs:?}");
}

#[tokio::test]
async fn a_retry_after_beyond_patience_is_told_instead_of_waited_for() {
    let server = Server::start(|_, _| async { with(problem(429, "quota_exhausted"), "retry-after", "3600") }).await;
    let (client, environment) = client(&server);
    let error = client.request(Method::GET, "me").send::<Value>().await.expect_err("refused");
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
    assert!(environment.back_offs().is_empty());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up_and_asked_for_again() {
    let arrived = Arc::new(Notify::new());
    let told = arrived.clone();
    let server = Server::start(move |_, before| {
        let told = told.clone();
        async move {
            if before == 0 {
                told.notify_one();
                std::future::pending::<()>().await;
            }
            ok(&json!("late"))
        }
    })
    .await;
    let (client, environment) = client(&server);
    let call = tokio::spawn(client.request(Method::GET, "me").send::<Value>());
    arrived.notified().await;
    environment.expire(Wait::Answer);
    assert_eq!(call.await.expect("no panic").expect("succeeds").body, json!("late"));

    let single =
        tokio::spawn(client.request(Method::GET, "me").timeout(Duration::from_secs(9)).retries(0).send::<Value>());
    single.await.expect("no panic").expect("answered in time");
}

#[tokio::test]
async fn a_timed_out_change_without_a_key_says_that_it_may_have_been_made() {
    let arrived = Arc::new(Notify::new());
    let told = arrived.clone();
    let server = Server::start(move |_, _| {
        told.notify_one();
        std::future::pending()
    })
    .await;
    let (client, environment) = client(&server);
    let call = client.request(Method::POST, "orders").without_idempotency_key().timeout(Duration::from_secs(9));
    let call = tokio::spawn(call.send::<Value>());
    arrived.notified().await;
    environment.expire(Wait::Answer);
    let error = call.await.expect("no panic").expect_err("timed out");
    assert!(matches!(error, Error::Timeout { after, .. } if after == Duration::from_secs(9)), "{error:?}");
    assert!(error.to_string().contains("may have been done"));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_transport_error_after_all_attempts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let environment = TestEnvironment::new();
    let client = Client::builder(&url).environment(environment.clone()).build().expect("a client");
    let error = client.request(Method::GET, "me").send::<Value>().await.expect_err("nobody listens");
    assert!(matches!(&error, Error::Transport { server, .. } if *server == url), "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(environment.back_offs().len(), 3);
}
