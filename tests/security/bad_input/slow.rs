//! Clients that take their time so that others get none.

use std::time::{Duration, Instant};

use futures::future::join_all;
use plinth_tests::Kernel;

const LOGIN: &str = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

#[tokio::test]
async fn a_head_that_does_not_come_is_cut_and_others_are_served_meanwhile() {
    let kernel = Kernel::setup().env("PLINTH_SERVER__HEADER_TIMEOUT_SECONDS", "1").start();
    let began = Instant::now();
    let starts = ["", "G", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: "];
    let mut wires = Vec::new();
    for number in 0..100 {
        let mut wire = kernel.wire().await;
        wire.send(starts[number % starts.len()]).await;
        wires.push(wire);
    }
    kernel.get("/readyz").send().await.expect(200);
    assert!(began.elapsed() < Duration::from_secs(1), "others do not wait");
    join_all(wires.iter_mut().map(async |wire| {
        let answer = wire.answer().await;
        assert!(answer.as_ref().is_none_or(|answer| answer.status == 408), "{answer:?}");
    }))
    .await;
    let took = began.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&took), "{took:?}");
}

/// A byte now and then does not keep the connection: the head as a whole has its time.
#[tokio::test]
async fn a_head_in_drops_is_cut_as_well() {
    let kernel = Kernel::setup().env("PLINTH_SERVER__HEADER_TIMEOUT_SECONDS", "1").start();
    let mut wire = kernel.wire().await;
    let began = Instant::now();
    wire.send("GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    let mut interval = tokio::time::interval(Duration::from_millis(100));
    while wire.send("a").await && began.elapsed() < Duration::from_secs(10) {
        interval.tick().await;
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_with_the_time_of_a_request() {
    let kernel = Kernel::setup().env("PLINTH_SERVER__REQUEST_TIMEOUT_SECONDS", "1").start();
    let began = Instant::now();
    let mut silent = kernel.wire().await;
    silent.send(format!("{LOGIN}content-length: 50\r\n\r\n{{")).await;
    let mut chunked = kernel.wire().await;
    chunked.send(format!("{LOGIN}transfer-encoding: chunked\r\n\r\n1\r\n{{\r\n")).await;
    let mut with_key = kernel.wire().await;
    with_key.send(format!("{LOGIN}idempotency-key: k\r\ncontent-length: 50\r\n\r\n{{")).await;
    kernel.get("/readyz").send().await.expect(200);
    for wire in [&mut silent, &mut chunked, &mut with_key] {
        wire.answer().await.expect("answered").refused(503, "timeout");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(kernel.wire().await.is_usable().await);
}

#[tokio::test]
async fn connections_are_bounded_and_the_kernel_recovers_when_they_go() {
    let setup = Kernel::setup().env("PLINTH_SERVER__MAX_CONNECTIONS", "20");
    let kernel = setup.env("PLINTH_SERVER__HEADER_TIMEOUT_SECONDS", "1").start();
    let mut wires = Vec::new();
    for _ in 0..20 {
        wires.push(kernel.wire().await);
    }
    // The twenty-first waits for a place, and gets one when the silent ones are cut.
    kernel.get("/readyz").send().await.expect(200);
    assert_eq!(wires.len(), 20);
}
