//! Whether somebody has an account is nobody's business: answers and times are alike.

use std::time::{Duration, Instant};

use futures::future::join_all;
use plinth_tests::{Answer, Kernel, on_both_databases};
use serde_json::{Value, json};

/// How many of each, a few at a time so that nothing stands out by running alone.
const TRIES: usize = 30;
const AT_ONCE: usize = 6;

on_both_databases!(login_does_not_tell, mails_do_not_tell);

/// As in production: the hash is what takes the time.
fn production_hashes(kernel: &mut Kernel) {
    kernel.set_env("PLINTH_IDENTITY__ARGON2_MEMORY_KIB", "19456");
    kernel.set_env("PLINTH_IDENTITY__ARGON2_ITERATIONS", "2");
    kernel.set_env("PLINTH_IDENTITY__LOCKOUT_ATTEMPTS", "10000");
    kernel.restart();
}

async fn login_does_not_tell(mut kernel: Kernel) {
    production_hashes(&mut kernel);
    let owner = kernel.owner().await;
    let body = |email: &str| json!({ "email": email, "password": "a wrong password" });
    // One at a time: hashes queue for the processors, and the queue would hide the difference.
    compare(&kernel, "auth/login", &body(&owner.email), &body("nobody@example.com"), 401, 1).await;
}

async fn mails_do_not_tell(kernel: Kernel) {
    let owner = kernel.owner().await;
    let body = |email: &str| json!({ "email": email });
    for path in ["auth/password/forgot", "auth/magic-link"] {
        compare(&kernel, path, &body(&owner.email), &body("nobody@example.com"), 202, AT_ONCE).await;
    }
    let to_nobody = kernel.outbox().await.into_iter().any(|mail| mail.to == "nobody@example.com");
    assert!(!to_nobody, "a stranger gets no mail");
}

async fn compare(kernel: &Kernel, path: &str, known: &Value, unknown: &Value, status: u16, at_once: usize) {
    let ask = async |body: &Value| {
        let ask = kernel.post(path, body);
        let began = Instant::now();
        let answer = ask.send().await;
        (answer, began.elapsed())
    };
    // The first requests warm connections and caches.
    ask(known).await;
    ask(unknown).await;
    let (mut of_known, mut of_unknown) = (Vec::new(), Vec::new());
    while of_known.len() < TRIES {
        let pairs = join_all((0..at_once).map(|_| async { (ask(known).await, ask(unknown).await) })).await;
        for ((one, time_one), (other, time_other)) in pairs {
            assert_eq!(one.status, status, "{}", one.text());
            assert_eq!(look(&one), look(&other), "{path}");
            of_known.push(time_one);
            of_unknown.push(time_other);
        }
    }
    let (one, other) = (median(of_known), median(of_unknown));
    let ratio = one.as_secs_f64() / other.as_secs_f64();
    assert!((0.5..2.0).contains(&ratio), "{path}: {one:?} for an account, {other:?} for none");
}

/// Everything of an answer that does not differ from request to request anyway.
fn look(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| !["request-id", "date", "ratelimit", "ratelimit-policy"].contains(&name.as_str()));
    let id = answer.header("request-id").unwrap_or("none");
    (answer.status, headers, answer.text().replace(id, ""))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn a_locked_account_and_a_wrong_code_look_like_a_wrong_password() {
    let kernel = Kernel::setup().env("PLINTH_IDENTITY__LOCKOUT_ATTEMPTS", "2").start();
    let owner = kernel.owner().await;
    let login = async |email: &str, password: &str| {
        kernel.post("auth/login", &json!({ "email": email, "password": password })).send().await
    };
    let nobody = login("nobody@example.com", "a wrong password").await;
    let wrong = login(&owner.email, "a wrong password").await;
    login(&owner.email, "a wrong password").await;
    let locked = login(&owner.email, plinth_tests::PASSWORD).await;
    assert_eq!(look(&wrong), look(&nobody));
    assert_eq!(look(&locked), look(&nobody));
}
