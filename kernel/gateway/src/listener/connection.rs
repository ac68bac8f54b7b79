//! One connection from its first byte to its end.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, Request, Version, header::HeaderName};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, sleep},
};
use tower::Service;

use super::{
    ListenerConfig, OverTls, Peer,
    stall::{SentInTime, TakenInTime},
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// All heads a real client sends fit; a larger one is refused with 431.
const MAX_HEAD: usize = 64 * 1024;
/// One HTTP/2 client may have this much work in progress before it must wait for answers.
const MAX_STREAMS: u32 = 256;

/// What the server asks of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// Answer what has begun, then close.
    Finishing,
    /// Close now.
    Cut,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Done,
    /// Broken by the client, or not HTTP, or not TLS.
    Failed,
    /// The client was too slow.
    TimedOut,
    /// The drain was over.
    Cut,
}

/// What all connections of a listener share.
pub(super) struct Server {
    router: Router,
    http: auto::Builder<TokioExecutor>,
    header_timeout: Duration,
    stall_timeout: Duration,
    keep_alive: Option<HeaderValue>,
    phase: watch::Receiver<Phase>,
}

impl Server {
    pub fn new(router: Router, config: &ListenerConfig, phase: watch::Receiver<Phase>) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(config.header_timeout).max_buf_size(MAX_HEAD);
        http.http2()
            .timer(TokioTimer::new())
            // A peer that vanished without a word is found out by the missing pong.
            .keep_alive_interval(config.stall_timeout)
            .keep_alive_timeout(config.stall_timeout)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD as u32);
        let keep_alive = config.announce_idle.then(|| {
            HeaderValue::try_from(format!("timeout={}", config.header_timeout.as_secs()))
                .expect("digits are a header value")
        });
        Self {
            router,
            http,
            header_timeout: config.header_timeout,
            stall_timeout: config.stall_timeout,
            keep_alive,
            phase,
        }
    }

    /// Waits for a TLS handshake as long as a request head is waited for. A shutdown ends it: no request has begun.
    pub async fn handshake<I>(&self, accept: impl Future<Output = std::io::Result<I>>) -> Result<I, End> {
        let mut phase = self.phase.clone();
        tokio::select! {
            biased;
            result = tokio::time::timeout(self.header_timeout, accept) => match result {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "TLS handshake failed");
                    Err(End::Failed)
                }
                Err(_) => Err(End::TimedOut),
            },
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => Err(End::Done),
        }
    }

    /// Serves HTTP on `io` until either side is done with it.
    pub async fn serve<I>(&self, io: I, peer: SocketAddr, tls: bool) -> End
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::default());
        let io = TokioIo::new(TakenInTime::new(io, self.stall_timeout));
        let service = service_fn(|request| self.answer(request, peer, tls, &activity));
        let mut connection = pin!(self.http.serve_connection(io, service));
        let mut phase = self.phase.clone();
        // A connection accepted in the instant of a shutdown must hear of it too.
        phase.mark_changed();
        let mut watchdog = pin!(sleep(self.header_timeout));
        let mut requests_at_last_look = 0;
        let mut finishing = false;
        loop {
            tokio::select! {
                biased;
                result = connection.as_mut() => return end_of(result),
                changed = phase.changed() => match (changed, *phase.borrow_and_update()) {
                    (Ok(()), Phase::Serving) => {}
                    (Ok(()), Phase::Finishing) => {
                        finishing = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    (Ok(()), Phase::Cut) | (Err(_), _) => return End::Cut,
                },
                // HTTP/1 heads have a timer in hyper. This one covers what hyper does not: the bytes before the
                // protocol is known, an HTTP/2 client that never completes a request, and idle HTTP/2 connections.
                () = watchdog.as_mut() => {
                    let requests = activity.begun.load(Ordering::Relaxed);
                    if activity.open.load(Ordering::Relaxed) == 0 && requests == requests_at_last_look {
                        if requests == 0 || finishing {
                            return End::TimedOut;
                        }
                        finishing = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    requests_at_last_look = requests;
                    watchdog.as_mut().reset(Instant::now() + self.header_timeout);
                }
            }
        }
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        tls: bool,
        activity: &Arc<Activity>,
    ) -> impl Future<Output = Result<Response<Counted>, Infallible>> + Send + 'static {
        let open = activity.begin();
        let keep_alive = self.keep_alive.clone().filter(|_| request.version() == Version::HTTP_11);
        let limit = self.stall_timeout;
        let mut request = request.map(|body| SentInTime::new(body, limit));
        request.extensions_mut().insert(Peer(peer));
        if tls {
            request.extensions_mut().insert(OverTls);
        }
        let answer = self.router.clone().call(request);
        async move {
            let mut response = answer.await?;
            if let Some(value) = keep_alive {
                response.headers_mut().insert(KEEP_ALIVE, value);
            }
            Ok(response.map(|body| Counted { body, _open: open }))
        }
    }
}

fn end_of(result: Result<(), Box<dyn std::error::Error + Send + Sync>>) -> End {
    let Err(error) = result else { return End::Done };
    tracing::debug!(%error, "connection failed");
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
    while let Some(this) = cause {
        let slow = this.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout)
            || this.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut);
        if slow {
            return End::TimedOut;
        }
        cause = this.source();
    }
    End::Failed
}

/// Whether a connection is in use, without a look at the clock per request.
#[derive(Default)]
struct Activity {
    begun: AtomicU64,
    open: AtomicUsize,
}

impl Activity {
    fn begin(self: &Arc<Self>) -> Open {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }
}

/// A request that has not been answered to its last byte.
struct Open(Arc<Activity>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A response body that keeps its request open until it was sent or dropped.
struct Counted {
    body: Body,
    _open: Open,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
