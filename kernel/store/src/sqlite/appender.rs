//! Bare appends to the log: a thread with a connection of its own writes whatever has gathered in one transaction.
//!
//! Its statements are prepared once and its values are bound by reference, which costs a third of the way through the
//! asynchronous driver. The writer sees to it that this connection and the other never write at the same time.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

use plinth_core::TenantId;
use rusqlite::{CachedStatement, Connection, OpenFlags, Transaction, TransactionBehavior, params};
use rustc_hash::FxBuildHasher;
use tokio::sync::oneshot;

use crate::{
    Error,
    log::{Appended, Job, Link},
};

type Batch = (Vec<Job>, oneshot::Sender<()>);

pub(crate) struct Appender {
    batches: mpsc::Sender<Batch>,
    thread: JoinHandle<()>,
}

impl Appender {
    pub fn start(
        path: &Path,
        checkpoint_pages: u32,
        busy_timeout: Duration,
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
        let (batches, queue) = mpsc::channel::<Batch>();
        let thread = std::thread::Builder::new()
            .name("plinth-appender".into())
            .spawn(move || {
                let mut connection = connection;
                for (jobs, done) in queue {
                    if write(&mut connection, jobs) {
                        commits.fetch_add(1, Ordering::Relaxed);
                    }
                    done.send(()).ok();
                }
            })
            .map_err(|error| Error::Unavailable(error.into()))?;
        Ok(Self { batches, thread })
    }

    /// Writes the jobs and answers each of them; returns when the connection is free again.
    pub async fn write(&self, jobs: Vec<Job>) {
        let (done, finished) = oneshot::channel();
        if self.batches.send((jobs, done)).is_ok() {
            finished.await.ok();
        }
    }

    /// Closes the connection, which may copy the write-ahead log into the database.
    pub async fn stop(self) {
        drop(self.batches);
        tokio::task::spawn_blocking(move || self.thread.join()).await.ok();
    }
}

/// Says whether there was a commit.
fn write(connection: &mut Connection, jobs: Vec<Job>) -> bool {
    match try_write(connection, &jobs) {
        Ok(results) => {
            for (job, result) in jobs.into_iter().zip(results) {
                job.answer.send(result).ok();
            }
            true
        }
        Err(error) => {
            let error = Arc::new(error);
            for job in jobs {
                job.answer.send(Err(Error::Unavailable(error.clone().into()))).ok();
            }
            false
        }
    }
}

/// The outer error is that of the whole batch; a job that meets a version conflict fails by itself.
fn try_write(connection: &mut Connection, jobs: &[Job]) -> Result<Vec<Result<Vec<Appended>, Error>>, Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut heads: HashMap<TenantId, Option<Link>, FxBuildHasher> = HashMap::default();
    let mut results = Vec::with_capacity(jobs.len());
    {
        let mut statements = Statements::prepare(&transaction)?;
        for job in jobs {
            results.push(match statements.versions(job)? {
                Ok(versions) => Ok(statements.insert(job, &versions, &mut heads)?),
                Err(conflict) => Err(conflict),
            });
        }
        for (tenant, head) in &heads {
            if let Some(head) = head {
                statements.set_head.execute(params![tenant.uuid().as_bytes(), head.position, head.hash])?;
            }
        }
    }
    transaction.commit()?;
    Ok(results)
}

struct Statements<'t> {
    last_version: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    head: CachedStatement<'t>,
    set_head: CachedStatement<'t>,
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
            head: transaction.prepare_cached("select position, hash from log_heads where tenant = ?1")?,
            set_head: transaction.prepare_cached(
                "insert into log_heads (tenant, position, hash) values (?1, ?2, ?3) \
                 on conflict (tenant) do update set position = excluded.position, hash = excluded.hash",
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

    fn insert(
        &mut self,
        job: &Job,
        versions: &[u64],
        heads: &mut HashMap<TenantId, Option<Link>, FxBuildHasher>,
    ) -> Result<Vec<Appended>, Error> {
        let mut appended = Vec::with_capacity(job.rows.len());
        for (row, version) in job.rows.iter().zip(versions) {
            let head = match heads.entry(row.tenant) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    let mut found = self.head.query(params![row.tenant.uuid().as_bytes()])?;
                    entry.insert(match found.next()? {
                        Some(found) => Some(Link { position: found.get(0)?, hash: found.get(1)? }),
                        None => None,
                    })
                }
            };
            let hash = row.hash(*version, head.as_ref().map(|link| &link.hash));
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
            *head = Some(Link { position, hash });
            appended.push(Appended { id: row.id, position: Some(position), version: *version });
        }
        Ok(appended)
    }
}
