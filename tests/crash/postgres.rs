//! PostgreSQL restarts, cannot be reached, or does not answer.

use std::time::{Duration, Instant};

use plinth_tests::{Actor, Answer, Database, Kernel, PostgresDatabase, eventually};
use serde_json::json;

use crate::proxy::{Proxy, State};

async fn create(owner: &Actor, slug: &str) -> Answer {
    owner.post("organizations", &json!({ "name": "T", "slug": slug })).key(slug).send().await
}

/// Asks under the same key until it works; on the way only "not available" is said.
async fn create_in_the_end(owner: &Actor, slug: &str, within: Duration) {
    eventually(&format!("{slug} is made"), within, async || {
        let answer = create(owner, slug).await;
        match answer.status {
            201 => Some(()),
            // A claim that was committed just before the cut lasts until its lease ends; another key would be the same.
            409 => {
                answer.refused(409, "in_progress");
                None
            }
            _ => {
                answer.refused(503, "unavailable");
                None
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_restart_of_the_database_is_survived() {
    let kernel = Kernel::start_on(Database::Postgres);
    let owner = kernel.owner().await;
    for number in 0..3 {
        kernel.postgres().expect("PostgreSQL").cut_connections();
        create_in_the_end(&owner, &format!("after-{number}"), Duration::from_secs(10)).await;
    }
    kernel.client().operations().readiness().await.expect("ready");
    let list = owner.get("organizations").send().await.expect(200).json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(3));
}

/// Connections die under running requests: each is answered, with success or with 503, and the answers are true.
#[tokio::test]
async fn connections_that_die_under_load_fail_single_requests_only() {
    let kernel = Kernel::start_on(Database::Postgres);
    let owner = kernel.owner().await;
    let cutting = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(60)).await;
            kernel.postgres().expect("PostgreSQL").cut_connections();
        }
    };
    let write = |writer: usize| {
        let owner = &owner;
        async move {
            let mut made = Vec::new();
            for number in 0..25 {
                let slug = format!("w{writer}-n{number}");
                let answer = create(owner, &slug).await;
                match answer.status {
                    201 => made.push(slug),
                    503 => drop(answer.refused(503, "unavailable")),
                    other => panic!("{other}: {}", answer.text()),
                }
            }
            made
        }
    };
    let (made, ()) = tokio::join!(futures::future::join_all((0..8).map(write)), cutting);
    let acknowledged: Vec<String> = made.into_iter().flatten().collect();
    assert!(!acknowledged.is_empty());
    create_in_the_end(&owner, "the-last", Duration::from_secs(10)).await;
    let there = kernel.postgres().expect("PostgreSQL").query("select slug from organizations");
    let there: Vec<&str> = there.lines().collect();
    for slug in acknowledged {
        assert_eq!(there.iter().filter(|known| **known == slug).count(), 1, "{slug}");
    }
}

struct BehindProxy {
    proxy: Proxy,
    kernel: Kernel,
}

async fn behind_proxy() -> BehindProxy {
    let postgres = PostgresDatabase::create();
    let proxy = Proxy::start(postgres.server_address()).await;
    let url = postgres.url().replace(postgres.server_address(), &proxy.address().to_string());
    let setup = Kernel::setup().on_postgres(postgres).env("PLINTH_STORE__ACQUIRE_TIMEOUT_MS", "500");
    // Migrated on the straight way: the proxy is carried by this test's own thread, which waits for the command.
    setup.line(["migrate"]).run().expect(0);
    let setup = setup.env("PLINTH_STORE__URL", url).env("PLINTH_SERVER__REQUEST_TIMEOUT_SECONDS", "2");
    BehindProxy { proxy, kernel: setup.start_migrated() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_is_told_and_missed_no_longer_than_it_is() {
    let BehindProxy { proxy, kernel } = behind_proxy().await;
    let owner = kernel.owner().await;
    create(&owner, "before").await.expect(201);

    proxy.set(State::Cut).await;
    let began = Instant::now();
    create(&owner, "during").await.refused(503, "unavailable");
    owner.get("organizations").send().await.refused(503, "unavailable");
    kernel.get("/healthz").send().await.expect(200);
    let ready = kernel.get("/readyz").send().await.expect(503);
    assert_eq!(ready.json()["status"], "down");
    assert!(ready.header("retry-after").is_some());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    proxy.set(State::Open).await;
    create_in_the_end(&owner, "during", Duration::from_secs(10)).await;
    kernel.get("/readyz").send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_silent_keeps_nobody_longer_than_a_request_may_take() {
    let BehindProxy { proxy, mut kernel } = behind_proxy().await;
    let owner = kernel.owner().await;
    proxy.set(State::Silent).await;
    let began = Instant::now();
    let waiting: Vec<_> = (0..20).map(|number| format!("during-{number}")).collect();
    let answers = futures::future::join_all(waiting.iter().map(|slug| create(&owner, slug))).await;
    for answer in answers {
        assert_eq!(answer.status, 503, "{}", answer.text());
        answer.problem();
    }
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    kernel.get("/healthz").send().await.expect(200);

    proxy.set(State::Open).await;
    eventually("writes work again", Duration::from_secs(20), async || {
        (create(&owner, "after").await.status == 201).then_some(())
    })
    .await;
    assert_eq!(kernel.terminate().code(), Some(0), "and it stops as ever");
}
