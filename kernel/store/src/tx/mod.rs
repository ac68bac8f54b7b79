//! Transactions: what may run in one, how it ends, and what goes out with its end.
//!
//! * A statement that failed, or whose caller went away in the middle of it, spends the transaction: what was done is not
//!   known any more, so nothing further runs in it and it cannot be committed. PostgreSQL would roll such a commit back and
//!   call it a success; SQLite might have ended the transaction by itself and run the rest outside of any.
//! * A commit that was begun is finished and told of, also when the caller stops waiting.

mod scope;

use std::{
    future::Future,
    panic,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use plinth_core::Cause;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use tracing::Instrument;

pub use scope::{Scope, SystemTx, TenantOwned, TenantTx, Work};

use crate::{
    Error, Invalidation, Store, entities,
    log::{Appended, Row},
    postgres,
    sqlite::Lease,
};

pub(crate) struct Tx {
    store: Store,
    connection: Connection,
    write: bool,
    cause: Cause,
    /// How long one statement may take, where the database does not see to it.
    limit: Option<Duration>,
    spent: AtomicBool,
    staged: Mutex<Staged>,
}

pub(crate) enum Connection {
    /// A turn on SQLite's one writer.
    Lease(Lease),
    Own(DatabaseTransaction),
}

/// What goes out with the commit.
#[derive(Default)]
struct Staged {
    events: Vec<Row>,
    invalidations: Vec<Invalidation>,
    certain: Vec<WhenCertain>,
}

/// Runs when what a transaction has seen and done can no longer be taken back.
pub type WhenCertain = Box<dyn FnOnce(&Store) + Send>;

const SPENT: &str =
    "an earlier statement of this transaction failed or was given up; nothing of it is kept, begin anew";

/// Marks the transaction as spent unless the statement succeeds.
struct Attempt<'t> {
    spent: &'t AtomicBool,
    succeeded: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.succeeded {
            self.spent.store(true, Ordering::Release);
        }
    }
}

impl Tx {
    pub fn new(store: Store, connection: Connection, write: bool, cause: Cause) -> Self {
        let limit = (!store.is_postgres()).then(|| store.config().statement_timeout);
        Self { store, connection, write, cause, limit, spent: AtomicBool::new(false), staged: Mutex::default() }
    }

    fn database(&self) -> &DatabaseTransaction {
        match &self.connection {
            Connection::Lease(lease) => lease.connection(),
            Connection::Own(transaction) => transaction,
        }
    }

    fn staged(&self) -> std::sync::MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn attempt<T>(&self, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        if self.spent.load(Ordering::Acquire) {
            return Err(DbErr::Custom(SPENT.into()));
        }
        let mut attempt = Attempt { spent: &self.spent, succeeded: false };
        let result = match self.limit {
            Some(limit) => tokio::time::timeout(limit, statement).await.unwrap_or_else(|_| Err(took_too_long(limit))),
            None => statement.await,
        };
        attempt.succeeded = result.is_ok();
        result
    }

    fn when_certain(&self, action: WhenCertain) {
        if self.write {
            self.staged().certain.push(action);
        } else {
            // A reader sees only what is on disk.
            action(&self.store);
        }
    }

    async fn commit(self) -> Result<Vec<Appended>, Error> {
        match tokio::spawn(self.finish().in_current_span()).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Error::Unavailable("the kernel is shutting down".into())),
        }
    }

    async fn finish(self) -> Result<Vec<Appended>, Error> {
        debug_assert!(self.write, "a read has nothing to commit");
        let Staged { events, invalidations, certain } = std::mem::take(&mut *self.staged());
        let mut appended = Vec::with_capacity(events.len());
        if self.store.is_postgres() && !events.is_empty() {
            let mut keys: Vec<i64> = events.iter().map(Row::subject_key).collect();
            keys.sort_unstable();
            keys.dedup();
            entities::lock_subjects(&self, &keys).await?;
        }
        for event in events {
            appended.push(self.append(event).await?);
        }
        if self.store.is_postgres() {
            for invalidation in &invalidations {
                self.query_one_raw(postgres::notification(*invalidation)).await?;
            }
        }
        if self.spent.load(Ordering::Acquire) {
            return Err(DbErr::Custom(SPENT.into()).into());
        }
        match self.connection {
            Connection::Lease(lease) => lease.commit().await?,
            Connection::Own(transaction) => {
                transaction.commit().await?;
                self.store.count_commit();
            }
        }
        for action in certain {
            action(&self.store);
        }
        for invalidation in invalidations {
            self.store.tell(invalidation);
        }
        Ok(appended)
    }

    async fn append(&self, row: Row) -> Result<Appended, Error> {
        let last = entities::last_version(self, row.tenant, &row.subject).await?;
        if let Some(expected) = row.expected_version
            && expected != last
        {
            return Err(Error::VersionConflict { subject: row.subject, expected });
        }
        let version = last + 1;
        if self.store.is_postgres() {
            entities::insert_unsealed(self, &row, version).await.map_err(|error| match error {
                // Two changes of one subject at the same moment: the later one was decided on what is no longer so.
                Error::Duplicate(_) => Error::VersionConflict { subject: row.subject.clone(), expected: last },
                other => other,
            })?;
            return Ok(Appended { id: row.id, position: None, version });
        }
        let head = entities::chain_head(self, row.tenant).await?;
        let hash = row.hash(version, head.as_ref());
        let position = entities::insert_sealed(self, &row, version, &hash).await?;
        Ok(Appended { id: row.id, position: Some(position), version })
    }
}

fn took_too_long(limit: Duration) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(format!("a statement took longer than {} ms", limit.as_millis())))
}

/// Implements what SeaORM asks of a connection; `$tx` finds the transaction in `$self`.
macro_rules! speaks_to_the_database {
    ($type:ty, $self:ident => $tx:expr) => {
        #[async_trait]
        impl ConnectionTrait for $type {
            fn get_database_backend(&$self) -> DbBackend {
                $tx.database().get_database_backend()
            }
            async fn execute_raw(&$self, statement: Statement) -> Result<ExecResult, DbErr> {
                $tx.attempt($tx.database().execute_raw(statement)).await
            }
            async fn execute_unprepared(&$self, sql: &str) -> Result<ExecResult, DbErr> {
                $tx.attempt($tx.database().execute_unprepared(sql)).await
            }
            async fn query_one_raw(&$self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
                $tx.attempt($tx.database().query_one_raw(statement)).await
            }
            async fn query_all_raw(&$self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
                $tx.attempt($tx.database().query_all_raw(statement)).await
            }
        }
    };
}

speaks_to_the_database!(Tx, self => self);
speaks_to_the_database!(SystemTx, self => self.tx());
speaks_to_the_database!(Scope<'_>, self => self.tx());
