//! The socket side of the edge: accepts connections, speaks TLS 1.3, HTTP/1.1 and HTTP/2, and hands requests to the router.
//!
//! Invariants:
//! * A client can hold a connection only while it makes progress: the TLS handshake, each request head, each piece of a
//!   request body and each piece of a response must move within a time limit, whatever protocol is spoken.
//! * No more than `max_connections` are open. Beyond that nothing is accepted, so the kernel's backlog is the queue.
//! * Running out of file descriptors pauses accepting; it never ends the server.
//! * A shutdown loses no answer that was on its way within `drain`, and ends after `drain` in any case.
//! * A certificate that cannot be used never replaces one that works.

mod accept;
mod connection;
mod stall;
mod tls;

#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::metrics::ConnectionMetrics;
use connection::{Phase, Server};
use tls::Certificates;

/// The address at the other end of the connection, in the extensions of every request. Behind a proxy it is the
/// proxy's: ask [`crate::address`] for the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// In the extensions of every request that arrived over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverTls;

/// How to listen.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    pub listen: SocketAddr,
    /// Plain HTTP when absent.
    pub tls: Option<TlsFiles>,
    /// Within this a TLS handshake must end, and a request head must be complete. It is also how long a connection may
    /// stay open without a request.
    pub header_timeout: Duration,
    /// How long a peer may send nothing of a request body that is being read, or take nothing of a response.
    pub stall_timeout: Duration,
    pub max_connections: usize,
    /// How long a shutdown waits for requests in progress.
    pub drain: Duration,
    /// Tells HTTP/1.1 clients in a `Keep-Alive` header how long an idle connection stays open, so that they do not send
    /// into a closing one.
    pub announce_idle: bool,
}

impl ListenerConfig {
    /// Plain HTTP on this address with limits that suit a public endpoint.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            header_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(30),
            max_connections: 10_000,
            drain: Duration::from_secs(30),
            announce_idle: true,
        }
    }
}

/// A certificate chain and its private key, both PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// How often the files are looked at for a new certificate.
    pub reload_every: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {listen}: stop what uses the address, or set another one")]
    Bind { listen: SocketAddr, source: io::Error },
    #[error("the limit of connections is 0: set it to 1 or more")]
    NoConnections,
    #[error("the interval of certificate checks is 0: set it to a second or more")]
    NoReloadInterval,
    #[error("cannot read {}: check that the file exists and that this user may read it", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not a PEM file with {wanted}: write one there", path.display())]
    Pem { path: PathBuf, wanted: &'static str },
    #[error("the certificate in {} cannot be used with the key in {}: check that they belong together", cert.display(), key.display())]
    Certificate { cert: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("accepting connections fails again and again: restart the server")]
    Accept(#[source] io::Error),
}

/// How a shutdown went, counted over the connections that were open when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Ended by themselves in time.
    pub finished: usize,
    /// Still busy at the deadline, and cut.
    pub cut: usize,
}

/// A bound socket, not yet served.
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    certificates: Option<Arc<Certificates>>,
    metrics: ConnectionMetrics,
    config: ListenerConfig,
}

impl Listener {
    /// Binds the address and loads the certificate, so that what is wrong with either shows at start.
    pub async fn bind(config: ListenerConfig) -> Result<Self, Error> {
        if config.max_connections == 0 {
            return Err(Error::NoConnections);
        }
        let certificates = match &config.tls {
            Some(files) if files.reload_every.is_zero() => return Err(Error::NoReloadInterval),
            Some(files) => Some(Arc::new(Certificates::load(files.clone()).await?)),
            None => None,
        };
        let failed = |source| Error::Bind { listen: config.listen, source };
        let socket = TcpListener::bind(config.listen).await.map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, local, certificates, metrics: ConnectionMetrics::default(), config })
    }

    /// Counts connections there instead of nowhere.
    #[must_use]
    pub fn observed_by(mut self, metrics: ConnectionMetrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// The address that was bound, with the real port when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves until `shutdown`, then drains.
    pub async fn serve(self, router: axum::Router, shutdown: CancellationToken) -> Result<Drained, Error> {
        let watching = self.certificates.as_ref().map(|certificates| {
            let certificates = Arc::clone(certificates);
            let until = shutdown.clone();
            tokio::spawn(async move { until.run_until_cancelled(certificates.watch()).await })
        });
        let (phase, watch_phase) = watch::channel(Phase::Serving);
        let accepting = accept::Accepting {
            // Tokio's semaphore has an upper bound of its own; nobody has that many sockets.
            permits: Arc::new(Semaphore::new(self.config.max_connections.min(Semaphore::MAX_PERMITS))),
            tasks: TaskTracker::new(),
            server: Arc::new(Server::new(router, &self.config, watch_phase)),
            certificates: self.certificates,
            metrics: self.metrics,
        };
        let end = accepting.run(&self.socket, &shutdown).await;
        // New clients are refused from here on, not left waiting in the backlog.
        drop(self.socket);
        let drained = drain(&accepting.tasks, &phase, self.config.drain).await;
        if let Some(task) = watching {
            task.abort();
        }
        end.map(|()| drained)
    }
}

async fn drain(tasks: &TaskTracker, phase: &watch::Sender<Phase>, patience: Duration) -> Drained {
    let open = tasks.len();
    tasks.close();
    phase.send_replace(Phase::Finishing);
    if tokio::time::timeout(patience, tasks.wait()).await.is_ok() {
        return Drained { finished: open, cut: 0 };
    }
    let cut = tasks.len();
    tracing::warn!(connections = cut, "cutting connections that are still busy at the end of the drain");
    phase.send_replace(Phase::Cut);
    tasks.wait().await;
    Drained { finished: open.saturating_sub(cut), cut }
}
