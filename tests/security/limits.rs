//! Guessing and flooding come to an end.

use std::time::Duration;

use plinth_tests::{Answer, Kernel, PASSWORD};
use serde_json::json;

/// The numbers of `"name";r=2;t=7` or `"name";q=10;w=60`.
fn numbers(answer: &Answer, header: &str, name: &str) -> (u64, u64) {
    let text = answer.header(header).unwrap_or_else(|| panic!("{header} is missing: {answer:?}"));
    let rest = text.strip_prefix(&format!("\"{name}\";")).unwrap_or_else(|| panic!("{header}: {text}"));
    let mut values = rest.split(';').filter_map(|pair| pair.split_once('=')?.1.parse().ok());
    (values.next().expect("a number"), values.next().expect("a number"))
}

#[tokio::test]
async fn an_account_is_locked_after_too_many_guesses_and_opens_again() {
    let kernel = Kernel::setup().env("PLINTH_IDENTITY__LOCKOUT_ATTEMPTS", "3").start();
    let owner = kernel.owner().await;
    let login = async |password: &str| {
        kernel.post("auth/login", &json!({ "email": owner.email, "password": password })).send().await.status
    };
    for _ in 0..2 {
        assert_eq!(login("a wrong password").await, 401);
    }
    assert_eq!(login(PASSWORD).await, 200, "two are not too many");
    for _ in 0..3 {
        assert_eq!(login("a wrong password").await, 401);
    }
    assert_eq!(login(PASSWORD).await, 401, "locked");
    kernel.mail(&owner.email, "account_locked").await;
    owner.get("me").send().await.expect(200);
    kernel.advance(Duration::from_mins(14)).await;
    assert_eq!(login(PASSWORD).await, 401, "still locked");
    kernel.advance(Duration::from_mins(2)).await;
    assert_eq!(login(PASSWORD).await, 200);
}

/// Guesses at the same moment are counted like guesses one after the other.
#[tokio::test]
async fn guesses_at_the_same_moment_are_all_counted() {
    let kernel = Kernel::setup().env("PLINTH_IDENTITY__LOCKOUT_ATTEMPTS", "5").start();
    let owner = kernel.owner().await;
    let guess = json!({ "email": owner.email, "password": "a wrong password" });
    let answers = futures::future::join_all((0..20).map(|_| kernel.post("auth/login", &guess).send())).await;
    assert!(answers.iter().all(|answer| answer.status == 401));
    let right = json!({ "email": owner.email, "password": PASSWORD });
    kernel.post("auth/login", &right).send().await.refused(401, "invalid_credentials");
}

/// Hashing is slow and large on purpose. So many at once as are configured cost that much memory, however many ask and
/// whichever threads did the work before.
#[tokio::test]
async fn a_burst_of_sign_ins_costs_a_known_amount_of_memory() {
    const HASH_KIB: u64 = 19 * 1024;
    const AT_ONCE: u64 = 2;
    let kernel = Kernel::setup()
        .env("PLINTH_IDENTITY__ARGON2_MEMORY_KIB", HASH_KIB.to_string())
        .env("PLINTH_IDENTITY__PASSWORD_HASH_THREADS", AT_ONCE.to_string())
        .start();
    let resident_kib = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", kernel.pid())).expect("the kernel runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory is known");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let owner = kernel.owner().await;
    let login = json!({ "email": owner.email, "password": PASSWORD });
    let before = resident_kib();
    for _ in 0..6 {
        futures::future::join_all((0..24).map(|_| kernel.post("auth/login", &login).send())).await;
    }
    let (after, bound) = (resident_kib(), before + AT_ONCE * HASH_KIB + 64 * 1024);
    assert!(after <= bound, "from {before} to {after} KiB, which is more than {bound}");
}

#[tokio::test]
async fn an_address_gets_so_many_requests_and_is_told_when_to_come_back() {
    let kernel =
        Kernel::setup().env("PLINTH_LIMITS__ADDRESS_PER_MINUTE", "60").env("PLINTH_LIMITS__ADDRESS_BURST", "5").start();
    for left in (0..5).rev() {
        let answer = kernel.get("me").send().await.expect(401);
        assert_eq!(numbers(&answer, "ratelimit", "address").0, left);
        assert_eq!(
            numbers(&answer, "ratelimit-policy", "address"),
            (5, 5),
            "five, which take five seconds to come back"
        );
    }
    let refused = kernel.get("me").send().await;
    let seconds: u64 = refused.header("retry-after").expect("Retry-After").parse().expect("a number");
    assert!((1..=2).contains(&seconds), "{seconds}");
    refused.refused(429, "rate_limited");
    // The answer is true: after that time it works, and before it does not. The clock moves the limits as well.
    let others = [kernel.get("/healthz"), kernel.get("/no/such/path"), kernel.get("me").token("plk_x")];
    for ask in others {
        ask.send().await.refused(429, "rate_limited");
    }
}

