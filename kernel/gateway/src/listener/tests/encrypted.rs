use std::{path::Path, sync::Arc, time::Duration};

use axum::{Extension, Router, routing::get};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    super::{Error, Listener, OverTls, TlsFiles, tls::Certificates},
    ListenerConfig, REQUEST, Running, config, hello, read_until,
};

/// A folder with a certificate for `localhost`.
struct Identity {
    folder: TempDir,
}

impl Identity {
    fn new() -> (Self, CertificateDer<'static>) {
        let identity = Self { folder: TempDir::new().unwrap() };
        let cert = identity.renew();
        (identity, cert)
    }

    /// Replaces the certificate by a new one and returns that.
    fn renew(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(self.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(self.path("cert.pem"), made.cert.pem()).unwrap();
        made.cert.der().clone()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.folder.path()).join(name)
    }

    fn files(&self, reload_every: Duration) -> TlsFiles {
        TlsFiles { cert: self.path("cert.pem"), key: self.path("key.pem"), reload_every }
    }

    fn config(&self) -> ListenerConfig {
        ListenerConfig { tls: Some(self.files(Duration::from_millis(10))), ..config() }
    }
}

fn trusting(cert: &CertificateDer<'static>, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

async fn handshake(running: &Running, client: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, running.connect().await).await
}

#[tokio::test]
async fn speaks_http_1_and_2_over_tls_as_the_client_prefers() {
    let (identity, cert) = Identity::new();
    let handler = async |tls: Option<Extension<OverTls>>| if tls.is_some() { "secure" } else { "plain" };
    let running = Running::start(identity.config(), Router::new().route("/", get(handler))).await;
    for (alpn, version) in [("h2", http::Version::HTTP_2), ("http/1.1", http::Version::HTTP_11)] {
        let mut tls = trusting(&cert, &TLS13);
        tls.alpn_protocols = vec![alpn.into()];
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .resolve("localhost", running.address)
            .build()
            .unwrap();
        let url = format!("https://localhost:{}/", running.address.port());
        let response = client.get(url).send().await.unwrap();
        assert_eq!(response.version(), version);
        assert_eq!(response.text().await.unwrap(), "secure");
    }
    assert_eq!(running.stop().await.cut, 0);
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let (identity, cert) = Identity::new();
    let running = Running::start(identity.config(), hello()).await;
    let error = handshake(&running, trusting(&cert, &TLS12)).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    handshake(&running, trusting(&cert, &TLS13)).await.unwrap();
}

#[tokio::test]
async fn plain_http_on_a_tls_port_harms_nobody() {
    let (identity, cert) = Identity::new();
    let running = Running::start(identity.config(), hello()).await;
    let mut plain = running.connect().await;
    plain.write_all(REQUEST).await.unwrap();
    assert!(!read_until(&mut plain, "hello").await.contains("hello"));
    handshake(&running, trusting(&cert, &TLS13)).await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart() {
    let (identity, old) = Identity::new();
    let running = Running::start(identity.config(), hello()).await;
    let mut open = handshake(&running, trusting(&old, &TLS13)).await.unwrap();
    let new = identity.renew();
    let swapped = async {
        while handshake(&running, trusting(&new, &TLS13)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), swapped).await.expect("the files are looked at every 10 ms");
    assert!(handshake(&running, trusting(&old, &TLS13)).await.is_err());
    open.write_all(REQUEST).await.unwrap();
    assert!(read_until(&mut open, "hello").await.contains("hello"), "open connections go on");
}

#[tokio::test]
async fn a_broken_certificate_is_reported_once_and_not_used() {
    let (identity, _) = Identity::new();
    let certificates = Certificates::load(identity.files(Duration::from_mins(1))).await.unwrap();
    let used = |certificates: &Certificates| Arc::as_ptr(certificates.acceptor().config());
    let first = used(&certificates);
    assert!(!certificates.refresh().await.unwrap(), "nothing has changed");

    std::fs::write(identity.path("cert.pem"), "no certificate").unwrap();
    assert!(matches!(certificates.refresh().await, Err(Error::Pem { .. })));
    assert!(!certificates.refresh().await.unwrap(), "the same fault is no news");

    let (other, _) = Identity::new();
    std::fs::copy(other.path("cert.pem"), identity.path("cert.pem")).unwrap();
    assert!(matches!(certificates.refresh().await, Err(Error::Certificate { .. })), "not the key's certificate");

    std::fs::remove_file(identity.path("key.pem")).unwrap();
    assert!(matches!(certificates.refresh().await, Err(Error::Read { .. })));
    assert_eq!(used(&certificates), first);

    std::fs::copy(other.path("cert.pem"), identity.path("cert.pem")).unwrap();
    std::fs::copy(other.path("key.pem"), identity.path("key.pem")).unwrap();
    assert!(certificates.refresh().await.unwrap());
    assert_ne!(used(&certificates), first);
}

#[tokio::test]
async fn faults_in_the_files_show_at_start() {
    let (identity, _) = Identity::new();
    let never = ListenerConfig { tls: Some(identity.files(Duration::ZERO)), ..config() };
    assert!(matches!(Listener::bind(never).await.err().unwrap(), Error::NoReloadInterval));
    std::fs::write(identity.path("key.pem"), "-----BEGIN NOTHING-----").unwrap();
    assert!(matches!(
        Listener::bind(identity.config()).await.err().unwrap(),
        Error::Pem { wanted: "a private key", .. }
    ));
    std::fs::remove_file(identity.path("cert.pem")).unwrap();
    assert!(matches!(Listener::bind(identity.config()).await.err().unwrap(), Error::Read { .. }));
}
