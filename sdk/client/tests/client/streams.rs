//! The event stream over cuts, silences and expired tokens.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use futures::{StreamExt, TryStreamExt, stream};
use plinth_client::{EventStream, ServerEvent, StreamQuery, StreamState, Wait, api::TenantId};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::{Seen, Server, answer, broken, builder, client, ok, problem, tokens, tokens_json, with};

const EVENTS: &str = "text/event-stream; charset=utf-8";

fn text(numbers: impl IntoIterator<Item = usize>) -> String {
    numbers.into_iter().fold(String::new(), |text, number| {
        text + &format!("id: {number}\nevent: order.created\ndata: {{\"n\":{number},\ndata: \"t\":\"ü\"}}\n\n")
    })
}

fn position(seen: &Seen) -> usize {
    seen.header("last-event-id").map_or(0, |id| id.parse().expect("a number"))
}

/// Sends `text` and then stays silent with the connection open.
fn open(text: impl Into<String>) -> Response {
    let pieces = stream::iter([Ok::<_, std::io::Error>(text.into())]).chain(stream::pending());
    answer(200, EVENTS, Body::from_stream(pieces))
}

async fn ids(events: &mut EventStream, count: usize) -> Vec<String> {
    events.take(count).map_ok(|event| event.id).try_collect().await.expect("good")
}

