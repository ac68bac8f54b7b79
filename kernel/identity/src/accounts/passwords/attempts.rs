//! Attempts to prove who one is: counted, and after too many of them nobody is believed for a while.
//!
//! An attempt is counted before it is judged and forgiven when it succeeds. Counting takes the row, so that attempts at
//! the same moment are judged one after the other and none of them escapes the count.

use plinth_core::{NewEvent, SYSTEM_TENANT, UserId};
use plinth_store::{Error as StoreError, SystemTx};
use sea_orm::{ColumnTrait, Condition, ExprTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use crate::{
    Identity,
    accounts::profile,
    entities::users::{Column, Entity, Model},
};

/// Counts an attempt and reads the account as it is now. None when it is locked or gone.
pub async fn begin(tx: &SystemTx, user: UserId) -> Result<Option<Model>, StoreError> {
    let unlocked = Condition::any().add(Column::LockedUntil.is_null()).add(Column::LockedUntil.lte(tx.now().millis()));
    let counted = tx
        .update::<Entity>()
        .col_expr(Column::FailedAttempts, Expr::col(Column::FailedAttempts).add(1))
        .filter(Column::Id.eq(user.uuid()))
        .filter(unlocked)
        .exec(tx)
        .await?;
    if counted.rows_affected == 0 {
        return Ok(None);
    }
    Ok(tx.find::<Entity>().filter(Column::Id.eq(user.uuid())).one(tx).await?)
}

/// The attempt was right: what went wrong before it no longer counts, and a lock ends.
pub async fn forgive(tx: &SystemTx, user: UserId) -> Result<(), StoreError> {
    tx.update::<Entity>()
        .col_expr(Column::FailedAttempts, Expr::value(0_i64))
        .col_expr(Column::LockedUntil, Expr::value(Option::<i64>::None))
        .filter(Column::Id.eq(user.uuid()))
        .exec(tx)
        .await?;
    Ok(())
}

/// The attempt was neither right nor wrong, such as a right password without the code that is asked for as well.
pub async fn take_back(tx: &SystemTx, user: &Model) -> Result<(), StoreError> {
    tx.update::<Entity>()
        .col_expr(Column::FailedAttempts, Expr::value(user.failed_attempts - 1))
        .filter(Column::Id.eq(user.id))
        .exec(tx)
        .await?;
    Ok(())
}

/// The attempt was wrong. Says whether it was one too many, which locks the account.
pub async fn fail(identity: &Identity, tx: &SystemTx, user: &Model) -> Result<bool, StoreError> {
    let failed = user.failed_attempts;
    if failed < i64::from(identity.config().lockout_attempts) {
        return Ok(false);
    }
    tx.update::<Entity>()
        .col_expr(Column::FailedAttempts, Expr::value(0_i64))
        .col_expr(Column::LockedUntil, Expr::value(Some((tx.now() + identity.config().lockout).millis())))
        .filter(Column::Id.eq(user.id))
        .exec(tx)
        .await?;
    let id = UserId::from_uuid(user.id);
    let told = json!({ "user": id, "attempts": failed });
    tx.in_tenant(SYSTEM_TENANT).emit(NewEvent::new("user.locked", format!("user/{id}"), &told));
    let minutes = identity.config().lockout.as_secs().div_ceil(60);
    let text = format!(
        "There were {failed} failed attempts to prove to be you, so your account is locked for {minutes} minutes.\n\n\
         If it was not you, change your password after that and end the sessions that you do not know.\n"
    );
    profile::notify(tx, &user.email, "account_locked", "Your account is locked for a while", &text).await?;
    Ok(true)
}
