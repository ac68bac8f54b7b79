//! Tokens: one refresh at a time, none lost, and a clear end.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::response::Response;
use data_encoding::BASE64URL_NOPAD;
use futures::future::join_all;
use http::Method;
use plinth_client::{Client, Credentials, Error};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::support::{START, Seen, Server, broken, builder, client, ok, problem, tokens, tokens_json, with};

const REFRESH: &str = "/api/v1/auth/refresh";
const CALLS: usize = 40;

/// Lets in whoever shows a token of `valid` or later, and trades pair N in for pair N + 1.
fn kernel(seen: &Seen, valid: usize) -> Response {
    if seen.path == REFRESH {
        let refresh = seen.json()["refresh_token"].as_str().expect("a token").to_owned();
        let number: usize = refresh.strip_prefix("refresh-").expect("ours").parse().expect("a number");
        return ok(&tokens_json(number + 1));
    }
    let number = seen.header("authorization").and_then(|value| value.strip_prefix("Bearer access-")?.parse().ok());
    if number.is_some_and(|number: usize| number >= valid) { ok(&json!(number)) } else { problem(401, "token_expired") }
}

async fn me(client: &Client) -> Result<Value, Error> {
    client.request(Method::GET, "me").send::<Value>().await.map(|reply| reply.body)
}

