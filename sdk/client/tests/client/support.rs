//! A server that answers as told and remembers what it was asked, and an environment whose waits end on command.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Method};
use plinth_client::{
    Client, ClientBuilder, Environment, Wait, api::Timestamp, api::auth::TokenType, api::auth::Tokens,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

pub struct Server {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// `answer` gets each request and how many came before it.
    pub async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(Seen, usize) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let remember = seen.clone();
        let handler = move |request: Request| {
            let (answer, remember) = (answer.clone(), remember.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.expect("whole").to_vec();
                let path = head.uri.path_and_query().expect("a path").to_string();
                let request = Seen { method: head.method, path, headers: head.headers, body };
                let before = {
                    let mut seen = remember.lock().expect("whole");
                    seen.push(request.clone());
                    seen.len() - 1
                };
                answer(request, before).await
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(handler);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { url, seen, task }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("whole").clone()
    }

    pub fn seen_at(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.path == path).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Back-off is over at once and moves the clock; other waits end when a test says so.
#[derive(Default)]
pub struct TestEnvironment {
    now: AtomicI64,
    random: AtomicU64,
    back_offs: Mutex<Vec<Duration>>,
    others: Mutex<Vec<(Wait, oneshot::Sender<()>)>>,
}

pub const START: i64 = 1_767_225_600_000;

impl TestEnvironment {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { now: AtomicI64::new(START), ..Self::default() })
    }

    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(i64::try_from(by.as_millis()).expect("fits"), Ordering::SeqCst);
    }

    pub fn back_offs(&self) -> Vec<Duration> {
        self.back_offs.lock().expect("whole").clone()
    }

    /// Ends the waits of this kind that are under way.
    pub fn expire(&self, what: Wait) {
        let mut others = self.others.lock().expect("whole");
        for (_, end) in others.extract_if(.., |(kind, _)| *kind == what) {
            drop(end);
        }
    }
}

impl Environment for TestEnvironment {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn random(&self) -> u64 {
        // SplitMix64: never the same twice.
        let mut mixed = self.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn wait(&self, what: Wait, duration: Duration) -> BoxFuture<'static, ()> {
        if what == Wait::BackOff {
            self.back_offs.lock().expect("whole").push(duration);
            self.advance(duration);
            return tokio::task::yield_now().boxed();
        }
        let (end, ended) = oneshot::channel();
        let mut others = self.others.lock().expect("whole");
        others.retain(|(_, end)| !end.is_closed());
        others.push((what, end));
        ended.map(drop).boxed()
    }
}

pub fn builder(server: &Server) -> (ClientBuilder, Arc<TestEnvironment>) {
    let environment = TestEnvironment::new();
    (Client::builder(&server.url).environment(environment.clone()), environment)
}

pub fn client(server: &Server) -> (Client, Arc<TestEnvironment>) {
    let (builder, environment) = builder(server);
    (builder.build().expect("a client"), environment)
}

pub fn answer(status: u16, content_type: &str, body: impl Into<Body>) -> Response {
    let response = Response::builder().status(status).header("content-type", content_type);
    response.header("request-id", "req_1").body(body.into()).expect("a response")
}

pub fn ok(body: &Value) -> Response {
    answer(200, "application/json", body.to_string())
}

pub fn problem(status: u16, code: &str) -> Response {
    let body = json!({ "type": "about:blank", "title": "No", "status": status, "code": code, "request_id": "req_1" });
    answer(status, "application/problem+json", body.to_string())
}

pub fn with(mut response: Response, name: &'static str, value: &str) -> Response {
    response.headers_mut().insert(name, value.parse().expect("a value"));
    response
}

/// A connection that breaks in the middle of the answer.
pub fn broken() -> Response {
    let pieces = [Ok("{\"half\":"), Err(std::io::Error::other("cut"))];
    answer(200, "application/json", Body::from_stream(futures::stream::iter(pieces)))
}

pub fn tokens(number: usize) -> Tokens {
    Tokens {
        access_token: format!("access-{number}"),
        refresh_token: format!("refresh-{number}"),
        token_type: TokenType::Bearer,
        expires_in: 600,
    }
}

pub fn tokens_json(number: usize) -> Value {
    serde_json::to_value(tokens(number)).expect("JSON")
}
