//! Many writers at once, and the kernel dies under them.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::{join, join_all};
use plinth_tests::{Actor, Database, Kernel, Wire};

use super::ledger::{Wish, existing};
use crate::random::between;

const WRITERS: usize = 64;
/// Longer than a claim on an Idempotency-Key lasts.
const LEASE: Duration = Duration::from_secs(100);

#[tokio::test]
async fn a_kill_during_a_thousand_concurrent_writes_loses_no_acknowledged_one_on_sqlite() {
    let mut kernel = Kernel::start();
    for cycle in 0..10 {
        one_cycle(&mut kernel, cycle, 1..400).await;
        check_sqlite(&kernel);
    }
}

#[tokio::test]
async fn a_kill_during_a_thousand_concurrent_writes_loses_no_acknowledged_one_on_postgres() {
    let mut kernel = Kernel::start_on(Database::Postgres);
    for cycle in 0..5 {
        one_cycle(&mut kernel, cycle, 1..120).await;
        let events = "select count(*) from events where kind = 'organization.created'";
        let postgres = kernel.postgres().expect("PostgreSQL");
        assert_eq!(postgres.query("select count(*) from organizations"), postgres.query(events), "one event for each");
    }
}

/// What the writers know.
#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<BTreeMap<Wish, String>>,
    /// Asked for, and not answered.
    open: Mutex<Vec<Wish>>,
    answers: AtomicU64,
}

/// The writers go on and on; the kill comes when some number of them, somewhere in `moment`, has been answered.
async fn one_cycle(kernel: &mut Kernel, cycle: usize, moment: Range<u64>) {
    let owner = kernel.owner().await;
    let ledger = Ledger::default();
    let (answers, micros) = (between(moment), between(0..3000));
    println!("cycle {cycle}: killed {micros} µs after answer {answers}");
    let port = kernel.port();
    let writers = join_all((0..WRITERS).map(|writer| write(&ledger, &owner, port, cycle, writer)));
    let killing = async {
        while ledger.answers.load(Ordering::Relaxed) < answers {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        tokio::time::sleep(Duration::from_micros(micros)).await;
        kernel.kill();
    };
    join(writers, killing).await;
    kernel.restart();

    let acknowledged = ledger.acknowledged.into_inner().expect("no writer panicked");
    let open = ledger.open.into_inner().expect("no writer panicked");
    assert!(
        acknowledged.len() as u64 >= answers && !open.is_empty(),
        "{} answered, {} open",
        acknowledged.len(),
        open.len()
    );
    let there = existing(kernel, &owner, cycle).await;
    for (wish, id) in &acknowledged {
        assert_eq!(there.get(wish), Some(&vec![id.clone()]), "{wish:?} was acknowledged");
    }
    for (wish, ids) in &there {
        assert_eq!(ids.len(), 1, "{wish:?} is there more than once");
        assert!(acknowledged.contains_key(wish) || open.contains(wish), "nobody asked for {wish:?}");
    }
    let repeated = repeat(kernel, &owner, &open).await;
    let there = existing(kernel, &owner, cycle).await;
    for (wish, id) in acknowledged.iter().chain(&repeated) {
        assert_eq!(there.get(wish), Some(&vec![id.clone()]), "{wish:?}");
    }
    assert_eq!(there.len(), acknowledged.len() + repeated.len());
    // The moved clock ends with the process; what the next cycle signs must not come from a future that is over.
    kernel.restart();
}

/// Asks for one thing after the other until the kernel is gone.
async fn write(ledger: &Ledger, owner: &Actor, port: u16, cycle: usize, writer: usize) {
    let Ok(mut wire) = Wire::try_connect(port).await else { return };
    for number in 0.. {
        let wish = Wish::new(cycle, writer, number);
        let Some(answer) = wish.ask(owner, port).on(&mut wire).await else {
            ledger.open.lock().expect("no writer panicked").push(wish);
            return;
        };
        let id = wish.id(&answer.expect(201).json());
        ledger.acknowledged.lock().expect("no writer panicked").insert(wish, id);
        ledger.answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// Asks again, under the same keys, for what was not answered. A claim that the dead process held is waited for.
async fn repeat(kernel: &Kernel, owner: &Actor, open: &[Wish]) -> BTreeMap<Wish, String> {
    let mut done = BTreeMap::new();
    let mut claimed = Vec::new();
    for wish in open {
        let answer = wish.ask(owner, kernel.port()).send().await;
        if answer.status == 409 {
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            answer.refused(409, "in_progress");
            claimed.push(wish.clone());
        } else {
            done.insert(wish.clone(), wish.id(&answer.expect(201).json()));
        }
    }
    if !claimed.is_empty() {
        kernel.advance(LEASE).await;
    }
    for wish in claimed {
        let answer = wish.ask(owner, kernel.port()).send().await.expect(201);
        done.insert(wish.clone(), wish.id(&answer.json()));
    }
    // And once more, now that they are answered: the same answers.
    for (wish, id) in &done {
        let again = wish.ask(owner, kernel.port()).send().await.expect(201);
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{wish:?}");
        assert_eq!(wish.id(&again.json()), *id);
    }
    done
}

/// The file is sound, and of each change there is one event.
fn check_sqlite(kernel: &Kernel) {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(kernel.data().join("plinth.db"), flags).expect("it opens");
    let text = |sql: &str| database.query_one(sql, [], |row| row.get::<_, String>(0)).expect(sql);
    let count = |sql: &str| database.query_one(sql, [], |row| row.get::<_, i64>(0)).expect(sql);
    assert_eq!(text("pragma integrity_check"), "ok");
    for (table, kind) in [
        ("organizations", "organization.created"),
        ("api_keys", "api_key.created"),
        ("service_accounts", "service_account.created"),
    ] {
        let rows = count(&format!("select count(*) from {table}"));
        let events = count(&format!("select count(*) from events where kind = '{kind}'"));
        assert_eq!(rows, events, "{kind}");
    }
}
