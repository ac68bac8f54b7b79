//! The accept loop. It survives everything a client or a full descriptor table can do to it.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Error,
    connection::{End, Server},
    tls::Certificates,
};
use crate::metrics::{ConnectionEnd, ConnectionMetrics};

/// How long to leave the system alone when it has no descriptor or buffer for another connection.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
/// So many failures in a row, none of them a lack of resources, mean that the socket itself is broken.
const HOPELESS: u32 = 100;

/// Where connections come from; a test puts failures in front of a real socket.
pub(super) trait Source {
    fn next(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Source for TcpListener {
    fn next(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        self.accept()
    }
}

pub(super) struct Accepting {
    pub permits: Arc<Semaphore>,
    pub tasks: TaskTracker,
    pub server: Arc<Server>,
    pub certificates: Option<Arc<Certificates>>,
    pub metrics: ConnectionMetrics,
}

impl Accepting {
    /// Accepts until `shutdown`. Every connection is a task of `tasks` that holds one of `permits`.
    pub async fn run(&self, source: &impl Source, shutdown: &CancellationToken) -> Result<(), Error> {
        match shutdown.run_until_cancelled(self.accept_all(source)).await {
            None => Ok(()),
            Some(broken) => Err(broken),
        }
    }

    /// Returns only when accepting has become hopeless.
    async fn accept_all(&self, source: &impl Source) -> Error {
        let mut failures = 0;
        loop {
            // The permit comes first: a connection that is not accepted costs this process nothing.
            let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
            let error = match source.next().await {
                Ok((stream, peer)) => {
                    failures = 0;
                    self.start(stream, peer, permit);
                    continue;
                }
                Err(error) => error,
            };
            match cause(&error) {
                Cause::Client => {}
                Cause::Exhausted => {
                    tracing::error!(%error, "cannot accept connections for lack of resources, pausing: raise the limit of open files or lower the limit of connections");
                    tokio::time::sleep(PAUSE).await;
                }
                Cause::Other => {
                    failures += 1;
                    tracing::error!(%error, failures, "cannot accept a connection");
                    if failures >= HOPELESS {
                        return Error::Accept(error);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, permit: tokio::sync::OwnedSemaphorePermit) {
        // Answers are written whole; waiting to fill a packet only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "the connection was gone before it was served");
            return;
        }
        let server = Arc::clone(&self.server);
        let acceptor = self.certificates.as_ref().map(|certificates| certificates.acceptor());
        let opened = self.metrics.opened();
        self.tasks.spawn(async move {
            let end = match acceptor {
                None => server.serve(stream, peer, false).await,
                Some(acceptor) => match server.handshake(acceptor.accept(stream)).await {
                    Ok(encrypted) => server.serve(encrypted, peer, true).await,
                    Err(end) => end,
                },
            };
            tracing::debug!(%peer, end = ?end, "connection ended");
            opened.ended(match end {
                End::Done => ConnectionEnd::Done,
                End::Failed => ConnectionEnd::Failed,
                End::TimedOut => ConnectionEnd::TimedOut,
                End::Cut => ConnectionEnd::Cut,
            });
            drop(permit);
        });
    }
}

enum Cause {
    /// The client gave up between its arrival and our accept.
    Client,
    /// No descriptor or memory; passes when connections end.
    Exhausted,
    Other,
}

fn cause(error: &io::Error) -> Cause {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, OutOfMemory};
    // ENFILE, EMFILE and ENOBUFS have no kind of their own in std; the numbers are Linux's, and ENOBUFS differs on BSD.
    const EXHAUSTED: [i32; 4] = [23, 24, 55, 105];
    match error.kind() {
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted => Cause::Client,
        OutOfMemory => Cause::Exhausted,
        _ if error.raw_os_error().is_some_and(|code| EXHAUSTED.contains(&code)) => Cause::Exhausted,
        _ => Cause::Other,
    }
}
