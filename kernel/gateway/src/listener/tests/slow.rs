use std::{
    io::{ErrorKind, IoSlice},
    net::SocketAddr,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    routing::{get, post},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    super::{
        connection::{End, Phase, Server},
        stall::TakenInTime,
    },
    ListenerConfig, REQUEST, config, hello, read_until,
};

const LIMIT: Duration = Duration::from_secs(10);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// `GET /` on stream 1 from the static table of HPACK.
const H2_REQUEST: &[u8] = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";
/// The same without the flag that ends the head.
const H2_HALF_A_HEAD: &[u8] = b"\0\0\x03\x01\x01\0\0\0\x01\x82\x86\x84";

/// A connection in memory, so that the clock can run ahead.
struct Connection {
    client: DuplexStream,
    served: JoinHandle<End>,
    began: Instant,
    _phase: watch::Sender<Phase>,
}

fn connect(router: Router, config: &ListenerConfig, buffer: usize) -> Connection {
    let (phase, watching) = watch::channel(Phase::Serving);
    let server = Server::new(router, config, watching);
    let (client, io) = duplex(buffer);
    let peer = SocketAddr::from(([192, 0, 2, 1], 1));
    let served = tokio::spawn(async move { server.serve(io, peer, false).await });
    Connection { client, served, began: Instant::now(), _phase: phase }
}

/// Header time-outs of ten seconds, everything else out of the way.
fn impatient() -> ListenerConfig {
    ListenerConfig { header_timeout: LIMIT, stall_timeout: Duration::from_hours(24), ..config() }
}

