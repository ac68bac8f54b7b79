//! Numbers for Prometheus.

use std::collections::BTreeMap;

use plinth_tests::Kernel;

#[tokio::test]
async fn metrics_can_be_read_and_count_what_happens() {
    let kernel = Kernel::start();
    let owner = kernel.owner().await;
    let before = samples(&kernel).await;
    for _ in 0..3 {
        owner.get("me").send().await.expect(200);
    }
    kernel.get("me").send().await.expect(401);
    kernel.get("/no/such/path").send().await.expect(404);
    let after = samples(&kernel).await;
    let grew = |series: &str| (after.get(series).unwrap_or(&0.0) - before.get(series).unwrap_or(&0.0)) as u64;
    let total = |route: &str, status: &str| {
        grew(&format!(r#"plinth_http_requests_total{{method="GET",route="{route}",status="{status}"}}"#))
    };
    assert_eq!(total("/api/v1/me", "2xx"), 3);
    assert_eq!(total("/api/v1/me", "4xx"), 1);
    assert_eq!(
        total("unmatched", "4xx"),
        1,
        "paths that do not exist are one series, or anybody could fill the memory"
    );
    assert_eq!(grew(r#"plinth_http_request_duration_seconds_count{route="/api/v1/me"}"#), 4);
    assert!(after.keys().any(|series| series.starts_with("plinth_build_info{version=")));
    assert!(after.keys().all(|series| series.starts_with("plinth_") || series.starts_with("process_")), "{after:?}");
}

/// Every series and its value; a line that is none fails the test.
async fn samples(kernel: &Kernel) -> BTreeMap<String, f64> {
    let answer = kernel.get("/metrics").send().await.expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    let mut found = BTreeMap::new();
    let mut announced = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            if let Some(kind) = comment.strip_prefix("TYPE ") {
                announced.push(kind.split(' ').next().expect("a name").to_owned());
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line:?}"));
        let name = series.split('{').next().expect("a name");
        let family = |known: &String| {
            name == known || ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end) == Some(known))
        };
        assert!(announced.iter().any(family), "{name} has no # TYPE");
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line:?}"));
        assert!(found.insert(series.to_owned(), value).is_none(), "told twice: {series}");
    }
    found
}
