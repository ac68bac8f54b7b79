//! HTTPS: the certificate is checked, and an authority of one's own can be trusted.

use std::sync::Arc;

use http::Method;
use plinth_client::{Client, Error};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{TlsAcceptor, rustls};

/// Answers every request with a number; gives its address and its certificate.
async fn server() -> (String, String) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            // A client that does not trust the certificate hangs up.
            let Ok(mut connection) = acceptor.accept(socket).await else { continue };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(connection.read_u8().await.expect("a request"));
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n7";
            connection.write_all(answer).await.expect("sent");
            connection.shutdown().await.expect("closed");
        }
    });
    (url, own.cert.pem())
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named_and_only_then() {
    let (url, pem) = server().await;
    let client = Client::builder(&url).root_certificates(pem).build().expect("a client");
    assert_eq!(client.request(Method::GET, "me").send::<Value>().await.expect("trusted").body, json!(7));

    let (_, other) = server().await;
    let stranger = Client::builder(&url).root_certificates(other).retries(0).build().expect("a client");
    let error = stranger.request(Method::GET, "me").send::<Value>().await.expect_err("not trusted");
    assert!(matches!(error, Error::Transport { .. }), "{error:?}");
}

#[test]
fn what_is_no_certificate_is_refused() {
    let pem = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let error = Client::builder("https://localhost").root_certificates(pem).build().expect_err("no certificate");
    assert!(matches!(error, Error::Setup { .. }), "{error:?}");
}
