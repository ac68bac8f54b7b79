//! Events appended to SQLite with every commit on disk: many clients through the store, against one insert a transaction,
//! and against a loop that does nothing else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use plinth_core::{Cause, NewEvent, TenantId, World};
use plinth_store::{Database, Store, StoreConfig, keyring::MasterKeys};
use rusqlite::{Connection, TransactionBehavior, params};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::{
    Plan, fsync,
    measure::{Shuffle, process_cpu},
    report::{Budget, Report, ratios},
};

/// Tenants that the events belong to in turn.
const TENANTS: usize = 1_000;

#[derive(Default)]
struct Series {
    rates: Vec<f64>,
    cpu: Vec<f64>,
    syncs_per_batch: Vec<f64>,
}

pub fn run(plan: Plan, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let world = World::system();
    let keys = MasterKeys::generate(world.random())?;
    let path = folder.path().join("ours.db");
    let store = runtime.block_on(Store::open(StoreConfig::new(Database::Sqlite(path)), world.clone(), keys))?;
    let tenants: Arc<Vec<TenantId>> = Arc::new((0..TENANTS).map(|_| world.mint()).collect());
    let mut bare = Bare::open(folder.path())?;
    let (mut single, mut tight) = (Series::default(), Series::default());
    let mut ours = [(64, Series::default()), (256, Series::default())];
    slice(&runtime, &store, &tenants, 64, plan.slice / 2, &mut Series::default());
    let mut shuffle = Shuffle::new();
    for _ in 0..plan.rounds {
        if shuffle.coin() {
            bare.slice(1, plan.slice, &mut single)?;
            bare.slice(256, plan.slice, &mut tight)?;
        }
        for (clients, series) in &mut ours {
            slice(&runtime, &store, &tenants, *clients, plan.slice, series);
        }
        if single.rates.len() < ours[0].1.rates.len() {
            bare.slice(1, plan.slice, &mut single)?;
            bare.slice(256, plan.slice, &mut tight)?;
        }
    }
    report.title("append: events into SQLite, synchronous=FULL, 1,000 tenants in turn");
    report.note(format!("one fdatasync costs {:.3} ms here and now", fsync::reference(folder.path())?));
    report.figure("one insert a transaction", &single.rates, "events/s", Budget::None);
    report.figure("tight loop, 256 inserts a transaction", &tight.rates, "events/s", Budget::None);
    for (clients, series) in &ours {
        let times = if *clients == 64 { 20.0 } else { 50.0 };
        report.figure(&format!("{clients} clients"), &series.rates, "events/s", Budget::None);
        report.figure(
            &format!("{clients} clients, of one insert a transaction"),
            &ratios(&series.rates, &single.rates),
            "x",
            Budget::AtLeast(times),
        );
        if *clients == 256 {
            report.figure(
                "256 clients, of the tight loop",
                &ratios(&series.rates, &tight.rates),
                "x",
                Budget::AtLeast(0.75),
            );
        }
        report.figure(&format!("{clients} clients, syncs per batch"), &series.syncs_per_batch, "", Budget::AtMost(1.2));
        report.figure(
            &format!("{clients} clients, CPU per event (clients included)"),
            &series.cpu,
            "µs",
            Budget::AtMost(20.0),
        );
    }
    runtime.block_on(store.close());
    Ok(())
}

fn slice(
    runtime: &Runtime,
    store: &Store,
    tenants: &Arc<Vec<TenantId>>,
    clients: usize,
    time: Duration,
    series: &mut Series,
) {
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let (syncs, batches, cpu) = (fsync::count(), store.commits(), process_cpu());
    let begun = Instant::now();
    let workers: Vec<_> = (0..clients)
        .map(|number| runtime.spawn(client(store.clone(), tenants.clone(), number, stop.clone(), done.clone())))
        .collect();
    std::thread::sleep(time);
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        runtime.block_on(worker).expect("a client ends");
    }
    let count = done.load(Ordering::Relaxed) as f64;
    series.rates.push(count / begun.elapsed().as_secs_f64());
    series.cpu.push(process_cpu().saturating_sub(cpu).as_secs_f64() * 1e6 / count);
    series.syncs_per_batch.push((fsync::count() - syncs) as f64 / (store.commits() - batches).max(1) as f64);
}

async fn client(store: Store, tenants: Arc<Vec<TenantId>>, number: usize, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    let cause = Cause::system("bench");
    let mut next = number;
    while !stop.load(Ordering::Relaxed) {
        let tenant = tenants[next % tenants.len()];
        next += 61;
        let subject = format!("reading/{}", store.world().mint_uuid().simple());
        let event =
            NewEvent::new("reading.taken", subject, &json!({ "celsius": 21.5, "room": "kitchen", "sensor": next }));
        store.append(tenant, &cause, vec![event]).await.expect("an append succeeds");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// The same table with the same indexes, and nothing around it.
struct Bare {
    connection: Connection,
    world: World,
    tenant: TenantId,
}

impl Bare {
    fn open(folder: &std::path::Path) -> anyhow::Result<Self> {
        let connection = Connection::open(folder.join("bare.db"))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        connection.execute_batch(include_str!("../../../migrations/sqlite/0001_foundation.sql"))?;
        let world = World::system();
        let tenant = world.mint();
        Ok(Self { connection, world, tenant })
    }

    fn slice(&mut self, per_transaction: usize, time: Duration, series: &mut Series) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut count = 0_u64;
        while begun.elapsed() < time {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut insert = transaction.prepare_cached(
                    "insert into events (id, tenant, subject, version, kind, time, actor, correlation, data, hash) \
                     values (?1, ?2, ?3, 1, 'reading.taken', ?4, 'system', 'bench', ?5, ?6)",
                )?;
                for _ in 0..per_transaction {
                    let id = self.world.mint_uuid();
                    let data = json!({ "celsius": 21.5, "room": "kitchen", "sensor": count }).to_string();
                    let subject = format!("reading/{}", id.simple());
                    insert.execute(params![
                        id.as_bytes(),
                        self.tenant.uuid().as_bytes(),
                        subject,
                        self.world.now().millis(),
                        data,
                        [7_u8; 32]
                    ])?;
                    count += 1;
                }
            }
            transaction.commit()?;
        }
        series.rates.push(count as f64 / begun.elapsed().as_secs_f64());
        Ok(())
    }
}