#[tokio::test]
async fn sign_in_has_a_limit_of_its_own() {
    let kernel =
        Kernel::setup().env("PLINTH_LIMITS__SIGN_IN_PER_MINUTE", "1").env("PLINTH_LIMITS__SIGN_IN_BURST", "3").start();
    let guess =
        |path: &str| kernel.post(path, &json!({ "email": "a@example.com", "password": "a wrong password" })).send();
    for _ in 0..3 {
        assert_eq!(guess("auth/login").await.status, 401);
    }
    for path in [
        "auth/login",
        "auth/register",
        "auth/password/forgot",
        "auth/password/reset",
        "auth/magic-link",
        "auth/magic-link/redeem",
        "auth/verify-email",
        "invitations/accept",
    ] {
        let refused = guess(path).await;
        assert_eq!(numbers(&refused, "ratelimit", "sign_in").0, 0, "{path}");
        refused.refused(429, "rate_limited");
    }
    kernel.get("me").send().await.refused(401, "authentication_needed");
    kernel.advance(Duration::from_mins(1)).await;
    assert_eq!(guess("auth/login").await.status, 401);
    guess("auth/login").await.refused(429, "rate_limited");
}

#[tokio::test]
async fn each_key_has_its_share_and_the_tenant_one_for_all() {
    let kernel = Kernel::setup()
        .env("PLINTH_LIMITS__KEY_PER_MINUTE", "1")
        .env("PLINTH_LIMITS__KEY_BURST", "5")
        .env("PLINTH_LIMITS__TENANT_PER_MINUTE", "1")
        .env("PLINTH_LIMITS__TENANT_BURST", "12")
        .start();
    let owner = kernel.newcomer().await;
    let keys = [owner.api_key(&["*"]).await.key, owner.api_key(&["*"]).await.key, owner.api_key(&["*"]).await.key];
    // Three requests made the keys; five and four more are the tenant's twelve.
    for _ in 0..5 {
        kernel.get("me").token(&keys[0]).send().await.expect(200);
    }
    let refused = kernel.get("me").token(&keys[0]).send().await;
    assert_eq!(numbers(&refused, "ratelimit", "key").0, 0);
    refused.refused(429, "rate_limited");
    let mut served = 0;
    while kernel.get("me").token(&keys[1]).send().await.status == 200 {
        served += 1;
    }
    assert!((2..=4).contains(&served), "{served}");
    let refused = kernel.get("me").token(&keys[2]).send().await;
    assert_eq!(numbers(&refused, "ratelimit", "tenant").0, 0, "the neighbour's key has none left either");
    refused.refused(429, "rate_limited");
    let neighbour = kernel.newcomer().await;
    neighbour.get("me").send().await.expect(200);
}

#[tokio::test]
async fn a_client_does_not_choose_the_address_it_is_limited_by() {
    let limited =
        || Kernel::setup().env("PLINTH_LIMITS__ADDRESS_PER_MINUTE", "1").env("PLINTH_LIMITS__ADDRESS_BURST", "3");
    let flood = async |kernel: &Kernel, forwarded: &dyn Fn(usize) -> String| {
        let mut served = 0;
        for number in 0..8 {
            let ask = kernel.get("/healthz").header("x-forwarded-for", forwarded(number));
            let ask =
                ask.header("forwarded", format!("for=10.1.0.{number}")).header("x-real-ip", format!("10.2.0.{number}"));
            served += usize::from(ask.send().await.status == 200);
        }
        served
    };
    let untrusting = limited().start();
    assert_eq!(flood(&untrusting, &|number| format!("10.0.0.{number}")).await, 3, "nobody's word counts");
    let trusting = || limited().env("PLINTH_SERVER__TRUSTED_PROXIES", r#"["127.0.0.0/8"]"#).start();
    assert_eq!(flood(&trusting(), &|number| format!("10.0.0.{number}")).await, 8, "the proxy tells of eight clients");
    let forged = |number: usize| format!("10.0.0.{number}, 192.0.2.7");
    assert_eq!(
        flood(&trusting(), &forged).await,
        3,
        "what stands left of the proxy's own entry was written by the client"
    );
    let garbage = |number: usize| format!("garbage{number}");
    assert_eq!(flood(&trusting(), &garbage).await, 3, "an entry that is no address is none");
}
