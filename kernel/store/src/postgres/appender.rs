//! Bare appends to the log: whatever has gathered while the last batch was on its way is written by one statement and
//! shares one commit.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use plinth_core::TenantId;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tokio::sync::mpsc;

use super::quoted;
use crate::{
    Error,
    error::is_away,
    log::{Appended, Job, Row},
};

/// Events that share a statement.
const BATCH_MAX: usize = 4096;

/// How often a batch is tried when changes of the same subjects are committed at the same moment.
const ATTEMPTS: u32 = 20;

pub(crate) struct Appender {
    jobs: mpsc::Sender<Job>,
}

impl Appender {
    pub fn start(pool: PgPool, system_role: &str, commits: Arc<AtomicU64>) -> Self {
        let (jobs, queue) = mpsc::channel(16 * 1024);
        // Events of several tenants share a statement; each row carries the tenant of its caller.
        let begin = format!("begin; set local role {}", quoted(system_role));
        tokio::spawn(Loop { pool, begin, commits }.run(queue));
        Self { jobs }
    }

    pub async fn append(&self, job: Job) -> Result<(), Error> {
        self.jobs.send(job).await.map_err(|_| Error::Unavailable("the appender has stopped".into()))
    }
}

/// What became of the jobs of a batch that was committed.
type Results = Vec<Result<Vec<Appended>, Error>>;

struct Loop {
    pool: PgPool,
    begin: String,
    commits: Arc<AtomicU64>,
}

impl Loop {
    async fn run(self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.recv().await {
            let mut events = first.rows.len();
            let mut jobs = vec![first];
            while events < BATCH_MAX
                && let Ok(job) = queue.try_recv()
            {
                events += job.rows.len();
                jobs.push(job);
            }
            self.write(jobs).await;
        }
    }

    async fn write(&self, jobs: Vec<Job>) {
        match self.try_write(&jobs).await {
            Ok(results) => {
                for (job, result) in jobs.into_iter().zip(results) {
                    job.answer.send(result).ok();
                }
            }
            // Something that the database does not take is in one of them: the others have not deserved that.
            Err(error) if jobs.len() > 1 && !is_away(&error) => {
                for job in jobs {
                    Box::pin(self.write(vec![job])).await;
                }
            }
            Err(error) => {
                // A subject that others changed at every attempt may be quieter later.
                let away = is_away(&error) || is_taken(&error);
                let error = Arc::new(error);
                for job in jobs {
                    let source = error.clone().into();
                    job.answer.send(Err(if away { Error::Unavailable(source) } else { Error::Query(source) })).ok();
                }
            }
        }
    }

    async fn try_write(&self, jobs: &[Job]) -> Result<Results, sqlx::Error> {
        let mut attempt = 1;
        loop {
            match self.write_once(jobs).await {
                // A change has taken a version in between; the next look sees it.
                Err(error) if is_taken(&error) && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn write_once(&self, jobs: &[Job]) -> Result<Results, sqlx::Error> {
        let mut transaction = self.pool.begin_with(AssertSqlSafe(self.begin.as_str())).await?;
        let mut last = last_versions(&mut transaction, jobs).await?;
        let mut rows = Vec::new();
        let mut results = Results::with_capacity(jobs.len());
        for job in jobs {
            results.push(versions(job, &mut last).map(|versions| {
                let appended = job.rows.iter().zip(&versions);
                let appended =
                    appended.map(|(row, version)| Appended { id: row.id, position: None, version: *version });
                let appended = appended.collect();
                rows.extend(job.rows.iter().zip(versions));
                appended
            }));
        }
        insert(&mut transaction, &rows).await?;
        transaction.commit().await?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(results)
    }
}

fn is_taken(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(database) if database.is_unique_violation())
}

type Last<'j> = HashMap<(TenantId, &'j str), u64>;

async fn last_versions<'j>(connection: &mut PgConnection, jobs: &'j [Job]) -> Result<Last<'j>, sqlx::Error> {
    let mut last: Last =
        jobs.iter().flat_map(|job| &job.rows).map(|row| ((row.tenant, row.subject.as_str()), 0)).collect();
    let subjects: Vec<(TenantId, &str)> = last.keys().copied().collect();
    let found: Vec<i64> = sqlx::query_scalar(
        "select coalesce((select max(version) from events e where e.tenant = u.tenant and e.subject = u.subject), 0) \
         from unnest($1::uuid[], $2::text[]) with ordinality u (tenant, subject, n) order by n",
    )
    .bind(subjects.iter().map(|(tenant, _)| tenant.uuid()).collect::<Vec<_>>())
    .bind(subjects.iter().map(|(_, subject)| *subject).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    for (subject, version) in subjects.into_iter().zip(found) {
        last.insert(subject, version as u64);
    }
    Ok(last)
}

/// The versions that the rows of a job get. A job that meets a conflict takes none.
fn versions<'j>(job: &'j Job, last: &mut Last<'j>) -> Result<Vec<u64>, Error> {
    let mut versions = Vec::with_capacity(job.rows.len());
    let mut taken = HashMap::new();
    for row in &job.rows {
        let subject = (row.tenant, row.subject.as_str());
        let before = taken.get(&subject).or_else(|| last.get(&subject)).copied().unwrap_or_default();
        if let Some(expected) = row.expected_version
            && expected != before
        {
            return Err(Error::VersionConflict { subject: row.subject.clone(), expected });
        }
        taken.insert(subject, before + 1);
        versions.push(before + 1);
    }
    last.extend(taken);
    Ok(versions)
}

async fn insert(connection: &mut PgConnection, rows: &[(&Row, u64)]) -> Result<(), sqlx::Error> {
    fn column<'r, T>(rows: &[(&'r Row, u64)], value: impl Fn(&'r Row) -> T) -> Vec<T> {
        rows.iter().map(|(row, _)| value(row)).collect()
    }
    sqlx::query(
        "insert into events (id, tenant, subject, version, kind, time, actor, impersonator, correlation, origin, data) \
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::text[], \
         $8::uuid[], $9::text[], $10::text[], $11::text[])",
    )
    .bind(column(rows, |row| row.id.uuid()))
    .bind(column(rows, |row| row.tenant.uuid()))
    .bind(column(rows, |row| row.subject.as_str()))
    .bind(rows.iter().map(|(_, version)| *version as i64).collect::<Vec<_>>())
    .bind(column(rows, |row| row.kind))
    .bind(column(rows, |row| row.time.millis()))
    .bind(column(rows, |row| row.actor.as_str()))
    .bind(column(rows, |row| row.impersonator))
    .bind(column(rows, |row| row.correlation.as_deref()))
    .bind(column(rows, |row| row.origin.as_deref()))
    .bind(column(rows, |row| row.data.get()))
    .execute(connection)
    .await
    .map(drop)
}
