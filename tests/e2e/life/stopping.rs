//! A kernel that is told to stop finishes what it began, and nothing else.

use std::time::{Duration, Instant};

use plinth_tests::{Kernel, Wire, eventually, on_both_databases};
use serde_json::json;

on_both_databases!(terminated_it_finishes_what_it_began);

async fn terminated_it_finishes_what_it_began(kernel: Kernel) {
    stop_during_a_request(kernel, "TERM").await;
}

#[tokio::test]
async fn interrupted_it_finishes_what_it_began() {
    stop_during_a_request(Kernel::start(), "INT").await;
}

/// A request whose body is still on its way when the signal comes.
async fn stop_during_a_request(mut kernel: Kernel, signal: &str) {
    let owner = kernel.owner().await;
    let bytes = owner.post("organizations", &json!({ "name": "Last", "slug": "last" })).bytes();
    let (early, late) = bytes.split_at(bytes.len() - 5);
    let mut busy = kernel.wire().await;
    let mut idle = kernel.wire().await;
    assert!(idle.is_usable().await);
    busy.send(early).await;
    settled(&kernel).await;

    kernel.signal(signal);
    let port = kernel.port();
    eventually("new clients are refused", Duration::from_secs(5), async || Wire::try_connect(port).await.err()).await;
    idle.closed().await;
    busy.send(late).await;
    let answer = busy.answer().await.expect("the request is answered").expect(201);
    assert_eq!(answer.header("connection"), Some("close"));
    let status = kernel.ended(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0), "{}", kernel.log());
    assert!(!kernel.data().join("control.sock").exists());

    kernel.restart();
    let list = owner.get("organizations").send().await.expect(200).json();
    assert_eq!(list["data"][0]["slug"], "last", "what was answered is there");
}

/// The kernel has begun to work on the one request that is on its way: the metrics count two, with their own.
async fn settled(kernel: &Kernel) {
    eventually("the request has begun", Duration::from_secs(5), async || {
        let text = kernel.get("/metrics").send().await.text();
        text.contains("plinth_http_requests_in_flight 2").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_never_finishes_is_cut_when_the_drain_time_ends() {
    let mut kernel = Kernel::setup().env("PLINTH_SERVER__DRAIN_SECONDS", "1").start();
    let mut wire = kernel.wire().await;
    wire.send(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
    )
    .await;
    settled(&kernel).await;
    let began = Instant::now();
    kernel.signal("TERM");
    let status = kernel.ended(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0));
    let took = began.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn the_second_signal_does_not_wait() {
    let mut kernel = Kernel::start();
    let mut wire = kernel.wire().await;
    wire.send(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
    )
    .await;
    settled(&kernel).await;
    kernel.signal("INT");
    let port = kernel.port();
    eventually("new clients are refused", Duration::from_secs(5), async || Wire::try_connect(port).await.err()).await;
    kernel.signal("INT");
    assert_eq!(kernel.ended(Duration::from_secs(2)).code(), Some(130));
    kernel.restart();
}

/// Whoever reads the ready line may stop the kernel in the next instant, as a supervisor does that changed its mind.
#[test]
fn a_signal_right_after_the_ready_line_is_heard() {
    const SUPERVISOR: &str = "mkfifo ready && { \"$@\" > ready & } && read -r line < ready && kill -TERM $! && wait $!";
    for _ in 0..5 {
        let setup = Kernel::setup();
        let line = setup.line(["serve", "--listen", "127.0.0.1:0", "--ready-json"]);
        let output = line.under(&["sh", "-c", SUPERVISOR, "supervisor"]).in_folder(setup.folder()).run();
        assert_eq!(output.code, 0, "the signal came before anybody listened: {}", output.stderr);
    }
}