#[tokio::test(start_paused = true)]
async fn silence_is_cut() {
    let connection = connect(hello(), &impatient(), 4096);
    assert_eq!(connection.served.await.unwrap(), End::TimedOut);
    assert_eq!(connection.began.elapsed().as_secs(), LIMIT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_in_is_cut() {
    for head in [&b"GET / HTTP/1.1\r\nx-a: bcdefghijklmnopqrstuvwxyz"[..], PREFACE] {
        let mut connection = connect(hello(), &impatient(), 4096);
        for byte in head {
            if connection.client.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(connection.served.await.unwrap(), End::TimedOut);
        assert!(connection.began.elapsed() <= LIMIT + Duration::from_secs(2), "{:?}", connection.began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_head_that_trickles_in_is_cut_as_soon_as_the_first() {
    let mut connection = connect(hello(), &impatient(), 4096);
    connection.client.write_all(REQUEST).await.unwrap();
    assert!(read_until(&mut connection.client, "hello").await.contains("hello"));
    for byte in b"GET / HTTP/1.1\r\nx-a: bcdefghijklmnopqrstuvwxyz" {
        if connection.client.write_all(&[*byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    connection.served.await.unwrap();
    assert!(connection.began.elapsed() <= LIMIT + Duration::from_secs(2), "{:?}", connection.began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn http2_clients_are_told_their_bounds() {
    let mut connection = connect(hello(), &impatient(), 4096);
    connection.client.write_all(PREFACE).await.unwrap();
    let mut settings = [0; 64];
    let length = connection.client.read(&mut settings).await.unwrap();
    let says = |setting: &[u8]| settings[..length].windows(6).any(|bytes| bytes == setting);
    assert!(says(&[0, 3, 0, 0, 1, 0]), "256 concurrent streams");
    assert!(says(&[0, 6, 0, 1, 0, 0]), "heads of 64 KiB");
}

#[tokio::test(start_paused = true)]
async fn an_http2_client_without_a_complete_request_is_cut() {
    for start in [PREFACE.to_vec(), [PREFACE, H2_HALF_A_HEAD].concat()] {
        let mut connection = connect(hello(), &impatient(), 4096);
        connection.client.write_all(&start).await.unwrap();
        assert_eq!(connection.served.await.unwrap(), End::TimedOut);
        assert_eq!(connection.began.elapsed().as_secs(), LIMIT.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    for start in [REQUEST.to_vec(), [PREFACE, H2_REQUEST].concat()] {
        let mut connection = connect(hello(), &impatient(), 4096);
        connection.client.write_all(&start).await.unwrap();
        let answer = read_until(&mut connection.client, "hello").await;
        assert!(answer.contains("hello"), "{answer}");
        assert!(!connection.served.is_finished());
        // It takes what the server still says, a GOAWAY included.
        let mut rest = Vec::new();
        connection.client.read_to_end(&mut rest).await.unwrap();
        connection.served.await.unwrap();
        let idle = connection.began.elapsed();
        assert!(idle >= LIMIT && idle <= 3 * LIMIT, "{idle:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_work_is_not_a_slow_client() {
    let router = Router::new().route(
        "/",
        get(async || {
            sleep(10 * LIMIT).await;
            "late"
        }),
    );
    for start in [REQUEST.to_vec(), [PREFACE, H2_REQUEST].concat()] {
        let mut connection = connect(router.clone(), &impatient(), 4096);
        connection.client.write_all(&start).await.unwrap();
        assert!(read_until(&mut connection.client, "late").await.contains("late"));
        assert!(connection.began.elapsed() >= 10 * LIMIT);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_an_error_to_the_handler() {
    let router =
        Router::new().route("/", post(async |body: Result<Bytes, _>| if body.is_ok() { "whole" } else { "broken" }));
    let stall = ListenerConfig { stall_timeout: LIMIT, header_timeout: Duration::from_hours(1), ..config() };
    let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\n";
    let mut connection = connect(router.clone(), &stall, 4096);
    connection.client.write_all(&[&head[..], b"abc"].concat()).await.unwrap();
    assert!(read_until(&mut connection.client, "broken").await.contains("broken"));
    assert_eq!(connection.began.elapsed().as_secs(), LIMIT.as_secs());

    // Slow but moving is fine.
    let mut connection = connect(router, &stall, 4096);
    connection.client.write_all(head).await.unwrap();
    for byte in b"abcdef" {
        sleep(LIMIT / 2).await;
        connection.client.write_all(&[*byte]).await.unwrap();
    }
    assert!(read_until(&mut connection.client, "whole").await.contains("whole"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_is_cut() {
    let router = Router::new().route("/", get(async || "x".repeat(1 << 20)));
    let stall = ListenerConfig { stall_timeout: LIMIT, header_timeout: Duration::from_hours(1), ..config() };
    let mut connection = connect(router, &stall, 256);
    connection.client.write_all(REQUEST).await.unwrap();
    assert_eq!(connection.served.await.unwrap(), End::TimedOut);
    assert!(connection.began.elapsed() < 3 * LIMIT);
}

#[tokio::test(start_paused = true)]
async fn every_way_to_write_is_limited() {
    let (_client, io) = duplex(4);
    let mut io = TakenInTime::new(io, LIMIT);
    let began = Instant::now();
    assert_eq!(io.write_all(b"12345").await.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(io.write_vectored(&[IoSlice::new(b"5")]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs(), "nothing was taken in between, so the limit is spent");
}

#[tokio::test(start_paused = true)]
async fn an_http2_peer_that_vanished_is_found_out() {
    let router = Router::new().route("/", get(async || sleep(Duration::from_secs(1_000_000)).await));
    let stall = ListenerConfig { stall_timeout: LIMIT, header_timeout: Duration::from_hours(1), ..config() };
    let mut connection = connect(router, &stall, 4096);
    connection.client.write_all(&[PREFACE, H2_REQUEST].concat()).await.unwrap();
    connection.served.await.unwrap();
    assert!(connection.began.elapsed() <= 3 * LIMIT, "no pong came");
}

#[tokio::test(start_paused = true)]
async fn a_head_without_end_is_refused() {
    let mut connection = connect(hello(), &impatient(), 1 << 20);
    let head = [&b"GET / HTTP/1.1\r\nx: "[..], &vec![b'a'; 200_000]].concat();
    connection.client.write_all(&head).await.unwrap();
    assert!(read_until(&mut connection.client, "431").await.contains("431"));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_end_is_given_up() {
    let (phase, watching) = watch::channel(Phase::Serving);
    let server = Server::new(hello(), &impatient(), watching);
    let began = Instant::now();
    assert_eq!(server.handshake(std::future::pending::<std::io::Result<()>>()).await, Err(End::TimedOut));
    assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs());
    phase.send_replace(Phase::Finishing);
    assert_eq!(server.handshake(std::future::pending::<std::io::Result<()>>()).await, Err(End::Done));
    assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs(), "a shutdown does not wait for it");
}
