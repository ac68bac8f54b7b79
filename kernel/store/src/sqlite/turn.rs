//! A turn on the writing connection: a savepoint that is lent out and comes back with word of how it ends.
//!
//! The lender ends the savepoint, never the borrower: so the end is seen to also when the borrower panics or goes away, and
//! a savepoint that cannot be ended shows that the connection has lost its transaction.

use std::{sync::Arc, time::Duration};

use sea_orm::{DatabaseTransaction, DbErr, TransactionTrait};
use tokio::sync::oneshot;

use crate::Error;

/// A change that holds its turn longer than this keeps everybody waiting; the log says so.
const LONG_TURN: Duration = Duration::from_secs(2);

/// Somebody whose changes are kept and who waits for the group's commit.
pub(super) type Waiter = oneshot::Sender<Result<(), Error>>;

/// Who asked for a turn.
pub(super) type Asker = oneshot::Sender<Result<Lease, Error>>;

/// The open transaction of a group. Whoever borrows from it keeps it alive: a transaction of SeaORM that is dropped while a
/// statement runs on its connection panics, and when the runtime ends the lender may go before the borrower.
pub(super) type Group = Arc<DatabaseTransaction>;

/// A turn. Dropping it rolls its changes back.
pub(crate) struct Lease {
    turn: Option<Turn>,
}

struct Turn {
    savepoint: DatabaseTransaction,
    group: Group,
    done: oneshot::Sender<End>,
}

/// How a turn ends. Its parts are dropped in this order when there is no lender any more.
struct End {
    savepoint: DatabaseTransaction,
    group: Group,
    /// Who waits for the changes to be kept; none when they are not to be.
    keep: Option<Waiter>,
}

impl Lease {
    pub fn connection(&self) -> &DatabaseTransaction {
        &self.turn.as_ref().expect("a lease has its turn until it ends").savepoint
    }

    /// Gives the changes to the group and waits until the group is on disk.
    pub async fn commit(mut self) -> Result<(), Error> {
        let (waiter, result) = oneshot::channel();
        self.end(Some(waiter));
        result.await.map_err(|_| stopped())?
    }

    fn end(&mut self, keep: Option<Waiter>) {
        if let Some(Turn { savepoint, group, done }) = self.turn.take() {
            done.send(End { savepoint, group, keep }).ok();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end(None);
    }
}

pub(super) fn stopped() -> Error {
    Error::Unavailable("the writer has stopped".into())
}

/// One turn: opens a savepoint, hands it over, and waits for its end. An error means that the group is lost: SQLite ends a
/// transaction by itself when the disk is full or fails, and takes what others have released with it.
pub(super) async fn lend(group: &Group, asker: Asker) -> Result<Option<Waiter>, DbErr> {
    if asker.is_closed() {
        return Ok(None);
    }
    let savepoint = match group.begin().await {
        Ok(savepoint) => savepoint,
        Err(error) => {
            asker.send(Err(error.clone().into())).ok();
            return Err(error);
        }
    };
    let (done, ended) = oneshot::channel();
    // An asker that went away meanwhile drops the lease, which ends the turn.
    asker.send(Ok(Lease { turn: Some(Turn { savepoint, group: group.clone(), done }) })).ok();
    let Some(End { savepoint, group, keep }) = wait(ended).await else {
        return Err(DbErr::Custom("a turn has ended without a word".into()));
    };
    drop(group);
    let Some(waiter) = keep else { return savepoint.rollback().await.map(|()| None) };
    match savepoint.commit().await {
        Ok(()) => Ok(Some(waiter)),
        Err(error) => {
            waiter.send(Err(error.clone().into())).ok();
            Err(error)
        }
    }
}

async fn wait(mut ended: oneshot::Receiver<End>) -> Option<End> {
    loop {
        if let Ok(end) = tokio::time::timeout(LONG_TURN, &mut ended).await {
            return end.ok();
        }
        tracing::warn!(seconds = LONG_TURN.as_secs(), "a change holds the writer; others wait");
    }
}
