//! A change under an Idempotency-Key happens once.

use std::sync::atomic::Ordering;

use plinth_testkit::Reply;
use serde_json::json;

use crate::room::{Test, WRITER, over, start};

async fn make(test: &Test, name: &str, key: &str) -> Reply {
    test.app.post("/things").token(WRITER).header("idempotency-key", key).json(&json!({ "name": name })).send().await
}

#[tokio::test]
async fn the_first_answer_is_given_again() {
    for database in plinth_testkit::databases().await {
        let test = over(database, |_| ());
        let first = make(&test, "lamp", "k").await;
        let again = make(&test, "lamp", "k").await;
        assert_eq!(first.header("etag"), again.header("etag"));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_ne!(first.header("request-id"), again.header("request-id"));
        assert_eq!(first.expect(201), again.expect(201));
        assert_eq!(test.room.done.load(Ordering::SeqCst), 1);
        make(&test, "table", "k").await.refused(422, "idempotency_mismatch");
        make(&test, "table", "k2").await.expect(201);
    }
}

#[tokio::test]
async fn a_key_belongs_to_its_caller() {
    let test = start(|_| ()).await;
    make(&test, "lamp", "k").await.expect(201);
    for other in ["0.things:write", "2.things:write"] {
        let reply = test
            .app
            .post("/things")
            .token(other)
            .header("idempotency-key", "k")
            .json(&json!({ "name": "lamp" }))
            .send()
            .await;
        assert_eq!(reply.header("idempotent-replayed"), None);
        reply.expect(201);
    }
}

#[tokio::test]
async fn an_error_after_the_work_began_is_an_answer_and_one_before_is_none() {
    let test = start(|_| ()).await;
    make(&test, "refused", "begun").await.refused(409, "refused");
    let again = make(&test, "refused", "begun").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    again.refused(409, "refused");
    assert_eq!(test.room.begun.load(Ordering::SeqCst), 1);

    let unreadable =
        test.app.post("/things").token(WRITER).header("idempotency-key", "before").raw("application/json", "{");
    unreadable.send().await.refused(400, "malformed_json");
    make(&test, "lamp", "before").await.expect(201);
}

#[tokio::test]
async fn bad_weather_gives_the_key_back() {
    let test = start(|_| ()).await;
    make(&test, "weather", "k").await.refused(503, "unavailable");
    let again = make(&test, "weather", "k").await;
    assert_eq!(again.header("idempotent-replayed"), None);
    assert_eq!(test.room.begun.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn fifty_at_once_are_one() {
    for database in plinth_testkit::databases().await {
        let test = over(database, |_| ());
        let replies = futures::future::join_all((0..50).map(|_| make(&test, "lamp", "k"))).await;
        assert_eq!(test.room.done.load(Ordering::SeqCst), 1);
        for reply in replies {
            match reply.status.as_u16() {
                201 => assert_eq!(reply.body["name"], "lamp"),
                _ => drop(reply.refused(409, "in_progress")),
            }
        }
        make(&test, "lamp", "k").await.expect(201);
    }
}
