use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{Notify, Semaphore},
};

use super::{super::Drained, ListenerConfig, REQUEST, Running, config, hello, read_until};

/// A handler that says when it has begun and ends when it is told to.
#[derive(Clone)]
struct Slow {
    begun: Arc<Semaphore>,
    end: Arc<Notify>,
}

impl Slow {
    fn new() -> (Self, Router) {
        let slow = Self { begun: Arc::new(Semaphore::new(0)), end: Arc::new(Notify::new()) };
        let inner = slow.clone();
        let handler = async move || {
            inner.begun.add_permits(1);
            inner.end.notified().await;
            "finished"
        };
        (slow, Router::new().route("/", get(handler)))
    }

    async fn begun(&self) {
        self.begun.acquire().await.unwrap().forget();
    }
}

#[tokio::test]
async fn a_slow_handler_is_waited_for_and_new_clients_are_refused() {
    let (slow, router) = Slow::new();
    let running = Running::start(config(), router).await;
    let mut client = running.connect().await;
    client.write_all(REQUEST).await.unwrap();
    slow.begun().await;
    running.shutdown.cancel();
    let address = running.address;
    // The listening socket is closed as soon as the accept loop has seen the shutdown.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!running.task.is_finished());
    slow.end.notify_one();
    let answer = read_until(&mut client, "finished").await;
    assert!(answer.contains("finished") && answer.contains("connection: close"), "{answer}");
    assert_eq!(running.stop().await, Drained { finished: 1, cut: 0 });
}

#[tokio::test]
async fn http2_is_drained_too() {
    let (slow, router) = Slow::new();
    let running = Running::start(config(), router).await;
    let http = reqwest_client(reqwest::ClientBuilder::http2_prior_knowledge);
    let url = format!("http://{}/", running.address);
    let request = tokio::spawn(async move { http.get(url).send().await.unwrap().text().await.unwrap() });
    slow.begun().await;
    running.shutdown.cancel();
    tokio::task::yield_now().await;
    slow.end.notify_one();
    assert_eq!(request.await.unwrap(), "finished");
    assert_eq!(running.stop().await, Drained { finished: 1, cut: 0 });
}

#[tokio::test]
async fn the_deadline_cuts_what_does_not_end() {
    let (slow, router) = Slow::new();
    let running = Running::start(ListenerConfig { drain: Duration::from_millis(50), ..config() }, router).await;
    let mut stuck = running.connect().await;
    stuck.write_all(REQUEST).await.unwrap();
    slow.begun().await;
    let drained = tokio::time::timeout(Duration::from_secs(20), running.stop()).await.expect("the drain is 50 ms long");
    assert_eq!(drained, Drained { finished: 0, cut: 1 });
    assert_eq!(read_until(&mut stuck, "finished").await, "");
}

#[tokio::test]
async fn idle_connections_do_not_hold_a_drain_up() {
    let running = Running::start(ListenerConfig { drain: Duration::from_hours(1), ..config() }, hello()).await;
    let mut idle = running.connect().await;
    idle.write_all(REQUEST).await.unwrap();
    read_until(&mut idle, "hello").await;
    // This one has not said anything yet, so whether it was accepted is not known.
    let _silent = running.connect().await;
    let drained = running.stop().await;
    assert!(drained.cut == 0 && drained.finished >= 1, "{drained:?}");
}

fn reqwest_client(with: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> reqwest::Client {
    // Another test may have been first; all install the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    with(reqwest::Client::builder()).build().unwrap()
}
