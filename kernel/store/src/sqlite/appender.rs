//! Bare appends to the log: a thread with a connection of its own writes whatever has gathered in one transaction.
//!
//! Its statements are prepared once and its values are bound by reference, which costs a third of the way through the
//! asynchronous driver, and jobs reach it without a stop in between. Whoever writes holds the [`Heads`]: so this connection
//! and the other never write at the same time, and the ends of the chains can be remembered.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use plinth_core::TenantId;
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use rustc_hash::FxHashMap;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc};

use super::turn::stopped;
use crate::{
    Error,
    log::{Appended, Hash, Job},
};

/// The last link of each chain that was written lately.
#[derive(Default)]
pub(crate) struct Heads {
    links: FxHashMap<TenantId, Hash>,
}

impl Heads {
    /// More than this many are not worth their memory.
    const MOST: usize = 50_000;

    /// What is remembered may be old: somebody else has written, or a transaction did not end well.
    pub fn forget(&mut self) {
        self.links.clear();
    }
}

enum Message {
    Job(Job),
    Stop,
}

pub(crate) struct Appender {
    messages: mpsc::Sender<Message>,
    heads: Arc<Mutex<Heads>>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Appender {
    pub fn start(
        path: &Path,
        checkpoint_pages: u32,
        busy_timeout: Duration,
        batch_max: usize,
        commits: Arc<AtomicU64>,
    ) -> Result<Self, Error> {
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(busy_timeout)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", checkpoint_pages)?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        connection.set_prepared_statement_cache_capacity(16);
        let (messages, queue) = mpsc::channel(16 * 1024);
        let heads = Arc::new(Mutex::new(Heads::default()));
        let writing = Writing { connection, queue, heads: heads.clone(), batch_max: batch_max.max(1), commits };
        let thread = std::thread::Builder::new()
            .name("plinth-appender".into())
            .spawn(|| writing.run())
            .map_err(|error| Error::Unavailable(error.into()))?;
        Ok(Self { messages, heads, thread: std::sync::Mutex::new(Some(thread)) })
    }

    pub async fn append(&self, job: Job) -> Result<(), Error> {
        self.messages.send(Message::Job(job)).await.map_err(|_| stopped())
    }

    /// Keeps the appender from writing until the guard is dropped.
    pub async fn hold(&self) -> OwnedMutexGuard<Heads> {
        self.heads.clone().lock_owned().await
    }

    /// Writes what was asked for before and closes the connection, which may copy the write-ahead log into the database.
    pub async fn stop(&self) {
        self.messages.send(Message::Stop).await.ok();
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread {
            tokio::task::spawn_blocking(move || thread.join()).await.ok();
        }
    }
}

/// What the thread has.
struct Writing {
    connection: Connection,
    queue: mpsc::Receiver<Message>,
    heads: Arc<Mutex<Heads>>,
    batch_max: usize,
    commits: Arc<AtomicU64>,
}

impl Writing {
    fn run(mut self) {
        let mut jobs = Vec::new();
        let mut stop = false;
        while !stop {
            match self.queue.blocking_recv() {
                Some(Message::Job(job)) => jobs.push(job),
                Some(Message::Stop) | None => return,
            }
            // Who arrives while the connection is somebody else's shares the batch as well.
            let mut heads = self.heads.clone().blocking_lock_owned();
            stop = self.gather(&mut jobs);
            let written = self.write(&mut jobs, &mut heads);
            drop(heads);
            if !written {
                // Everybody who waits has waited as long as the first, and is told the same: to try for each batch anew
                // would keep the last waiting for the sum of all time limits.
                stop |= self.gather(&mut jobs);
                refuse(&mut jobs, &Arc::new(Error::Unavailable("the log cannot be written".into())));
            }
        }
    }

    /// Takes in what has queued up; says whether the end was among it.
    fn gather(&mut self, jobs: &mut Vec<Job>) -> bool {
        while jobs.len() < self.batch_max {
            match self.queue.try_recv() {
                Ok(Message::Job(job)) => jobs.push(job),
                Ok(Message::Stop) => return true,
                Err(_) => return false,
            }
        }
        false
    }

