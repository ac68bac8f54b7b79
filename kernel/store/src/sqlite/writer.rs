//! The one writer: transactions take turns on one connection and share its commits.
//!
//! A change is a savepoint inside the open transaction of the group. It ends as released (its rows wait for the group's
//! commit) or rolled back (only its own rows go). When nobody waits any more, or the group is full, the group commits,
//! which is one sync of the disk, and everybody in it learns the result. Until then no reader sees any of it.
//!
//! Bare appends to the log take no turn of their own: whatever has queued up is handed to the appender, which writes it
//! in one transaction as well.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use super::appender::{Appender, Job};
use crate::Error;

/// A turn on the writing connection. Dropping it rolls its changes back.
pub(crate) struct Lease {
    savepoint: Option<DatabaseTransaction>,
    done: Option<oneshot::Sender<Waiter>>,
}

/// Somebody whose changes are released and who waits for the group's commit.
type Waiter = oneshot::Sender<Result<(), Error>>;

enum Request {
    Turn(oneshot::Sender<Result<Lease, Error>>),
    Append(Job),
}

#[derive(Clone)]
pub(crate) struct Writer {
    requests: mpsc::Sender<Request>,
}

/// A change that holds its turn longer than this keeps everybody waiting; the log says so.
const LONG_TURN: Duration = Duration::from_secs(2);

impl Writer {
    pub fn start(connection: DatabaseConnection, appender: Appender, group_max: usize) -> Self {
        let (requests, queue) = mpsc::channel(16 * 1024);
        tokio::spawn(Loop { connection, appender: Arc::new(appender), group_max: group_max.max(1), queue }.run());
        Self { requests }
    }

    /// Waits for a turn.
    pub async fn turn(&self) -> Result<Lease, Error> {
        let (answer, lease) = oneshot::channel();
        self.requests.send(Request::Turn(answer)).await.map_err(|_| stopped())?;
        lease.await.map_err(|_| stopped())?
    }

    pub async fn append(&self, job: Job) -> Result<(), Error> {
        self.requests.send(Request::Append(job)).await.map_err(|_| stopped())
    }
}

fn stopped() -> Error {
    Error::Unavailable("the writer has stopped".into())
}

impl Lease {
    pub fn connection(&self) -> &DatabaseTransaction {
        self.savepoint.as_ref().expect("a lease has its savepoint until it ends")
    }

    /// Releases the changes into the group and waits until the group is on disk.
    pub async fn commit(mut self) -> Result<(), Error> {
        if let Some(savepoint) = self.savepoint.take() {
            savepoint.commit().await?;
        }
        let (waiter, result) = oneshot::channel();
        if let Some(done) = self.done.take() {
            done.send(waiter).map_err(|_| stopped())?;
        }
        result.await.map_err(|_| stopped())?
    }
}

struct Loop {
    connection: DatabaseConnection,
    appender: Arc<Appender>,
    group_max: usize,
    queue: mpsc::Receiver<Request>,
}

impl Loop {
    async fn run(mut self) {
        let mut next = None;
        loop {
            let request = match next.take() {
                Some(request) => request,
                None => match self.queue.recv().await {
                    Some(request) => request,
                    None => return,
                },
            };
            next = match request {
                Request::Turn(first) => self.group(first).await,
                Request::Append(first) => self.appends(first).await,
            };
        }
    }

    /// Lends the connection to one after the other, then commits for all of them. Returns a request that did not fit.
    async fn group(&mut self, first: oneshot::Sender<Result<Lease, Error>>) -> Option<Request> {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let group = match self.connection.begin_with_options(immediate).await {
            Ok(group) => group,
            Err(error) => {
                first.send(Err(error.into())).ok();
                return None;
            }
        };
        let mut waiting = Vec::new();
        let mut turn = Some(first);
        let mut left_over = None;
        while let Some(answer) = turn.take() {
            waiting.extend(lend(&group, answer).await);
            if waiting.len() >= self.group_max {
                break;
            }
            match self.queue.try_recv() {
                Ok(Request::Turn(answer)) => turn = Some(answer),
                Ok(append @ Request::Append(_)) => left_over = Some(append),
                Err(_) => {}
            }
        }
        let result = if waiting.is_empty() { group.rollback().await } else { group.commit().await };
        tell(waiting, result.map_err(Error::from));
        left_over
    }

    /// Hands everything that wants to append to the appender at once.
    async fn appends(&mut self, first: Job) -> Option<Request> {
        let mut jobs = vec![first];
        let mut left_over = None;
        while jobs.len() < self.group_max {
            match self.queue.try_recv() {
                Ok(Request::Append(job)) => jobs.push(job),
                Ok(turn @ Request::Turn(_)) => {
                    left_over = Some(turn);
                    break;
                }
                Err(_) => break,
            }
        }
        self.appender.write(jobs).await;
        left_over
    }
}

/// One turn: opens a savepoint, hands it over, and waits for its end.
async fn lend(group: &DatabaseTransaction, answer: oneshot::Sender<Result<Lease, Error>>) -> Option<Waiter> {
    if answer.is_closed() {
        return None;
    }
    let savepoint = match group.begin().await {
        Ok(savepoint) => savepoint,
        Err(error) => {
            answer.send(Err(error.into())).ok();
            return None;
        }
    };
    let (done, mut ended) = oneshot::channel();
    // A requester that went away meanwhile drops the lease, which rolls the savepoint back and ends the turn.
    answer.send(Ok(Lease { savepoint: Some(savepoint), done: Some(done) })).ok();
    loop {
        match tokio::time::timeout(LONG_TURN, &mut ended).await {
            Ok(ended) => return ended.ok(),
            Err(_) => tracing::warn!(seconds = LONG_TURN.as_secs(), "a change holds the writer; others wait"),
        }
    }
}

fn tell(waiting: Vec<Waiter>, result: Result<(), Error>) {
    let Err(error) = result else {
        for waiter in waiting {
            waiter.send(Ok(())).ok();
        }
        return;
    };
    let message = error.to_string();
    tracing::error!(error = %plinth_core::Fault::from(error).chain(), changes = waiting.len(), "a group of changes could not be committed");
    for waiter in waiting {
        waiter.send(Err(Error::Unavailable(message.clone().into()))).ok();
    }
}
