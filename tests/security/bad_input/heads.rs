//! Request lines and headers that are broken, forged or far too many.

use plinth_tests::Kernel;

use super::{not_http, raw};

fn get(headers: &str) -> String {
    format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n")
}

#[tokio::test]
async fn what_is_no_http_ends_the_connection() {
    let kernel = Kernel::start();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello from tls"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00\x00\x00\x00\x00\x00\x00\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET /heal thz HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nbad header: y\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n: no name\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nname: nul\x00nul\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nfolded: a\r\n b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\nab",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        not_http(&kernel, bytes).await;
    }
    let long_method = format!("{} / HTTP/1.1\r\nhost: x\r\n\r\n", "X".repeat(100_000));
    not_http(&kernel, long_method).await;
}

#[tokio::test]
async fn heads_are_bounded_in_size_and_number() {
    let kernel = Kernel::start();
    let lines = |count: usize, value: &str| {
        (0..count).fold(String::new(), |all, number| all + &format!("x-{number}: {value}\r\n"))
    };
    let cookies = format!("cookie: {}\r\n", "a=b; ".repeat(30_000));
    for headers in [lines(5000, "y"), format!("x: {}\r\n", "y".repeat(200_000)), cookies] {
        not_http(&kernel, get(&headers)).await;
    }
    // What a real client sends is far below.
    raw(&kernel, get(&lines(60, &"y".repeat(100)))).await.expect("answered").expect(200);
    not_http(&kernel, "GET /healthz HTTP/1.1\r\n".to_owned() + &"x".repeat(1 << 20)).await;
}

#[tokio::test]
async fn a_header_that_is_there_twice_is_no_way_around_a_check() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let good = format!("Bearer {}", owner.access());
    // Either the first or none counts, but never the better one of two.
    let first_bad =
        kernel.get("me").header("authorization", "Bearer nonsense").header("authorization", &good).send().await;
    first_bad.refused(401, "token_invalid");
    let body = r#"{"name":"A","slug":"aaa"}"#;
    let wrong_type_first =
        owner.ask("POST", "organizations").header("content-type", "text/plain").body("application/json", body);
    wrong_type_first.send().await.refused(415, "unsupported_media_type");
    let keys = owner.ask("POST", "organizations").body("application/json", body).key("one").key("two");
    assert!(keys.send().await.status < 500);
    let forwarded = kernel.get("/healthz").header("x-forwarded-for", "1.2.3.4").header("x-forwarded-for", "' or 1=1");
    forwarded.send().await.expect(200);
}

/// One connection, one answer for each request: what one side takes for a body must not be a request for the other.
#[tokio::test]
async fn requests_cannot_be_smuggled() {
    let kernel = Kernel::start();
    let smuggled = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
    let length = smuggled.len() + 5;
    let ambiguous = [
        format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n0\r\n\r\n{smuggled}"
        ),
    ];
    for request in ambiguous {
        let mut wire = kernel.wire().await;
        wire.send(&request).await;
        let first = wire.answer().await;
        assert!(first.as_ref().is_none_or(|answer| (400..500).contains(&answer.status)), "{request}\n{first:?}");
        let second = if first.is_some() { wire.answer().await } else { None };
        assert!(second.is_none_or(|answer| answer.status != 200), "answered as a request of its own:\n{request}");
    }
}

#[tokio::test]
async fn old_and_odd_but_legal_requests_are_answered() {
    let kernel = Kernel::start();
    raw(&kernel, "GET /healthz HTTP/1.0\r\n\r\n").await.expect("answered").expect(200);
    raw(&kernel, format!("GET {}/healthz HTTP/1.1\r\nhost: x\r\n\r\n", kernel.url()))
        .await
        .expect("answered")
        .expect(200);
    raw(&kernel, "get /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("answered")
        .refused(405, "method_not_allowed");
    raw(&kernel, "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .inspect(|answer| assert!(answer.status < 500, "{answer:?}"));
    raw(&kernel, "TRACE /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("answered")
        .refused(405, "method_not_allowed");
    let tunnel = raw(&kernel, "CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(tunnel.is_none_or(|answer| (400..500).contains(&answer.status)), "the kernel is no proxy");
    // Pipelined requests are answered in order.
    let mut wire = kernel.wire().await;
    wire.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nhost: x\r\n\r\nGET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    for status in [200, 404, 200] {
        wire.answer().await.expect("answered").expect(status);
    }
}
