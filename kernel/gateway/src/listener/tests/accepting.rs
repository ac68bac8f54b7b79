use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    super::{
        Error,
        accept::{Accepting, PAUSE, Source},
        connection::{Phase, Server},
    },
    ListenerConfig, REQUEST, Running, config, hello, read_until,
};
use crate::metrics::ConnectionMetrics;

/// Fails with this error number so many times, then has no more clients.
struct Failing {
    errno: i32,
    times: u32,
    asked: AtomicU32,
    recovered: CancellationToken,
}

impl Failing {
    fn new(errno: i32, times: u32) -> Self {
        Self { errno, times, asked: AtomicU32::new(0), recovered: CancellationToken::new() }
    }
}

impl Source for Failing {
    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        if self.asked.fetch_add(1, Ordering::Relaxed) < self.times {
            return Err(io::Error::from_raw_os_error(self.errno));
        }
        self.recovered.cancel();
        std::future::pending().await
    }
}

fn accepting() -> Accepting {
    let (_, phase) = watch::channel(Phase::Serving);
    Accepting {
        permits: Arc::new(Semaphore::new(1)),
        tasks: TaskTracker::new(),
        server: Arc::new(Server::new(hello(), &config(), phase)),
        certificates: None,
        metrics: ConnectionMetrics::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_descriptor_table_pauses_and_never_ends_the_server() {
    let source = Failing::new(24, 1000);
    let began = Instant::now();
    accepting().run(&source, &source.recovered).await.unwrap();
    assert!(began.elapsed() >= 1000 * PAUSE);
}

#[tokio::test(start_paused = true)]
async fn clients_that_gave_up_cost_no_pause() {
    let source = Failing::new(103, 1000);
    let began = Instant::now();
    accepting().run(&source, &source.recovered).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_broken_socket_is_an_error_in_the_end() {
    let source = Failing::new(9, u32::MAX);
    let error = accepting().run(&source, &source.recovered).await.unwrap_err();
    assert!(matches!(error, Error::Accept(_)));
}

#[tokio::test]
async fn beyond_the_cap_clients_wait_for_their_turn() {
    let running = Running::start(ListenerConfig { max_connections: 1, ..config() }, hello()).await;
    let mut first = running.connect().await;
    first.write_all(REQUEST).await.unwrap();
    assert!(read_until(&mut first, "hello").await.contains("hello"));
    let mut second = running.connect().await;
    second.write_all(REQUEST).await.unwrap();
    let waited = timeout(Duration::from_millis(100), read_until(&mut second, "hello")).await;
    assert!(waited.is_err(), "the only place is taken");
    drop(first);
    assert!(read_until(&mut second, "hello").await.contains("hello"));
}

#[tokio::test]
async fn connections_are_counted() {
    let metrics = crate::metrics::Metrics::new("1", Duration::ZERO).unwrap();
    let listener = super::Listener::bind(config()).await.unwrap().observed_by(metrics.connections());
    let address = listener.local_addr();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(listener.serve(hello(), shutdown.clone()));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(REQUEST).await.unwrap();
    read_until(&mut client, "hello").await;
    assert!(metrics.render().contains("plinth_http_connections 1\n"));
    shutdown.cancel();
    task.await.unwrap().unwrap();
    let text = metrics.render();
    assert!(text.contains("plinth_http_connections 0\n"));
    assert!(text.contains("plinth_http_connections_ended_total{end=\"done\"} 1\n"), "{text}");
}
