//! A long mixed load: nothing fails, and the process does not grow.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use futures::{TryStreamExt, future::join_all};
use plinth_api::{
    auth::{Login, NewTenant, Register},
    keys::{CreateApiKey, RotateApiKey},
    tenants::{CreateOrganization, UpdateOrganization},
};
use plinth_client::{Client, Credentials, Error};
use plinth_tests::{Kernel, PASSWORD, unique};

const CUSTOMERS: usize = 8;
/// Caches and pools fill in the beginning; growth counts from here on.
const WARM_UP: f64 = 0.25;

/// `PLINTH_SOAK_MINUTES` (one if not set) against `PLINTH_SOAK_URL`, or against a kernel of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "lasts for minutes: cargo xtask soak"]
async fn soak() {
    let minutes: f64 =
        std::env::var("PLINTH_SOAK_MINUTES").map_or(1.0, |text| text.parse().expect("PLINTH_SOAK_MINUTES is a number"));
    let given = std::env::var("PLINTH_SOAK_URL").ok();
    let own = given.is_none().then(Kernel::start);
    let url = given.or_else(|| own.as_ref().map(|kernel| kernel.url().to_owned())).expect("a kernel");
    let pid = std::env::var("PLINTH_SOAK_PID").ok().and_then(|pid| pid.parse().ok());
    let process = pid.or_else(|| own.as_ref().map(Kernel::pid)).map(Process);

    let lasts = Duration::from_secs_f64(minutes * 60.0);
    let began = Instant::now();
    let rounds = AtomicU64::new(0);
    let customers = join_all((0..CUSTOMERS).map(|_| customer(&url, began + lasts, &rounds)));
    let (grown, _) = tokio::join!(watch(process, began, lasts), customers);
    let rounds = rounds.load(Ordering::Relaxed);
    println!("{rounds} rounds in {minutes} min; {grown}");
    assert!(rounds > 0, "nothing was done");
}

/// One customer, again and again from sign-in to revocation. Whatever fails, except for too many requests, ends the test.
async fn customer(url: &str, until: Instant, rounds: &AtomicU64) {
    let client = Client::builder(url).build().expect("a client");
    let number = format!("{}-{}", std::process::id(), unique());
    let register = Register {
        email: format!("soak-{number}@example.com"),
        password: PASSWORD.into(),
        name: "Soak".into(),
        tenant: NewTenant { name: "Soak".into(), slug: format!("soak-{number}") },
    };
    let signed_in = patiently(|| client.auth().register(&register).into_future()).await.body;
    client.adopt(&signed_in.tokens);
    let mut round = 0;
    while Instant::now() < until {
        one_round(&client, &register, round).await;
        round += 1;
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

async fn one_round(client: &Client, person: &Register, round: u64) {
    let request = CreateOrganization { name: format!("Team {round}"), slug: format!("team-{round}") };
    let team = patiently(|| client.organizations().create(&request).into_future()).await.body;
    let change =
        UpdateOrganization { name: plinth_api::Patch::Value("Renamed".into()), ..UpdateOrganization::default() };
    patiently(|| client.organizations().update(team.id, &change).into_future()).await;
    let key = CreateApiKey {
        name: "soak".into(),
        scopes: vec!["*".into()],
        expires_at: None,
        service_account: None,
        signed_requests: false,
    };
    let key = patiently(|| client.api_keys().create(&key).into_future()).await.body;
    let program = client.with_credentials(Credentials::api_key(&key.key));
    for _ in 0..20 {
        patiently(|| program.me().get().into_future()).await;
    }
    let listed: Vec<_> = patiently(|| program.organizations().all([("limit", "50")]).try_collect::<Vec<_>>()).await;
    assert!(listed.iter().any(|one| one.id == team.id), "what was written is read");
    let rotation = RotateApiKey { overlap_seconds: Some(0) };
    patiently(|| client.api_keys().rotate(key.api_key.id, &rotation).into_future()).await;
    let dead = patiently(|| async {
        match program.me().get().await {
            Err(error) if error.status().is_some_and(|status| status.as_u16() == 401) => Ok(true),
            answered => answered.map(|_| false),
        }
    });
    assert!(dead.await, "a rotated key is dead");
    patiently(|| client.api_keys().revoke(key.api_key.id).into_future()).await;
    patiently(|| client.organizations().delete(team.id).into_future()).await;
    if round.is_multiple_of(50) {
        let login = Login { email: person.email.clone(), password: PASSWORD.into(), totp: None, tenant: None };
        let fresh = patiently(|| client.auth().login(&login).into_future()).await.body;
        let other = client.with_credentials(Credentials::from(&fresh.tokens));
        patiently(|| other.auth().logout()).await;
    }
}

/// Waits where the kernel asks for it; every other refusal is a failure.
async fn patiently<T, F: Future<Output = Result<T, Error>>>(mut call: impl FnMut() -> F) -> T {
    loop {
        match call().await {
            Ok(done) => return done,
            Err(error) if error.code() == Some("rate_limited") => {
                tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_secs(1))).await;
            }
            Err(error) => panic!("{error}: {error:?}"),
        }
    }
}

struct Process(u32);

impl Process {
    fn read(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(self.read("status")).expect("the kernel still runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory is known");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    fn open_files(&self) -> usize {
        std::fs::read_dir(self.read("fd")).expect("the kernel still runs").count()
    }
}

/// Compares the end with the time after the warm-up.
async fn watch(process: Option<Process>, began: Instant, lasts: Duration) -> String {
    let Some(process) = process else { return "PLINTH_SOAK_PID is not set, so its growth was not watched".into() };
    tokio::time::sleep_until((began + lasts.mul_f64(WARM_UP)).into()).await;
    let (memory, files) = (process.resident_kib(), process.open_files());
    let end = began + lasts;
    let mut most = memory;
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_secs(1)).await;
        most = most.max(process.resident_kib());
    }
    let (memory_end, files_end) = (process.resident_kib(), process.open_files());
    // A quarter and 32 MiB leave room for what the allocator keeps; a leak of 100 bytes a request is far more than that.
    let bound = memory + memory / 4 + 32 * 1024;
    assert!(memory_end <= bound, "memory grew from {memory} to {memory_end} KiB");
    assert!(files_end <= files + 32, "open files grew from {files} to {files_end}");
    format!("memory {memory} → {memory_end} KiB (most {most}), open files {files} → {files_end}")
}
