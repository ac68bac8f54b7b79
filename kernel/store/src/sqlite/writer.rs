//! The one writer: transactions take turns on one connection and share its commits.
//!
//! A change is a savepoint inside the open transaction of the group. It ends as released (its rows wait for the group's
//! commit) or rolled back (only its own rows go). When nobody waits any more, or the group is full or old enough, the group commits, which is one sync of the disk, and everybody in it learns the result. Until then no
//! reader sees any of it.
//!
//! A connection that has failed in the middle of a group is replaced: what it still holds is not known.
//!
//! Bare appends to the log take no turn of their own: the appender writes whatever has queued up in one transaction, when
//! no group is open.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_orm::{DbErr, SqliteTransactionMode, SqlxSqliteConnector, TransactionOptions, TransactionTrait};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    appender::Appender,
    lazy_writer_pool,
    turn::{Asker, Group, Lease, Waiter, lend, stopped},
};
use crate::{Error, log::Job};

enum Request {
    Turn(Asker),
    Stop(oneshot::Sender<()>),
}

#[derive(Clone)]
pub(crate) struct Writer {
    requests: mpsc::Sender<Request>,
    appender: Arc<Appender>,
}

/// A group takes in nobody when the first who is done has waited for this long.
const GROUP_TIME: Duration = Duration::from_millis(20);

impl Writer {
    pub fn start(
        pool: SqlitePool,
        options: SqliteConnectOptions,
        appender: Appender,
        group_max: usize,
        commits: Arc<AtomicU64>,
    ) -> Self {
        let (requests, queue) = mpsc::channel(16 * 1024);
        let waiting = Waiting { queue, max: group_max.max(1), turns: VecDeque::new(), stop: None };
        let appender = Arc::new(appender);
        tokio::spawn(Loop { pool, options, appender: appender.clone(), waiting, commits }.run());
        Self { requests, appender }
    }

    /// Waits for a turn.
    pub async fn turn(&self) -> Result<Lease, Error> {
        let (answer, lease) = oneshot::channel();
        self.requests.send(Request::Turn(answer)).await.map_err(|_| stopped())?;
        lease.await.map_err(|_| stopped())?
    }

    pub async fn append(&self, job: Job) -> Result<(), Error> {
        self.appender.append(job).await
    }

    /// Finishes what was asked for before and closes both connections.
    pub async fn stop(&self) {
        let (answer, stopped) = oneshot::channel();
        if self.requests.send(Request::Stop(answer)).await.is_ok() {
            stopped.await.ok();
        }
    }
}

/// Who waits, sorted by what for.
struct Waiting {
    queue: mpsc::Receiver<Request>,
    max: usize,
    turns: VecDeque<Asker>,
    stop: Option<oneshot::Sender<()>>,
}

impl Waiting {
    /// Whether there is something to do; waits for it.
    async fn something(&mut self) -> bool {
        self.look();
        if self.turns.is_empty() && self.stop.is_none() {
            match self.queue.recv().await {
                Some(request) => self.sort(request),
                None => return false,
            }
            self.look();
        }
        !self.turns.is_empty()
    }

    /// Takes in what has queued up, up to a full group.
    fn look(&mut self) {
        while self.stop.is_none() && self.turns.len() < self.max {
            match self.queue.try_recv() {
                Ok(request) => self.sort(request),
                Err(_) => return,
            }
        }
    }

    fn sort(&mut self, request: Request) {
        match request {
            Request::Turn(asker) => self.turns.push_back(asker),
            Request::Stop(answer) => self.stop = Some(answer),
        }
    }

    fn next_turn(&mut self) -> Option<Asker> {
        if self.turns.is_empty() {
            self.look();
        }
        self.turns.pop_front()
    }
}

struct Loop {
    pool: SqlitePool,
    options: SqliteConnectOptions,
    appender: Arc<Appender>,
    waiting: Waiting,
    commits: Arc<AtomicU64>,
}

impl Loop {
    async fn run(mut self) {
        while self.waiting.something().await {
            // The appender waits, and what it remembers of the chains is old after the group has written.
            let mut heads = self.appender.hold().await;
            self.group().await;
            heads.forget();
        }
        self.pool.close().await;
        self.appender.stop().await;
        if let Some(answer) = self.waiting.stop.take() {
            answer.send(()).ok();
        }
    }

    /// Lends the connection to one after the other, then commits for all of them.
    async fn group(&mut self) {
        let group = match self.begin().await {
            Ok(group) => group,
            Err(error) => return self.refuse(&error),
        };
        let mut released: Vec<Waiter> = Vec::new();
        let mut since = None;
        while released.len() < self.waiting.max
            && since.is_none_or(|since: Instant| since.elapsed() < GROUP_TIME)
            && let Some(asker) = self.waiting.next_turn()
        {
            match lend(&group, asker).await {
                Ok(Some(waiter)) => {
                    released.push(waiter);
                    since.get_or_insert_with(Instant::now);
                }
                Ok(None) => {}
                Err(error) => {
                    drop(group);
                    self.replace_connection().await;
                    return tell(released, Err(error));
                }
            }
        }
        let result = match Arc::into_inner(group) {
            Some(transaction) if released.is_empty() => transaction.rollback().await,
            Some(transaction) => transaction.commit().await,
            None => Err(DbErr::Custom("a turn has not given the group back".into())),
        };
        if result.is_err() {
            self.replace_connection().await;
        } else if !released.is_empty() {
            self.commits.fetch_add(1, Ordering::Relaxed);
        }
        tell(released, result);
    }

    async fn begin(&self) -> Result<Group, DbErr> {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let connection = SqlxSqliteConnector::from_sqlx_sqlite_pool(self.pool.clone());
        connection.begin_with_options(immediate).await.map(Group::new)
    }

    /// The database cannot be written. Everybody who waits has waited as long as the first, and is told the same: to try
    /// for each of them anew would keep the last waiting for the sum of all time limits.
    fn refuse(&mut self, error: &DbErr) {
        self.waiting.look();
        for asker in self.waiting.turns.drain(..) {
            asker.send(Err(error.clone().into())).ok();
        }
    }

    /// Closes the connection, which rolls back whatever it still holds, and makes another when it is needed.
    async fn replace_connection(&mut self) {
        let old = std::mem::replace(&mut self.pool, lazy_writer_pool(self.options.clone()));
        old.close().await;
    }
}

fn tell(released: Vec<Waiter>, result: Result<(), DbErr>) {
    let Err(error) = result else {
        for waiter in released {
            waiter.send(Ok(())).ok();
        }
        return;
    };
    let changes = released.len();
    for waiter in released {
        waiter.send(Err(Error::Unavailable(error.clone().into()))).ok();
    }
    tracing::error!(error = %plinth_core::Fault::from(Error::from(error)).chain(), changes, "a group of changes could not be committed");
}
