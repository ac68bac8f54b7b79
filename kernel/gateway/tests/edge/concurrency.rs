//! A client that hangs up, or a time limit, ends the wait and never the work.

use std::{
    future::Future,
    pin::pin,
    sync::atomic::Ordering,
    task::{Context, Poll, Waker},
    time::Duration,
};

use serde_json::json;

use crate::room::{WRITER, start};

const SLOW: &str = "/things/usr_00000000000000000000000001/slow";

#[tokio::test]
async fn a_time_limit_ends_the_wait_and_not_the_work() {
    let test = start(|config| config.request_timeout = Duration::from_millis(50)).await;
    let send = || test.app.post(SLOW).token(WRITER).header("idempotency-key", "k").send();
    send().await.refused(503, "timeout");
    send().await.refused(409, "in_progress");
    test.room.gate.add_permits(1);
    test.app.edge.settle().await;
    assert_eq!(test.room.done.load(Ordering::SeqCst), 1);
    let reply = send().await;
    assert_eq!(reply.header("idempotent-replayed"), Some("true"));
    reply.expect(201);
}

/// The request is dropped after every number of polls that it takes: what had begun is done to its end, once.
#[tokio::test(flavor = "current_thread")]
async fn a_client_may_hang_up_at_every_await() {
    for polls in 0..40 {
        let test = start(|_| ()).await;
        let request =
            test.app.post("/things").token(WRITER).header("idempotency-key", "k").json(&json!({ "name": "lamp" }));
        let mut answered = false;
        {
            let mut request = pin!(request.send());
            for _ in 0..polls {
                let polled = request.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                if let Poll::Ready(reply) = polled {
                    reply.expect(201);
                    answered = true;
                    break;
                }
                // Lets the change's own task and the database go on.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        test.app.edge.settle().await;
        let (begun, done) = (test.room.begun.load(Ordering::SeqCst), test.room.done.load(Ordering::SeqCst));
        assert_eq!(begun, done, "work that began was not finished, after {polls} polls");
        let reply =
            test.app.post("/things").token(WRITER).header("idempotency-key", "k").json(&json!({ "name": "lamp" }));
        reply.send().await.expect(201);
        assert_eq!(test.room.done.load(Ordering::SeqCst), 1, "after {polls} polls");
        if answered {
            return;
        }
    }
    panic!("the request never came to its end");
}