fn numbers(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn a_query_becomes_parameters_and_an_event_arrives_whole() {
    let server = Server::start(|seen, _| async move { open(text([position(&seen) + 1])) }).await;
    let (client, _) = client(&server);
    let tenant: TenantId = "ten_00000000000000000000000001".parse().expect("an id");
    let mut events = client.stream(StreamQuery {
        filter: Some("data.n > 1".into()),
        sample: Some(10),
        last_event_id: Some("41".into()),
        tenant: Some(tenant),
        ..StreamQuery::topics(["order.*", "payment.*"])
    });
    assert_eq!(events.last_event_id(), Some("41"));
    let event = events.next().await.expect("an event").expect("good");
    let expected =
        ServerEvent { id: "42".into(), event: "order.created".into(), data: "{\"n\":42,\n\"t\":\"ü\"}".into() };
    assert_eq!(event, expected);
    assert_eq!(events.last_event_id(), Some("42"));
    let seen = &server.seen()[0];
    assert_eq!(seen.path, "/api/v1/stream?topics=order.*%2Cpayment.*&filter=data.n+%3E+1&sample=10");
    assert_eq!(seen.header("accept"), Some("text/event-stream"));
    assert_eq!(seen.header("plinth-tenant"), Some(tenant.to_string().as_str()));
}

#[tokio::test]
async fn wherever_the_connection_is_cut_no_event_is_missing_or_doubled() {
    const LAST: usize = 6;
    let server = Server::start(|seen, before| async move {
        let mut rest = text(position(&seen) + 1..=LAST).into_bytes();
        rest.truncate(before + 1);
        answer(200, EVENTS, rest)
    })
    .await;
    let (client, _) = client(&server);
    let mut events = client.stream(StreamQuery::default());
    assert_eq!(ids(&mut events, LAST).await, numbers(1..=LAST));
    assert!(server.seen().len() > text([1]).len(), "each byte of an event was the last of a connection once");
}

#[tokio::test]
async fn a_connection_that_breaks_is_followed_by_another() {
    let server = Server::start(|seen, before| async move {
        let cut = [Ok(text([position(&seen) + 1])), Err(std::io::Error::other("cut"))];
        match before {
            0 => open(text([1])),
            1 | 2 => answer(200, EVENTS, Body::from_stream(stream::iter(cut))),
            3 => with(problem(503, "unavailable"), "retry-after", "5"),
            4 => problem(500, "internal"),
            5 => answer(502, "text/html", "<h1>proxy</h1>"),
            _ => open(text(position(&seen) + 1..=4)),
        }
    })
    .await;
    let (client, environment) = client(&server);
    let mut events = client.stream(StreamQuery::default());
    assert_eq!(ids(&mut events, 1).await, ["1"]);
    let rest = tokio::spawn(async move { ids(&mut events, 3).await });
    while server.seen().len() < 2 {
        environment.expire(Wait::Heartbeat);
        tokio::task::yield_now().await;
    }
    assert_eq!(rest.await.expect("no panic"), numbers(2..=4));
    let waits = environment.back_offs();
    assert!(waits.iter().any(|wait| *wait >= Duration::from_secs(5)), "Retry-After is honoured: {waits:?}");
}

#[tokio::test]
async fn an_event_that_is_sent_again_after_resuming_is_dropped() {
    let server = Server::start(|seen, before| async move {
        match before {
            0 => answer(200, EVENTS, text(1..=2)),
            // As if Last-Event-ID were included; the same id later on is none of our business.
            _ => open(text(position(&seen)..=4) + "data: no id of its own\n\n"),
        }
    })
    .await;
    let (client, _) = client(&server);
    let mut events = client.stream(StreamQuery::default());
    assert_eq!(ids(&mut events, 5).await, ["1", "2", "3", "4", "4"]);
}

#[tokio::test]
async fn a_position_without_an_event_is_resumed_from() {
    let server = Server::start(|_, before| async move {
        if before == 0 { answer(200, EVENTS, text([1]) + "id: 9\n\n") } else { open(text([10])) }
    })
    .await;
    let (client, _) = client(&server);
    let mut events = client.stream(StreamQuery::default());
    assert_eq!(ids(&mut events, 2).await, ["1", "10"]);
    assert_eq!(server.seen()[1].header("last-event-id"), Some("9"));
}

#[tokio::test]
async fn an_expired_token_is_renewed_and_the_stream_goes_on_without_a_pause() {
    let server = Server::start(|seen, _| async move {
        match (seen.path.as_str(), seen.header("authorization")) {
            ("/api/v1/auth/refresh", _) => ok(&tokens_json(2)),
            (_, Some("Bearer access-1")) => answer(200, EVENTS, text(1..=2) + "event: auth_expired\ndata: {}\n\n"),
            (_, Some("Bearer access-2")) => open(text([position(&seen) + 1])),
            other => panic!("{other:?}"),
        }
    })
    .await;
    let (client, environment) = client(&server);
    client.adopt(&tokens(1));
    let mut events = client.stream(StreamQuery::default());
    let got: Vec<ServerEvent> = (&mut events).take(3).try_collect().await.expect("good");
    assert_eq!(got.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert!(got.iter().all(|event| event.event == "order.created"), "auth_expired is not shown");
    assert_eq!(server.seen_at("/api/v1/auth/refresh").len(), 1);
    assert!(environment.back_offs().is_empty());
}

#[tokio::test]
async fn a_server_that_finds_every_token_expired_is_not_hammered() {
    let server = Server::start(|seen, before| async move {
        if seen.path.ends_with("refresh") {
            ok(&tokens_json(before))
        } else {
            answer(200, EVENTS, "event: auth_expired\ndata: {}\n\n")
        }
    })
    .await;
    let (client, environment) = client(&server);
    client.adopt(&tokens(1));
    let query = StreamQuery { max_failures: Some(4), ..StreamQuery::default() };
    let error = client.stream(query).next().await.expect("an end").expect_err("gives up");
    assert_eq!(error.request_id(), Some("req_1"));
    assert_eq!(environment.back_offs().len(), 3, "only the first refresh goes on at once");
}

#[tokio::test]
async fn a_session_that_has_ended_ends_the_stream() {
    let server = Server::start(|seen, _| async move {
        if seen.path.ends_with("refresh") {
            problem(401, "token_reused")
        } else {
            answer(200, EVENTS, text([1]) + "event: auth_expired\ndata: {}\n\n")
        }
    })
    .await;
    let (client, _) = client(&server);
    client.adopt(&tokens(1));
    let mut events = client.stream(StreamQuery::default());
    assert_eq!(ids(&mut events, 1).await, ["1"]);
    assert_eq!(events.next().await.expect("an end").expect_err("ended").code(), Some("token_reused"));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_key_whose_time_is_over_ends_the_stream_with_what_the_server_says() {
    let server = Server::start(|_, before| async move {
        if before == 0 {
            answer(200, EVENTS, "event: auth_expired\ndata: {}\n\n")
        } else {
            problem(401, "token_expired")
        }
    })
    .await;
    let (client, environment) = client(&server);
    let client = client.with_credentials(plinth_client::Credentials::api_key("plk_a"));
    let error = client.stream(StreamQuery::default()).next().await.expect("an end").expect_err("refused");
    assert_eq!(error.code(), Some("token_expired"));
    assert_eq!(environment.back_offs().len(), 1);
}

#[tokio::test]
async fn silence_opens_the_stream_again_and_its_status_tells() {
    let resumed = Arc::new(Notify::new());
    let told = resumed.clone();
    let server = Server::start(move |seen, before| {
        let told = told.clone();
        async move {
            if before > 0 {
                told.notified().await;
            }
            open(format!(": hello\n\n{}", text([position(&seen) + 1])))
        }
    })
    .await;
    let (client, environment) = client(&server);
    let mut events = client.stream(StreamQuery::default());
    let mut status = events.status();
    assert_eq!(status.borrow().state, StreamState::Connecting);
    assert_eq!(ids(&mut events, 1).await, ["1"]);
    assert_eq!(status.borrow_and_update().state, StreamState::Live);
    let heard_at = status.borrow().heard_at.expect("heard");

    let more = tokio::spawn(async move { (ids(&mut events, 1).await, events) });
    while server.seen().len() < 2 {
        environment.expire(Wait::Heartbeat);
        tokio::task::yield_now().await;
    }
    assert_eq!(status.borrow_and_update().state, StreamState::Connecting);
    assert_eq!(status.borrow().heard_at, Some(heard_at));
    resumed.notify_one();
    let (got, events) = more.await.expect("no panic");
    assert_eq!(got, ["2"]);
    assert_eq!(server.seen()[1].header("last-event-id"), Some("1"));
    drop(events);
    assert_eq!(status.borrow().state, StreamState::Ended);
}

#[tokio::test]
async fn heartbeats_keep_a_stream_without_events_alive() {
    let (beat, go) = futures::channel::mpsc::unbounded::<Result<String, std::io::Error>>();
    let body = std::sync::Mutex::new(Some(go));
    let body = Arc::new(body);
    let server =
        Server::start(move |_, _| {
            let body = body.clone();
            async move {
                answer(200, EVENTS, Body::from_stream(body.lock().expect("whole").take().expect("one connection")))
            }
        })
        .await;
    let (client, environment) = client(&server);
    let mut events = client.stream(StreamQuery::default());
    let mut status = events.status();
    let reading = tokio::spawn(async move { ids(&mut events, 1).await });
    for _ in 0..5 {
        environment.advance(Duration::from_secs(10));
        let now = plinth_client::Environment::now(&*environment);
        beat.unbounded_send(Ok(":\n\n".into())).expect("open");
        status.wait_for(|status| status.heard_at == Some(now)).await.expect("alive");
    }
    beat.unbounded_send(Ok(text([1]))).expect("open");
    assert_eq!(reading.await.expect("no panic"), ["1"]);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_server_sets_the_pace_of_coming_back() {
    let server =
        Server::start(
            |seen, _| async move { answer(200, EVENTS, format!("retry: 7\n\n{}", text([position(&seen) + 1]))) },
        )
        .await;
    let (client, environment) = client(&server);
    let mut events = client.stream(StreamQuery::default());
    assert_eq!(ids(&mut events, 30).await, numbers(1..=30));
    let waits = environment.back_offs();
    assert_eq!(waits.len(), 29);
    assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(7)), "{waits:?}");
}

#[tokio::test]
async fn what_no_waiting_mends_ends_the_stream() {
    for kind in 0..4 {
        let server = Server::start(move |_, _| async move {
            match kind {
                0 => problem(403, "forbidden"),
                1 => problem(422, "invalid"),
                2 => ok(&json!({})),
                _ => answer(200, EVENTS, format!("data: {}\n\n", "x".repeat(200))),
            }
        })
        .await;
        let (builder, environment) = builder(&server);
        let client = builder.max_event(100).build().expect("a client");
        let mut events = client.stream(StreamQuery::default());
        let error = events.next().await.expect("an end").expect_err("ends");
        assert_eq!(error.request_id(), Some("req_1"), "{kind}");
        assert!(events.next().await.is_none());
        assert_eq!((server.seen().len(), environment.back_offs().len()), (1, 0), "{kind}");
    }
}

#[tokio::test]
async fn a_server_that_says_no_content_ends_the_stream_in_peace() {
    let server = Server::start(|_, before| async move {
        if before == 0 { answer(200, EVENTS, text([1])) } else { answer(204, EVENTS, "") }
    })
    .await;
    let (client, _) = client(&server);
    let events = client.stream(StreamQuery::default());
    let status = events.status();
    assert_eq!(events.try_collect::<Vec<_>>().await.expect("good").len(), 1);
    assert_eq!(status.borrow().state, StreamState::Ended);
}

#[tokio::test]
async fn a_stream_gives_up_after_as_many_failures_as_it_may_have() {
    let server =
        Server::start(|_, before| async move { if before == 1 { answer(200, EVENTS, text([1])) } else { broken() } })
            .await;
    let (client, environment) = client(&server);
    let query = StreamQuery { max_failures: Some(0), ..StreamQuery::default() };
    client.stream(query).next().await.expect("an end").expect_err("no second chance");
    assert!(environment.back_offs().is_empty());

    let server = Server::start(|_, _| async { problem(503, "unavailable") }).await;
    let (client, environment) = crate::support::client(&server);
    let query = StreamQuery { max_failures: Some(8), ..StreamQuery::default() };
    let error = client.stream(query).next().await.expect("an end").expect_err("gives up");
    assert_eq!(error.code(), Some("unavailable"));
    let waits = environment.back_offs();
    assert_eq!(waits.len(), 8);
    let ceilings = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].map(Duration::from_millis);
    assert!(waits.iter().zip(ceilings).all(|(wait, ceiling)| *wait <= ceiling), "{waits:?}");
}
