//! What the edge adds to every answer, and what it answers by itself.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use plinth_tests::{Answer, Kernel};
use serde_json::json;

#[tokio::test]
async fn every_answer_has_an_id_and_the_headers_that_protect_browsers() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let answers = [
        kernel.get("/healthz").send().await,
        owner.get("me").send().await,
        kernel.get("me").send().await,
        kernel.get("/nowhere").send().await,
        kernel.ask("DELETE", "/healthz").send().await,
        kernel.post("auth/login", &json!({ "nonsense": 1 })).send().await,
    ];
    let mut ids = Vec::new();
    for answer in &answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{answer:?}");
        }
        ids.push(answer.header("request-id").expect("an id").to_owned());
        assert!(answer.header("ratelimit").is_some() && answer.header("ratelimit-policy").is_some(), "{answer:?}");
        assert_eq!(answer.header("server"), None, "what runs here is nobody's business");
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), answers.len());
    assert_eq!(answers[1].header("cache-control"), Some("no-store"), "answers about people are not kept by proxies");
}

#[tokio::test]
async fn cross_origin_requests_are_allowed_where_configured() {
    let kernel = Kernel::setup().env("PLINTH_SERVER__CORS__ORIGINS", r#"["https://shop.example"]"#).start();
    let preflight = async |origin: &str| {
        let ask = kernel.ask("OPTIONS", "api-keys").header("origin", origin);
        let ask = ask.header("access-control-request-method", "POST");
        ask.header("access-control-request-headers", "authorization,content-type,idempotency-key").send().await
    };
    let listed = |answer: &Answer, name: &str| answer.header(name).unwrap_or_default().to_ascii_lowercase();
    let allowed = preflight("https://shop.example").await.expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://shop.example"));
    assert!(listed(&allowed, "access-control-allow-methods").contains("post"));
    for header in ["authorization", "content-type", "idempotency-key", "if-match", "plinth-tenant"] {
        assert!(listed(&allowed, "access-control-allow-headers").contains(header), "{header}");
    }
    assert_eq!(allowed.header("access-control-max-age"), Some("600"));
    let refused = preflight("https://evil.example").await;
    assert_eq!(refused.header("access-control-allow-origin"), None);

    let answer = kernel.get("me").header("origin", "https://shop.example").send().await.expect(401);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"), "errors can be read too");
    for header in ["request-id", "plinth-position", "ratelimit", "etag", "retry-after"] {
        assert!(listed(&answer, "access-control-expose-headers").contains(header), "{header}");
    }
    assert!(listed(&answer, "vary").contains("origin"));

    let closed = Kernel::start();
    let answer = closed.get("me").header("origin", "https://shop.example").send().await;
    assert_eq!(answer.header("access-control-allow-origin"), None, "no origin is allowed by default");
}

#[tokio::test]
async fn large_answers_are_compressed_when_the_client_can_read_it() {
    let kernel = Kernel::start();
    let plain = kernel.get("openapi.json").send().await.expect(200);
    assert_eq!(plain.header("content-encoding"), None);
    let packed = kernel.get("openapi.json").header("accept-encoding", "gzip").send().await.expect(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.header("vary").unwrap_or_default().to_ascii_lowercase().contains("accept-encoding"));
    assert!(packed.body.len() * 3 < plain.body.len(), "{} of {}", packed.body.len(), plain.body.len());
    assert_eq!(unpack(packed.body), plain.body);
    let small = kernel.get("/healthz").header("accept-encoding", "gzip").send().await.expect(200);
    assert_eq!(small.header("content-encoding"), None);
}

fn unpack(packed: Vec<u8>) -> Vec<u8> {
    let mut gzip =
        Command::new("gzip").args(["-dc"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip");
    let mut stdin = gzip.stdin.take().expect("piped");
    let writing = std::thread::spawn(move || stdin.write_all(&packed));
    let output = gzip.wait_with_output().expect("gzip ends");
    writing.join().expect("written").expect("gzip reads");
    assert!(output.status.success());
    output.stdout
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let mut wire = kernel.wire().await;
    for path in ["/healthz", "me", "openapi.json", "/docs", "/.well-known/jwks.json"] {
        let get = owner.get(path).on(&mut wire).await.expect("answered").expect(200);
        let head = owner.ask("HEAD", path).on(&mut wire).await.expect("answered").expect(200);
        for name in ["content-type", "etag", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{path}");
        }
    }
    kernel.ask("HEAD", "/nowhere").on(&mut wire).await.expect("answered").expect(404);
    kernel.ask("HEAD", "me").on(&mut wire).await.expect("answered").expect(401);
    assert!(wire.is_usable().await, "no answer to HEAD had a body");
}

#[tokio::test]
async fn another_method_is_told_which_ones_there_are() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    for (method, path, allowed) in [
        ("DELETE", "/healthz", &["GET", "HEAD"][..]),
        ("GET", "auth/login", &["POST"]),
        ("PUT", "api-keys", &["GET", "HEAD", "POST"]),
        ("PATCH", "auth/register", &["POST"]),
    ] {
        let answer = owner.ask(method, path).send().await;
        let allow = answer.header("allow").expect("Allow").to_owned();
        let mut named: Vec<&str> = allow.split(',').map(str::trim).collect();
        named.sort_unstable();
        assert_eq!(named, allowed, "{method} {path}");
        answer.refused(405, "method_not_allowed");
    }
    owner.ask("BREW", "/healthz").send().await.refused(405, "method_not_allowed");
    kernel.get("nothing-like-this").send().await.refused(404, "not_found");
}

#[tokio::test]
async fn without_development_mode_nobody_reads_mail_or_moves_time() {
    let kernel = Kernel::setup().without_dev().start();
    kernel.get("dev/outbox").send().await.refused(404, "not_found");
    kernel.post("dev/clock", &json!({ "advance_seconds": 1 })).send().await.refused(404, "not_found");
}
