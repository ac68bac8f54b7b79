//! Paths that climb, hide characters or name nothing.

use plinth_tests::Kernel;

use super::{not_http, raw};
use crate::operations::operations;

#[tokio::test]
async fn no_path_leads_to_a_file() {
    let kernel = Kernel::start();
    for path in [
        "/../../../../etc/passwd",
        "/docs/../../../../etc/passwd",
        "/docs/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/docs/..%2f..%2f..%2fetc%2fpasswd",
        "/docs/..\\..\\etc\\passwd",
        "/docs//etc/passwd",
        "//etc/passwd",
        "/etc/passwd",
        "/master.key",
        "/docs/master.key",
        "/api/v1/../../master.key",
        "/api/v1/dev/../../plinth.db",
        "/.git/config",
        "/docs/app.js/",
        "/docs/app.js%00.html",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        raw(&kernel, request).await.expect("answered").refused(404, "not_found");
    }
}

#[tokio::test]
async fn very_long_paths_are_refused() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    owner.get(&format!("/{}", "a".repeat(8_000))).send().await.refused(404, "not_found");
    owner.get(&format!("roles/{}", "a".repeat(8_000))).send().await.refused(404, "not_found");
    owner.get(&format!("/{}", "a/".repeat(4_000))).send().await.refused(404, "not_found");
    let query = owner.get(&format!("roles?q={}", "a".repeat(8_000))).send().await;
    assert!([200, 422].contains(&query.status), "{query:?}");
    not_http(&kernel, format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000))).await;
}

/// A malformed id is 404 like an unknown one, on every operation that takes one.
#[tokio::test]
async fn wrong_identifiers_are_not_found() {
    let kernel = Kernel::start();
    let operator = kernel.operator().await;
    let long = "a".repeat(3_000);
    let mut tried = 0;
    for operation in operations(&kernel).await {
        if operation.public || !operation.parameters.iter().any(|(_, prefix)| prefix.is_some()) {
            continue;
        }
        let prefix = operation.parameters.iter().rev().find_map(|(_, prefix)| prefix.clone()).expect("an id");
        for bad in [
            "x",
            "0",
            "-1",
            "null",
            "%20",
            "%00",
            "%ff%fe",
            "..%2f..",
            "'%20or%201=1%20--",
            "00000000-0000-0000-0000-000000000000",
            &format!("{prefix}_"),
            &format!("{prefix}_01jd3v7k2qf5e8m0s4w6y9b1c3x"),
            &format!("{prefix}_81jd3v7k2qf5e8m0s4w6y9b1c3"),
            &format!("{}_01jd3v7k2qf5e8m0s4w6y9b1c3", prefix.to_uppercase()),
            "xyz_01jd3v7k2qf5e8m0s4w6y9b1c3",
            &long,
        ] {
            let path = operation.filled(|_, prefix| if prefix.is_some() { bad.to_owned() } else { "x".to_owned() });
            let answer = operator.ask(&operation.method, &path).send().await;
            assert_eq!(answer.status, 404, "{} {path}: {}", operation.method, answer.text());
            answer.refused(404, "not_found");
            tried += 1;
        }
    }
    assert!(tried > 100, "only {tried} were tried");
}
