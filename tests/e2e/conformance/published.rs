//! What the kernel says about itself: documentation, keys, health.

use plinth_api::operations::HealthStatus;
use plinth_tests::{Database, Kernel};
use serde_json::Value;

#[tokio::test]
async fn the_description_is_the_committed_one() {
    let kernel = Kernel::setup().without_dev().start();
    let served = kernel.get("openapi.json").send().await.expect(200).json();
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/openapi.json"));
    let committed: Value = serde_json::from_str(&committed.expect("sdk/openapi.json is there")).expect("JSON");
    assert_eq!(paths(&served), paths(&committed), "run cargo xtask gen");
    assert!(served == committed, "the same paths, described differently: run cargo xtask gen");
    assert_eq!(kernel.line(["gen", "openapi"]).run().expect(0).json(), served, "the command prints what is served");
}

fn paths(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().expect("methods").keys().map(move |method| format!("{method} {path}"))
    });
    operations.collect()
}

#[tokio::test]
async fn the_documentation_is_whole_and_allows_nothing_from_elsewhere() {
    let kernel = Kernel::start();
    let page = kernel.get("/docs").send().await.expect(200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    let policy = page.header("content-security-policy").expect("a policy");
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let text = page.text();
    let links: Vec<&str> = text.split('"').filter(|part| part.starts_with("/docs/")).collect();
    assert!(links.len() >= 2, "{text}");
    for link in links {
        kernel.get(link).send().await.expect(200);
    }
    let closed = Kernel::setup().env("PLINTH_SERVER__DOCS", "false").start();
    closed.get("/docs").send().await.refused(404, "not_found");
}

#[tokio::test]
async fn the_keys_that_verify_tokens_are_published() {
    let kernel = Kernel::start();
    let jwks = kernel.client().auth().jwks().await.expect("published").body.keys;
    assert!(!jwks.is_empty());
    for key in &jwks {
        assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&"OKP".into(), &"Ed25519".into(), &"EdDSA".into()));
        assert!(key["d"].is_null(), "the private half stays here");
    }
}

#[tokio::test]
async fn health_and_readiness_tell_the_database_apart_from_the_process() {
    for database in [Database::Sqlite, Database::Postgres] {
        let kernel = Kernel::start_on(database);
        let health = kernel.client().operations().health().await.expect("alive").body;
        assert_eq!((health.status, health.version.as_str()), (HealthStatus::Ok, env!("CARGO_PKG_VERSION")));
        let ready = kernel.client().operations().readiness().await.expect("ready").body;
        assert!(ready.checks.iter().any(|check| check.name == "database" && check.ok), "{ready:?}");
    }
}