    /// Writes and answers the jobs; says whether the database took them.
    fn write(&mut self, jobs: &mut Vec<Job>, heads: &mut Heads) -> bool {
        match try_write(&mut self.connection, jobs, heads) {
            Ok(results) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                for (job, result) in jobs.drain(..).zip(results) {
                    job.answer.send(result).ok();
                }
                true
            }
            Err(error) => {
                heads.forget();
                refuse(jobs, &Arc::new(error));
                false
            }
        }
    }
}

fn refuse(jobs: &mut Vec<Job>, error: &Arc<Error>) {
    for job in jobs.drain(..) {
        job.answer.send(Err(Error::Unavailable(error.clone().into()))).ok();
    }
}

/// The outer error is that of the whole batch; a job that meets a version conflict fails by itself.
fn try_write(
    connection: &mut Connection,
    jobs: &[Job],
    heads: &mut Heads,
) -> Result<Vec<Result<Vec<Appended>, Error>>, Error> {
    if heads.links.len() > Heads::MOST {
        heads.forget();
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut results = Vec::with_capacity(jobs.len());
    {
        let mut statements = Statements::prepare(&transaction)?;
        for job in jobs {
            results.push(match statements.versions(job)? {
                Ok(versions) => Ok(statements.insert(job, &versions, heads)?),
                Err(conflict) => Err(conflict),
            });
        }
    }
    transaction.commit()?;
    Ok(results)
}

struct Statements<'t> {
    last_version: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    head: CachedStatement<'t>,
}

impl<'t> Statements<'t> {
    fn prepare(transaction: &'t Transaction<'_>) -> Result<Self, Error> {
        Ok(Self {
            last_version: transaction
                .prepare_cached("select max(version) from events where tenant = ?1 and subject = ?2")?,
            insert: transaction.prepare_cached(
                "insert into events (id, tenant, subject, version, kind, time, actor, impersonator, correlation, origin, \
                 data, hash) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?,
            head: transaction.prepare_cached(
                "select hash from events where tenant = ?1 order by position desc limit 1",
            )?,
        })
    }

    /// The versions that the rows of a job get; looked up before anything of the job is written.
    fn versions(&mut self, job: &Job) -> Result<Result<Vec<u64>, Error>, Error> {
        let mut versions = Vec::with_capacity(job.rows.len());
        for (index, row) in job.rows.iter().enumerate() {
            let stored: Option<i64> = self
                .last_version
                .query_row(params![row.tenant.uuid().as_bytes(), row.subject], |found| found.get(0))?;
            let earlier =
                job.rows[..index].iter().filter(|other| other.tenant == row.tenant && other.subject == row.subject);
            let last = stored.unwrap_or(0) as u64 + earlier.count() as u64;
            if let Some(expected) = row.expected_version
                && expected != last
            {
                return Ok(Err(Error::VersionConflict { subject: row.subject.clone(), expected }));
            }
            versions.push(last + 1);
        }
        Ok(Ok(versions))
    }

    fn insert(&mut self, job: &Job, versions: &[u64], heads: &mut Heads) -> Result<Vec<Appended>, Error> {
        let mut appended = Vec::with_capacity(job.rows.len());
        for (row, version) in job.rows.iter().zip(versions) {
            let head = match heads.links.get(&row.tenant) {
                Some(hash) => Some(*hash),
                None => self.head(row.tenant)?,
            };
            let hash = row.hash(*version, head.as_ref());
            let position = self.insert.insert(params![
                row.id.uuid().as_bytes(),
                row.tenant.uuid().as_bytes(),
                row.subject,
                *version as i64,
                row.kind,
                row.time.millis(),
                row.actor,
                row.impersonator.as_ref().map(|id| id.as_bytes().as_slice()),
                row.correlation.as_deref(),
                row.origin.as_deref(),
                row.data.get(),
                hash,
            ])?;
            heads.links.insert(row.tenant, hash);
            appended.push(Appended { id: row.id, position: Some(position), version: *version });
        }
        Ok(appended)
    }

    fn head(&mut self, tenant: TenantId) -> Result<Option<Hash>, Error> {
        Ok(self.head.query_row(params![tenant.uuid().as_bytes()], |row| row.get(0)).optional()?)
    }
}
