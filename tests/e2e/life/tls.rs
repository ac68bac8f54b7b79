//! HTTPS with a certificate of one's own.

use plinth_client::Client;
use plinth_tests::Kernel;

#[tokio::test]
async fn a_kernel_with_a_certificate_speaks_https_only() {
    let setup = Kernel::setup();
    let authority = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (cert, key) = (setup.folder().join("cert.pem"), setup.folder().join("key.pem"));
    std::fs::write(&cert, authority.cert.pem()).expect("written");
    std::fs::write(&key, authority.signing_key.serialize_pem()).expect("written");
    let setup = setup.env("PLINTH_SERVER__TLS__CERT", cert.display().to_string());
    let setup = setup.env("PLINTH_SERVER__HEADER_TIMEOUT_SECONDS", "1");
    let mut kernel = setup.env("PLINTH_SERVER__TLS__KEY", key.display().to_string()).start();
    assert!(kernel.url().starts_with("https://"), "{}", kernel.url());

    let client = Client::builder(kernel.url()).root_certificates(authority.cert.pem()).build().expect("a client");
    client.operations().readiness().await.expect("ready over TLS");
    let stranger = Client::builder(kernel.url()).retries(0).build().expect("a client");
    stranger.operations().health().await.expect_err("nobody vouches for the certificate");
    let mut wire = kernel.wire().await;
    wire.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(wire.answer().await.is_none_or(|answer| answer.status >= 400), "no plain HTTP on this port");
    assert_eq!(kernel.terminate().code(), Some(0));
}

#[tokio::test]
async fn a_broken_certificate_stops_the_start_and_names_the_file() {
    let setup = Kernel::setup();
    let (cert, key) = (setup.folder().join("cert.pem"), setup.folder().join("key.pem"));
    std::fs::write(&cert, "no certificate").expect("written");
    let setup = setup.env("PLINTH_SERVER__TLS__CERT", cert.display().to_string());
    let setup = setup.env("PLINTH_SERVER__TLS__KEY", key.display().to_string());
    let output = setup.line(["serve", "--listen", "127.0.0.1:0"]).run();
    assert_ne!(output.code, 0);
    assert!(output.stderr.contains("cert.pem") || output.stderr.contains("key.pem"), "{}", output.stderr);
    // Only one of the two is a contradiction in the configuration.
    let alone = Kernel::setup().env("PLINTH_SERVER__TLS__CERT", cert.display().to_string());
    alone.line(["serve", "--listen", "127.0.0.1:0"]).run().expect(3).says(&["server.tls.key", "fix:"]);
}