/// Many calls of many clones at once, with a refresh that is held back until the others have come as far as they can.
async fn storm(valid: usize, expired: bool) -> Server {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (tell, wait) = (arrived.clone(), go.clone());
    let server = Server::start(move |seen, _| {
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            if seen.path == REFRESH {
                tell.notify_one();
                drop(wait.acquire().await);
            }
            kernel(&seen, valid)
        }
    })
    .await;
    let (client, environment) = client(&server);
    client.adopt(&tokens(1));
    if expired {
        environment.advance(Duration::from_secs(575));
    }
    let calls = (0..CALLS).map(|_| client.clone()).map(|client| tokio::spawn(async move { me(&client).await }));
    let calls: Vec<_> = calls.collect();
    arrived.notified().await;
    while !expired && server.seen_at("/api/v1/me").len() < CALLS {
        tokio::task::yield_now().await;
    }
    go.add_permits(CALLS);
    for call in join_all(calls).await {
        assert_eq!(call.expect("no panic").expect("let in"), json!(2));
    }
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_shortly_before_expiry_make_one_refresh() {
    let server = storm(1, true).await;
    assert_eq!(server.seen_at(REFRESH).len(), 1);
    assert_eq!(server.seen_at("/api/v1/me").len(), CALLS, "no call was sent with the old token");
    assert_eq!(server.seen_at(REFRESH)[0].header("authorization"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_that_are_told_token_expired_make_one_refresh() {
    let server = storm(2, false).await;
    assert_eq!(server.seen_at(REFRESH).len(), 1);
}

#[tokio::test]
async fn a_token_that_is_still_good_is_not_renewed() {
    let server = Server::start(|seen, _| async move { kernel(&seen, 1) }).await;
    let (client, environment) = client(&server);
    client.adopt(&tokens(1));
    environment.advance(Duration::from_secs(569));
    assert_eq!(me(&client).await.expect("let in"), json!(1));
    environment.advance(Duration::from_secs(1));
    assert_eq!(me(&client).await.expect("let in"), json!(2));
}

#[tokio::test]
async fn a_stored_token_is_renewed_by_what_it_says_of_its_expiry() {
    let server = Server::start(|seen, _| async move { kernel(&seen, 1) }).await;
    let jwt = |exp: i64| {
        let claims = BASE64URL_NOPAD.encode(json!({ "iat": exp - 600, "exp": exp }).to_string().as_bytes());
        Credentials::Tokens { access: format!("e30.{claims}.c2ln"), refresh: "refresh-4".into() }
    };
    let (builder, _) = builder(&server);
    let client = builder.credentials(jwt(START / 1000 + 20)).build().expect("a client");
    assert_eq!(me(&client).await.expect("let in"), json!(5));
    assert_eq!(server.seen()[0].path, REFRESH, "renewed before the first call");

    let later = client.with_credentials(jwt(START / 1000 + 300));
    let error = me(&later).await.map(|_| server.seen().len());
    assert_eq!(error.expect("renewed when the server asked for it"), 5, "call, refresh, call");
}

#[tokio::test]
async fn a_refresh_whose_reply_is_lost_is_repeated_under_the_same_key() {
    let server =
        Server::start(|seen, before| async move { if before == 0 { broken() } else { kernel(&seen, 2) } }).await;
    let (client, _) = client(&server);
    client.adopt(&tokens(1));
    client.refresh().await.expect("succeeds at the second attempt");
    let refreshes = server.seen_at(REFRESH);
    assert_eq!(refreshes.len(), 2);
    assert_eq!(refreshes[0].header("idempotency-key"), refreshes[1].header("idempotency-key"));
    assert!(refreshes[0].header("idempotency-key").is_some());
}

#[tokio::test]
async fn the_key_outlives_a_refresh_that_was_given_up_and_changes_with_the_pair() {
    let server =
        Server::start(|seen, before| async move { if before == 0 { broken() } else { kernel(&seen, 1) } }).await;
    let (builder, _) = builder(&server);
    let client = builder.retries(0).build().expect("a client");
    client.adopt(&tokens(1));
    assert!(matches!(client.refresh().await, Err(Error::Transport { .. })));
    client.refresh().await.expect("succeeds");
    client.refresh().await.expect("succeeds");
    let keys: Vec<_> = server.seen().iter().map(|seen| seen.header("idempotency-key").map(str::to_owned)).collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_lose_the_new_pair() {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (arrived.clone(), go.clone());
    let server = Server::start(move |seen, _| {
        let (tell, wait) = (tell.clone(), wait.clone());
        async move {
            if seen.path == REFRESH {
                tell.notify_one();
                wait.notified().await;
            }
            kernel(&seen, 2)
        }
    })
    .await;
    let (client, _) = client(&server);
    client.adopt(&tokens(1));
    let impatient = tokio::spawn({
        let client = client.clone();
        async move { client.refresh().await }
    });
    arrived.notified().await;
    impatient.abort();
    assert!(impatient.await.expect_err("aborted").is_cancelled());
    go.notify_one();
    assert_eq!(me(&client).await.expect("let in"), json!(2));
    assert_eq!(server.seen_at(REFRESH).len(), 1);
}

#[tokio::test]
async fn each_new_pair_is_told_so_that_it_can_be_stored() {
    let stored: Arc<Mutex<Vec<String>>> = Arc::default();
    let store = stored.clone();
    let server = Server::start(|seen, _| async move { kernel(&seen, 3) }).await;
    let (builder, _) = builder(&server);
    let builder = builder.on_tokens(move |tokens| store.lock().expect("whole").push(tokens.refresh_token.clone()));
    let client = builder.build().expect("a client");
    client.adopt(&tokens(1));
    client.refresh().await.expect("renewed");
    assert_eq!(me(&client).await.expect("let in"), json!(3));
    assert_eq!(*stored.lock().expect("whole"), ["refresh-1", "refresh-2", "refresh-3"]);
    let Credentials::Tokens { refresh, .. } = client.credentials() else { panic!("no pair") };
    assert_eq!(refresh, "refresh-3");
    client.with_credentials(Credentials::from(&tokens(7))).refresh().await.expect("renewed");
    assert_eq!(stored.lock().expect("whole").len(), 3, "another session is not told to this listener");
}

#[tokio::test]
async fn a_reused_token_ends_the_session_for_all_clones() {
    let ends: Arc<Mutex<Vec<String>>> = Arc::default();
    let note = ends.clone();
    let server = Server::start(|seen, _| async move {
        if seen.path == REFRESH { problem(401, "token_reused") } else { problem(401, "token_expired") }
    })
    .await;
    let (builder, _) = builder(&server);
    let builder = builder.on_signed_out(move |code| note.lock().expect("whole").push(code.to_owned()));
    let client = builder.credentials(Credentials::from(&tokens(1))).build().expect("a client");
    let error = me(&client.clone()).await.expect_err("ended");
    assert!(matches!(&error, Error::SignedOut { code } if code == "token_reused"), "{error:?}");
    let asked = server.seen().len();
    assert_eq!(me(&client).await.expect_err("ended").code(), Some("token_reused"));
    assert_eq!(server.seen().len(), asked, "a session that has ended is not asked for");
    assert_eq!(*ends.lock().expect("whole"), ["token_reused"]);
    assert!(matches!(client.credentials(), Credentials::Anonymous));
}

#[tokio::test]
async fn a_revoked_session_is_told_and_a_new_sign_in_mends_it() {
    let server = Server::start(|seen, _| async move {
        if seen.header("authorization") == Some("Bearer access-1") {
            problem(401, "token_revoked")
        } else {
            kernel(&seen, 1)
        }
    })
    .await;
    let (client, _) = client(&server);
    client.adopt(&tokens(1));
    assert!(matches!(me(&client).await, Err(Error::SignedOut { code }) if code == "token_revoked"));
    client.adopt(&tokens(9));
    assert_eq!(me(&client).await.expect("let in"), json!(9));
}

#[tokio::test]
async fn an_early_refresh_that_fails_leaves_the_old_token_in_use_while_it_lasts() {
    let server = Server::start(|seen, _| async move {
        if seen.path == REFRESH { problem(503, "unavailable") } else { kernel(&seen, 1) }
    })
    .await;
    let (builder, environment) = builder(&server);
    let client = builder.retries(0).build().expect("a client");
    client.adopt(&tokens(1));
    environment.advance(Duration::from_secs(571));
    assert_eq!(me(&client).await.expect("the old token is good"), json!(1));
    assert_eq!(me(&client).await.expect("the old token is good"), json!(1));
    assert_eq!(server.seen_at(REFRESH).len(), 1, "the next try is put off");
    environment.advance(Duration::from_secs(30));
    assert_eq!(me(&client).await.expect_err("expired").code(), Some("unavailable"));
}

#[tokio::test]
async fn a_server_that_finds_every_token_expired_is_not_asked_for_ever() {
    let server = Server::start(|seen, _| async move { kernel(&seen, usize::MAX) }).await;
    let (client, _) = client(&server);
    client.adopt(&tokens(1));
    assert_eq!(me(&client).await.expect_err("refused").code(), Some("token_expired"));
    assert_eq!(server.seen().len(), 3, "call, refresh, call");
}

#[tokio::test]
async fn a_change_refused_for_an_expired_token_is_sent_again_even_without_a_key() {
    let server = Server::start(|seen, _| async move { kernel(&seen, 2) }).await;
    let (client, _) = client(&server);
    client.adopt(&tokens(1));
    let call = client.request(Method::POST, "orders").body(&json!({ "a": 1 })).without_idempotency_key();
    assert_eq!(call.send::<Value>().await.expect("let in").body, json!(2));
    assert!(server.seen_at("/api/v1/orders").iter().all(|seen| seen.json() == json!({ "a": 1 })));
}

#[tokio::test]
async fn a_listener_that_panics_fails_that_refresh_and_loses_nothing() {
    let server = Server::start(|seen, _| async move { kernel(&seen, 2) }).await;
    let (builder, _) = builder(&server);
    let builder = builder.on_tokens(|tokens| assert_eq!(tokens.refresh_token, "refresh-1", "the disk is full"));
    let client = builder.build().expect("a client");
    client.adopt(&tokens(1));
    assert!(matches!(client.refresh().await, Err(Error::Transport { .. })));
    assert_eq!(me(&client).await.expect("the new pair is in use"), json!(2));
}

#[tokio::test]
async fn logging_out_ends_the_session_here_too() {
    let server = Server::start(|_, _| async { with(ok(&json!({})), "etag", "x") }).await;
    let (client, _) = client(&server);
    client.adopt(&tokens(1));
    client.auth().logout().await.expect("logged out");
    assert_eq!(server.seen()[0].header("authorization"), Some("Bearer access-1"));
    assert_eq!(me(&client).await.expect_err("signed out").code(), Some("logged_out"));
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_reported_as_expired() {
    let server = Server::start(|seen, _| async move { kernel(&seen, 2) }).await;
    let (client, _) = client(&server);
    let acting = client.with_credentials(Credentials::AccessToken("access-1".into()));
    assert_eq!(me(&acting).await.expect_err("expired").code(), Some("token_expired"));
    assert_eq!(server.seen().len(), 1);
}
