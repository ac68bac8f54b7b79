//! Slow clients meet a clock that is moved; sockets, drain and TLS are the real ones.

mod accepting;
mod draining;
mod encrypted;
mod slow;

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{Drained, Error, Listener, ListenerConfig};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

fn config() -> ListenerConfig {
    ListenerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)))
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// A listener at work.
struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<Result<Drained, Error>>,
}

impl Running {
    async fn start(config: ListenerConfig, router: Router) -> Self {
        let listener = Listener::bind(config).await.unwrap();
        let address = listener.local_addr();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(listener.serve(router, shutdown.clone()));
        Self { address, shutdown, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) -> Drained {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap()
    }
}

/// Reads until the text contains `end` or the connection is closed.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 1024];
    while !String::from_utf8_lossy(&text).contains(end) {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(n) => text.extend_from_slice(&chunk[..n]),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn answers_with_the_peer_in_the_request_and_announces_the_idle_limit() {
    use axum::Extension;
    let router = Router::new().route("/", get(async |Extension(peer): Extension<super::Peer>| peer.0.to_string()));
    let config = ListenerConfig { header_timeout: Duration::from_secs(7), ..config() };
    let quiet = Running::start(ListenerConfig { announce_idle: false, ..config.clone() }, router.clone()).await;
    let running = Running::start(config, router).await;
    let mut client = running.connect().await;
    client.write_all(REQUEST).await.unwrap();
    let local = client.local_addr().unwrap().to_string();
    let answer = read_until(&mut client, &local).await;
    assert!(answer.contains(&local), "{answer}");
    assert!(answer.contains("keep-alive: timeout=7\r\n"), "{answer}");

    let mut client = quiet.connect().await;
    client.write_all(REQUEST).await.unwrap();
    assert!(!read_until(&mut client, "127.0.0.1:").await.contains("keep-alive"));
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_at_start() {
    let error = Listener::bind(ListenerConfig { max_connections: 0, ..config() }).await.err().unwrap();
    assert!(matches!(error, Error::NoConnections));
    let taken = Listener::bind(config()).await.unwrap();
    let error = Listener::bind(ListenerConfig::new(taken.local_addr())).await.err().unwrap();
    assert!(matches!(error, Error::Bind { .. }));
}
